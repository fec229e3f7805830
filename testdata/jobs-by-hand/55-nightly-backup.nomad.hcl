#> .Periodic {"Enabled": null, "Spec": null, "Specs": ["30 2 * * *", "0 14 * * SUN"], "SpecType": "cron", "ProhibitOverlap": true, "TimeZone": "Europe/Berlin"}
#> .TaskGroups[0].RestartPolicy {"Interval": 3600000000000, "Attempts": 2, "Delay": 30000000000, "Mode": "fail", "RenderTemplates": null}
#> .TaskGroups[0].Tasks[0].Config.args ["-euo", "pipefail", "-c", "pg_dump \"$PGDATABASE\" | gzip > /alloc/data/dump-$(date +%F).sql.gz\nfind /alloc/data -name 'dump-*' -mtime +${KEEP:-7} -delete\nprintf '%s\\n' \"done: ${NOMAD_ALLOC_ID}\"\n"]
#> .TaskGroups[0].Tasks[0].Artifacts[0] {"GetterSource": "https://files.example/tools-2.4.1.tgz", "GetterOptions": {"archive": "tgz", "checksum": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}, "GetterHeaders": {"Authorization": "Bearer ${NOMAD_META_token}"}, "GetterMode": "dir", "GetterInsecure": null, "RelativeDest": "local/tools", "Chown": true}
variable "version" {
  type    = string
  default = "2.4.1"
}
job "backup" {
  type = "batch"
  periodic {
    crons            = ["30 2 * * *", "0 14 * * SUN"]
    prohibit_overlap = true
    time_zone        = "Europe/Berlin"
  }
  group "dump" {
    restart {
      attempts = 2
      interval = "1h"
      delay    = "30s"
      mode     = "fail"
    }
    task "dump" {
      driver = "exec"
      artifact {
        source      = "https://files.example/tools-${var.version}.tgz"
        destination = "local/tools"
        mode        = "dir"
        chown       = true
        options {
          archive  = "tgz"
          checksum = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        }
        headers {
          Authorization = "Bearer ${NOMAD_META_token}"
        }
      }
      config {
        command = "/bin/bash"
        args = ["-euo", "pipefail", "-c", <<SH
pg_dump "$PGDATABASE" | gzip > /alloc/data/dump-$(date +%F).sql.gz
find /alloc/data -name 'dump-*' -mtime +$${KEEP:-7} -delete
printf '%s\n' "done: ${NOMAD_ALLOC_ID}"
SH
        ]
      }
    }
  }
}
