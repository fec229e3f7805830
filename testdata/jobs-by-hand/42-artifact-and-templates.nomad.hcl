#> .TaskGroups[0].Tasks[0].Artifacts[0].GetterSource "https://example.com/1.2.tgz"
#> .TaskGroups[0].Tasks[0].Artifacts[0].RelativeDest "local/${NOMAD_ALLOC_ID}"
#> .TaskGroups[0].Tasks[0].Artifacts[0].GetterOptions.checksum "sha256:77ac319bfe1979e2d799d9e6987e65feb54f61511c03552ebae990826c208590"
#> .TaskGroups[0].Tasks[0].Templates[0].Perms "600"
#> .TaskGroups[0].Tasks[0].Templates[0].ChangeScript.Timeout 5000000000
variable "v" { default = "1.2" }
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      artifact {
        source      = "https://example.com/${var.v}.tgz"
        destination = "local/${NOMAD_ALLOC_ID}"
        options {
          checksum = "sha256:${sha256(var.v)}"
        }
      }
      template {
        source          = "local/x.tpl"
        destination     = "secrets/x.env"
        env             = true
        change_mode     = "script"
        change_script {
          command = "/bin/reload"
        }
        perms           = 0600
      }
    }
  }
}
