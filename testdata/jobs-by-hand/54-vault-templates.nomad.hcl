#> .TaskGroups[0].Tasks[0].Vault {"Policies": ["app-read"], "Role": "", "Namespace": null, "Cluster": "", "Env": false, "DisableFile": false, "ChangeMode": "signal", "ChangeSignal": "SIGUSR1", "AllowTokenExpiration": null}
#> .TaskGroups[0].Tasks[1].Vault.Role "web"
#> .TaskGroups[0].Tasks[1].Vault.ChangeMode "restart"
#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "{{ with secret \"kv/data/app\" }}\nDB_PASSWORD={{ .Data.data.password | toJSON }}\n{{ range $k, $v := .Data.data }}{{ if ne $k \"password\" }}{{ $k | replaceAll \"-\" \"_\" | toUpper }}={{ $v }}\n{{ end }}{{ end }}{{ end }}\n{{ with pkiCert \"pki/issue/app\" \"common_name=app.example\" \"ttl=24h\" }}{{ .Cert }}{{ end }}\n"
#> .TaskGroups[0].Tasks[0].Templates[0].Envvars true
#> .TaskGroups[0].Tasks[0].Templates[0].ErrMissingKey true
#> .TaskGroups[0].Tasks[0].Templates[0].Wait {"Min": 5000000000, "Max": 60000000000}
#> .TaskGroups[0].Tasks[0].Identities[0].Name "vault_default"
#> .TaskGroups[0].Tasks[0].Identities[0].TTL 3600000000000
job "app" {
  vault {
    role = "web"
  }
  group "app" {
    task "server" {
      driver = "exec"
      config {
        command = "local/server"
      }
      vault {
        policies      = ["app-read"]
        env           = false
        change_mode   = "signal"
        change_signal = "SIGUSR1"
      }
      identity {
        name = "vault_default"
        aud  = ["vault.io"]
        ttl  = "1h"
        file = true
      }
      template {
        destination          = "secrets/app.env"
        env                  = true
        error_on_missing_key = true
        wait {
          min = "5s"
          max = "1m"
        }
        data = <<EOF
{{ with secret "kv/data/app" }}
DB_PASSWORD={{ .Data.data.password | toJSON }}
{{ range $k, $v := .Data.data }}{{ if ne $k "password" }}{{ $k | replaceAll "-" "_" | toUpper }}={{ $v }}
{{ end }}{{ end }}{{ end }}
{{ with pkiCert "pki/issue/app" "common_name=app.example" "ttl=24h" }}{{ .Cert }}{{ end }}
EOF
      }
    }
    task "sidecar" {
      driver = "exec"
      lifecycle {
        hook    = "prestart"
        sidecar = true
      }
      config { command = "/bin/agent" }
    }
  }
}
