#> .TaskGroups[0].Tasks[0].Env.A "é🐑"
#> .TaskGroups[0].Tasks[0].Env.B "tab\tend"
#> .TaskGroups[0].Tasks[0].Env.C "é"
#> .TaskGroups[0].Tasks[0].Env.D "é🐑"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        A = "\u00e9\U0001F411"
        B = "tab\tend"
        C = "e\u0301"
        D = "é🐑"
      }
    }
  }
}
