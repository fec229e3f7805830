#> .TaskGroups[0].Tasks[0].Config {"auth":[{"user":"u"}],"big":100,"image":"a","labels":[{"a":"b"}],"logging":[{"config":[{"tag":"${NOMAD_TASK_NAME}"}]}],"mount":[{"type":"bind"},{"type":"tmpfs"}],"n":1.5}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      config {
        image = "a"
        auth {
          user = "u"
        }
        mount {
          type = "bind"
        }
        mount {
          type = "tmpfs"
        }
        labels = { a = "b" }
        logging {
          config {
            tag = "${NOMAD_TASK_NAME}"
          }
        }
        n = 1.5
        big = 1e2
      }
    }
  }
}
