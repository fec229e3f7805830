#> .TaskGroups[0].Tasks[0].Env.A "x"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        A = "x" # why
      }
    }
  }
}
