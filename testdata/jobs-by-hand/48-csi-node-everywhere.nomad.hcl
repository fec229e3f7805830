#> .Type "system"
#> .TaskGroups[0].Tasks[0].Config.privileged true
#> .TaskGroups[0].Tasks[0].Config.mounts [{"type": "bind", "source": "/dev", "target": "/dev", "readonly": false, "bind_options": {"propagation": "rshared"}}, {"type": "bind", "source": "/var/run", "target": "/run"}]
#> .TaskGroups[0].Tasks[0].Config.mount [{"type": "tmpfs", "target": "/scratch", "tmpfs_options": [{"size": 1048576, "mode": 1777}]}]
#> .TaskGroups[0].Tasks[0].CSIPluginConfig.StagePublishBaseDir "/local/stage"
#> .TaskGroups[0].Tasks[0].Templates[0].Perms "0600"
#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "node-id = {{ env \"node.unique.id\" }}\nzone = ${meta.zone}\n"
job "lake-node" {
  type        = "system"
  datacenters = ["*"]
  group "node" {
    task "plugin" {
      driver = "docker"
      config {
        image      = "lake/csi:v1.19.2"
        privileged = true
        mounts = [
          { type = "bind", source = "/dev", target = "/dev", readonly = false, bind_options = { propagation = "rshared" } },
          { type = "bind", source = "/var/run", target = "/run" },
        ]
        mount {
          type   = "tmpfs"
          target = "/scratch"
          tmpfs_options {
            size = 1024 * 1024
            mode = 1777
          }
        }
      }
      template {
        perms       = "0600"
        destination = "secrets/lake.conf"
        data        = <<-EOT
          node-id = {{ env "node.unique.id" }}
          zone = ${meta.zone}
        EOT
      }
      csi_plugin {
        id                     = "lake0"
        type                   = "node"
        mount_dir              = "/csi"
        stage_publish_base_dir = "/local/stage"
      }
    }
  }
}
