#> .TaskGroups[0].Tasks[0].Config.args ["${NOMAD_PORT_http}","${env[\"HOME\"]}","${ node.class }","${node.datacenter}","${meta.rack}-${attr.cpu.arch}"]
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      config {
        args = ["${NOMAD_PORT_http}", "${env["HOME"]}", "${ node.class }", node.datacenter, "${meta.rack}-${attr.cpu.arch}"]
      }
    }
  }
}
