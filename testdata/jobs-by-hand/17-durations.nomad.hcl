#> .TaskGroups[0].ShutdownDelay 5000000000
#> .TaskGroups[0].RestartPolicy.Delay 90000000000
#> .TaskGroups[0].RestartPolicy.Interval -5000000000
#> .TaskGroups[0].Tasks[0].KillTimeout 5400000000000
job "j" {
  group "g" {
    shutdown_delay = 5000000000
    restart {
      delay = "1m30s"
      interval = "-5s"
    }
    task "t" {
      driver = "exec"
      kill_timeout = "1.5h"
    }
  }
}
