#> .TaskGroups[0].Count null
#> .TaskGroups[0].Scaling.Min 1
#> .TaskGroups[0].Scaling.Enabled false
#> .TaskGroups[0].Scaling.Policy {"cooldown": "2m", "evaluation_interval": "30s", "check": [{"cpu": [{"source": "nomad-apm", "query": "avg_cpu", "strategy": [{"target-value": [{"target": 70}]}]}]}, {"queue": [{"source": "prometheus", "query": "sum(rate(queue_total{job=\"x\"}[5m]))", "strategy": [{"pass-through": [{}]}], "group": "custom"}]}], "target": [{"nomad": [{"Job": "worker", "dry-run": true}]}]}
#> .TaskGroups[0].Tasks[0].ScalingPolicies[0].Type "vertical_cpu"
#> .TaskGroups[0].Tasks[0].ScalingPolicies[1].Policy {"check": [{"p95": [{"strategy": [{"app-sizing-percentile": [{"percentile": 95.5}]}]}]}]}
job "worker" {
  group "worker" {
    scaling {
      enabled = false
      min     = 1
      max     = 10
      policy {
        cooldown            = "2m"
        evaluation_interval = "30s"
        check "cpu" {
          source = "nomad-apm"
          query  = "avg_cpu"
          strategy "target-value" { target = 70 }
        }
        check "queue" {
          source = "prometheus"
          query  = "sum(rate(queue_total{job=\"x\"}[5m]))"
          group  = "custom"
          strategy "pass-through" {}
        }
        target "nomad" {
          Job     = "worker"
          dry-run = true
        }
      }
    }
    task "worker" {
      driver = "exec"
      config { command = "/bin/worker" }
      scaling "cpu" {
        max = 2000
        policy {
          cooldown = "24h"
        }
      }
      scaling "mem" {
        min = 64
        max = 512
        policy {
          check "p95" {
            strategy "app-sizing-percentile" {
              percentile = 95.5
            }
          }
        }
      }
    }
  }
}
