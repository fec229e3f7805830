#> .TaskGroups[0].Tasks[0].Actions [{"Name": "flush-cache", "Command": "/bin/redis-cli", "Args": ["-n", "0", "FLUSHDB"]}, {"Name": "weather", "Command": "/bin/sh", "Args": ["-c", "echo \"{{ not a template }}\" ${NOMAD_TASK_NAME}\n"]}]
#> .TaskGroups[0].Tasks[0].Secrets[0] {"Name": "own", "Provider": "nomad", "Path": "nomad/jobs/cache", "Config": null, "Env": null}
#> .TaskGroups[0].Tasks[0].Secrets[1] {"Name": "shared", "Provider": "vault", "Path": "kv/shared", "Config": {"engine": "kv_v1"}, "Env": null}
#> .TaskGroups[0].Tasks[0].Env {"TOKEN": "${secret.own.token}", "OTHER": "${secret.shared.other}"}
#> .TaskGroups[0].Tasks[0].Identity.Env true
#> .TaskGroups[0].Tasks[0].Identities[0].Audience ["aws", "gcp"]
#> .TaskGroups[0].Tasks[0].Identities[0].Filepath "local/${NOMAD_TASK_NAME}.jwt"
#> .TaskGroups[0].Tasks[0].Identities[0].ChangeMode "restart"
job "cache" {
  secret "shared" {
    provider = "vault"
    path     = "kv/shared"
    config {
      engine = "kv_v1"
    }
  }
  group "cache" {
    task "redis" {
      driver = "docker"
      config { image = "redis:7" }
      env {
        TOKEN = "${secret.own.token}"
        OTHER = secret.shared.other
      }
      secret "own" {
        provider = "nomad"
        path     = "nomad/jobs/cache"
      }
      vault {}
      identity { env = true }
      identity {
        name        = "cloud"
        aud         = ["aws", "gcp"]
        file        = true
        filepath    = "local/${NOMAD_TASK_NAME}.jwt"
        change_mode = "restart"
        ttl         = "30m"
      }
      action "flush-cache" {
        command = "/bin/redis-cli"
        args    = ["-n", 0, "FLUSHDB"]
      }
      action "weather" {
        command = "/bin/sh"
        args = ["-c",
          <<EOF
echo "{{ not a template }}" ${NOMAD_TASK_NAME}
EOF
        ]
      }
    }
  }
}
