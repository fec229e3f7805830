#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "{{- with nomadVar \"nomad/jobs/j\" -}}\n{\"a\": {\"b\": \"{{ .x }}\", \"c\": {{ printf \"%q\" .y }} }}\n{{- end }}\n{{ \"{{\" }} {{`}}`}} {{/* c */}}\n"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      template {
        data = <<-EOH
          {{- with nomadVar "nomad/jobs/j" -}}
          {"a": {"b": "{{ .x }}", "c": {{ printf "%q" .y }} }}
          {{- end }}
          {{ "{{" }} {{`}}`}} {{/* c */}}
        EOH
        left_delimiter = "{{"
      }
    }
  }
}
