# The controller half of a storage plugin.
#> .TaskGroups[0].Tasks[0].CSIPluginConfig {"ID": "lake0", "Type": "controller", "MountDir": "/csi", "StagePublishBaseDir": "", "HealthTimeout": 90000000000}
#> .TaskGroups[0].Tasks[0].Config.args ["controller", "--endpoint=unix:///csi/csi.sock", "--v=5", "--node=${attr.unique.hostname}"]
#> .TaskGroups[0].Tasks[0].Config.cap_drop ["ALL"]
#> .TaskGroups[0].Tasks[0].Resources.MemoryMB 128
#> .TaskGroups[0].Constraints[0] {"LTarget": "${attr.platform.aws.placement.availability-zone}", "RTarget": "^eu-.*[ab]$", "Operand": "regexp"}
job "lake-controller" {
  group "controller" {
    count = 2
    constraint {
      attribute = "${attr.platform.aws.placement.availability-zone}"
      regexp    = "^eu-.*[ab]$"
    }
    task "plugin" {
      driver = "docker"
      config {
        image    = "lake/csi:v1.19.2"
        cap_drop = ["ALL"]
        args = [
          "controller",
          "--endpoint=unix:///csi/csi.sock", # the socket
          "--v=5",
          "--node=${attr.unique.hostname}",
        ]
      }
      csi_plugin {
        id             = "lake0"
        type           = "controller"
        mount_dir      = "/csi"
        health_timeout = "1m30s"
      }
      resources {
        cpu    = 100
        memory = "128"
      }
    }
  }
}
