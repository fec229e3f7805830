#> .TaskGroups[0].Tasks[0].Env.A "${x}"
#> .TaskGroups[0].Tasks[0].Env.B "%{if}"
#> .TaskGroups[0].Tasks[0].Env.D "a$b"
#> .TaskGroups[0].Tasks[0].Env.E "100%"
#> .TaskGroups[0].Tasks[0].Env.F "${a}2"
#> .TaskGroups[0].Tasks[0].Env.G "\\${node.class}"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        A = "$${x}"
        B = "%%{if}"
        C = "$$$${x}"
        D = "a$b"
        E = "100%"
        F = "$${a}${1 + 1}"
        G = "\\${node.class}"
      }
    }
  }
}
