variable "schedule" {
  type    = string
  default = "13 */2 * * *"
}

job "search-nightly" {
  type     = "batch"
  priority = 43
  periodic {
    crons            = [var.schedule, "@daily"]
    prohibit_overlap = true
    time_zone        = "Europe/Berlin"
  }
  group "work" {
    max_run_duration = "23m"
    reschedule {
      attempts       = 3
      interval       = "1h"
      delay          = "30s"
      delay_function = "fibonacci"
      max_delay      = "5m"
      unlimited      = false
    }
    task "run" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args = [
          "-ec",
          <<-SCRIPT
            set -o pipefail
            for f in "$${NOMAD_TASK_DIR}"/*.csv; do
              awk -F, '{ sum += $3 } END { printf "%s %d\n", FILENAME, sum }' "$f"
            done
            date +%Y-%m-%dT%H:%M:%S%z
          SCRIPT
          ,
        ]
      }
      artifact {
        source      = "https://files.invalid/search/${attr.cpu.arch}.tgz"
        destination = "local/data"
        options {
          checksum = "sha256:abababababababababababababababababababababababababababababababab"
        }
      }
      kill_timeout = "30s"
      kill_signal  = "SIGINT"
    }
  }
}
