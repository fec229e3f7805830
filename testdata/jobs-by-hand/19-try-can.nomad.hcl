#> .TaskGroups[0].Tasks[0].Env.A "fallback"
#> .TaskGroups[0].Tasks[0].Env.B "true"
#> .TaskGroups[0].Tasks[0].Env.C "false"
locals {
  a = try(local.m.nope, "fallback")
  b = can(local.m.x)
  c = can(convert("z", number))
  m = { x = 1 }
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        A = local.a
        B = local.b
        C = local.c
      }
    }
  }
}
