#> .TaskGroups[0].Tasks[0].Env.S "abc"
#> .TaskGroups[0].Tasks[0].Env.T "xyz"
locals {
  s = "a   ${~ "b" ~}   c"
  t = "x %{~ if true ~} y %{~ else ~} n %{~ endif ~} z"
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        S = local.s
        T = local.t
      }
    }
  }
}
