#> .TaskGroups[0].Disconnect {"LostAfter": 21600000000000, "StopOnClientAfter": null, "Replace": false, "Reconcile": "keep_original"}
#> .TaskGroups[0].Migrate {"MaxParallel": 2, "HealthCheck": "task_states", "MinHealthyTime": 15000000000, "HealthyDeadline": 300000000000}
#> .Update {"Stagger": 45000000000, "MaxParallel": 2, "HealthCheck": "manual", "MinHealthyTime": null, "HealthyDeadline": null, "ProgressDeadline": 0, "Canary": 1, "AutoRevert": true, "AutoPromote": false}
#> .TaskGroups[0].Update.Canary 3
#> .TaskGroups[0].Update.MaxParallel null
#> .Multiregion {"Strategy": {"MaxParallel": 1, "OnFailure": "fail_local"}, "Regions": [{"Name": "east", "Count": 2, "Datacenters": ["e1", "e2"], "NodePool": "", "Meta": {"k": "v"}}, {"Name": "west", "Count": null, "Datacenters": null, "NodePool": "big", "Meta": null}]}
#> .UI {"Description": "A **bold** job\nwith two lines\n", "Links": [{"Label": "docs", "Url": "https://docs.example/a?b=c&d=e"}, {"Label": "", "Url": "https://plain.example"}]}
#> .TaskGroups[0].Tasks[0].Schedule {"Cron": {"Start": "0 30 9 * * MON-FRI *", "End": "0 17", "Timezone": "America/New_York"}}
job "away" {
  ui {
    description = <<EOD
A **bold** job
with two lines
EOD
    link {
      label = "docs"
      url   = "https://docs.example/a?b=c&d=e"
    }
    link { url = "https://plain.example" }
  }
  update {
    stagger           = "45s"
    max_parallel      = 2
    health_check      = "manual"
    progress_deadline = "0"
    canary            = 1
    auto_revert       = true
    auto_promote      = false
  }
  multiregion {
    strategy {
      max_parallel = 1
      on_failure   = "fail_local"
    }
    region "east" {
      count       = 2
      datacenters = ["e1", "e2"]
      meta {
        k = "v"
      }
    }
    region "west" {
      node_pool = "big"
    }
  }
  group "g" {
    disconnect {
      lost_after = "6h"
      replace    = false
      reconcile  = "keep_original"
    }
    migrate {
      max_parallel     = 2
      health_check     = "task_states"
      min_healthy_time = "15s"
      healthy_deadline = "5m"
    }
    update {
      canary = 3
    }
    task "t" {
      driver = "exec"
      config { command = "/bin/true" }
      schedule {
        cron {
          start    = "0 30 9 * * MON-FRI *"
          end      = "0 17"
          timezone = "America/New_York"
        }
      }
    }
  }
}
