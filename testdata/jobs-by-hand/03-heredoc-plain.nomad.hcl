#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "  {{ range service \"db\" }}\n{{ .Address }}:{{ .Port }}\n  {{ end }}\n"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      template {
        data = <<EOF
  {{ range service "db" }}
{{ .Address }}:{{ .Port }}
  {{ end }}
EOF
      }
    }
  }
}
