# A configuration file full of braces that belong to somebody else.
job "audit" {
  type = "service"
  group "app" {
    network {
      port "http" {}
    }
    task "render" {
      driver = "exec"
      config {
        command = "/bin/audit"
        args    = ["-config", "${NOMAD_TASK_DIR}/app.yml"]
      }
      template {
        destination   = "local/app.yml"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-EOT
          name: audit
          listen: "{{ env "NOMAD_ADDR_http" }}"
          peers:
          {{- range $index, $peer := nomadService "audit" }}
            - id: {{ $index }}
              address: {{ .Address }}:{{ .Port }}
              {{- with .Tags }}
              tags: [{{ range . }}"{{ . }}", {{ end }}]
              {{- end }}
          {{- end }}
          limits:
            $${HOME}: literal
            percent: 100%%
            json: '{"a": {"b": [1, 2, 44]}}'
        EOT
      }
      template {
        destination = "secrets/env"
        env         = true
        data        = <<EOF
{{ with nomadVar "nomad/jobs/audit" }}
PASSWORD="{{ .password | toJSON }}"
{{ range .Tuples }}{{ .K | toUpper }}={{ .V }}
{{ end }}{{ end }}
EOF
      }
      template {
        left_delimiter  = "[["
        right_delimiter = "]]"
        destination     = "local/page.html"
        data            = "<p>{{ untouched }}</p>\n[[ env \"NOMAD_ALLOC_ID\" ]]\n"
      }
    }
  }
}
