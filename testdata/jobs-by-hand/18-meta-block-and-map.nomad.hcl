#> .Meta {"a":"1","b":"true"}
#> .TaskGroups[0].Meta {"dotted.key":"x"}
#> .TaskGroups[0].Tasks[0].Env.A "1"
job "j" {
  meta {
    a = 1
    b = true
  }
  group "g" {
    meta = {
      "dotted.key" = "x"
    }
    task "t" {
      driver = "exec"
      env = { A = 1.0 }
    }
  }
}
