#> .TaskGroups[0].Tasks[0].Env.N "7"
#> .TaskGroups[0].Tasks[0].Env.F "7"
locals {
  n = (
    1 +
    2
    * 3
  )
  f = max(
    1,
    local.n,
  )
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        N = local.n
        F = local.f
      }
    }
  }
}
