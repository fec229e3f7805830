# Alert rules are templates of another program inside a template of ours.
#> .TaskGroups[0].Tasks[0].Templates[0].LeftDelim "[["
#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "groups:\n  - name: node\n    rules:\n      - alert: HighLoad\n        expr: node_load1{job=\"node\"} > 4 and on(instance) up == 1\n        annotations:\n          summary: \"{{ $labels.instance }} is at {{ printf \"%.2f\" $value }}\"\n          runbook: [[ env \"NOMAD_META_runbook\" ]]\n"
#> .TaskGroups[0].Tasks[0].Templates[0].ChangeMode "signal"
#> .TaskGroups[0].Tasks[0].Templates[0].ChangeSignal "SIGHUP"
#> .TaskGroups[0].Tasks[0].Templates[1].EmbeddedTmpl "scrape_configs:\n- job_name: api\n  params: { match[]: ['{__name__=~\"job:.*\"}'] }\n  relabel_configs:\n  - regex: '(.*):\\d+'\n    replacement: '${1}:9100'\n"
#> .TaskGroups[0].Tasks[0].Meta {"runbook": "https://runbooks.example.net/?a=1&b=2#top"}
job "prometheus" {
  group "monitoring" {
    task "prometheus" {
      driver = "docker"
      config { image = "prom/prometheus:v2.53.0" }
      meta {
        runbook = "https://runbooks.example.net/?a=1&b=2#top"
      }
      template {
        left_delimiter  = "[["
        right_delimiter = "]]"
        change_mode     = "signal"
        change_signal   = "SIGHUP"
        destination     = "local/rules.yml"
        data            = <<-EOH
          groups:
            - name: node
              rules:
                - alert: HighLoad
                  expr: node_load1{job="node"} > 4 and on(instance) up == 1
                  annotations:
                    summary: "{{ $labels.instance }} is at {{ printf "%.2f" $value }}"
                    runbook: [[ env "NOMAD_META_runbook" ]]
        EOH
      }
      template {
        destination = "local/prometheus.yml"
        data        = <<EOH
scrape_configs:
- job_name: api
  params: { match[]: ['{__name__=~"job:.*"}'] }
  relabel_configs:
  - regex: '(.*):\d+'
    replacement: '$${1}:9100'
EOH
      }
    }
  }
}
