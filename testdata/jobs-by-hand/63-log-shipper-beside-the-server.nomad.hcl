#> .TaskGroups[0].Tasks[0].Lifecycle {"Hook": "prestart", "Sidecar": false}
#> .TaskGroups[0].Tasks[1].Leader true
#> .TaskGroups[0].Tasks[1].LogConfig {"MaxFiles": 3, "MaxFileSizeMB": 5, "Disabled": false}
#> .TaskGroups[0].Tasks[2].Lifecycle {"Hook": "poststart", "Sidecar": true}
#> .TaskGroups[0].Tasks[2].Templates[0].EmbeddedTmpl "[sources.app]\ntype = \"file\"\ninclude = [\"{{ env \"NOMAD_ALLOC_DIR\" }}/logs/server.std*\"]\n\n[transforms.parse]\ntype = \"remap\"\nsource = '''\n. = parse_json!(.message)\n.ts = to_timestamp!(.time) ?? now()\n'''\n\n[sinks.out]\nuri = \"https://logs.example/{{ env \"NOMAD_JOB_NAME\" }}\"\n\n"
#> .TaskGroups[0].Tasks[3].Lifecycle {"Hook": "poststop", "Sidecar": false}
#> .TaskGroups[0].Tasks[3].KillTimeout 120000000000
#> .TaskGroups[0].ShutdownDelay 5500000000
job "server" {
  group "server" {
    shutdown_delay = "5.5s"
    task "migrate" {
      driver = "exec"
      config { command = "/bin/migrate" }
      lifecycle { hook = "prestart" }
    }
    task "server" {
      driver = "exec"
      leader = true
      config { command = "/bin/server" }
      logs {
        max_files     = 3
        max_file_size = 5
        disabled      = false
      }
    }
    task "vector" {
      driver = "docker"
      config { image = "timberio/vector:0.39.0-alpine" }
      lifecycle {
        hook    = "poststart"
        sidecar = true
      }
      template {
        destination = "local/vector.toml"
        data        = <<-EOT
        [sources.app]
        type = "file"
        include = ["{{ env "NOMAD_ALLOC_DIR" }}/logs/server.std*"]

        [transforms.parse]
        type = "remap"
        source = '''
        . = parse_json!(.message)
        .ts = to_timestamp!(.time) ?? now()
        '''

        [sinks.out]
        uri = "https://logs.example/{{ env "NOMAD_JOB_NAME" }}"

        EOT
      }
    }
    task "goodbye" {
      driver       = "exec"
      kill_timeout = "2m"
      config { command = "/bin/goodbye" }
      lifecycle { hook = "poststop" }
    }
  }
}
