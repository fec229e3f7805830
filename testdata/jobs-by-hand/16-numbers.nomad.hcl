#> .TaskGroups[0].Tasks[0].Env.A "1000"
#> .TaskGroups[0].Tasks[0].Env.B "1.5"
#> .TaskGroups[0].Tasks[0].Env.C "0.3"
#> .TaskGroups[0].Tasks[0].Env.D "12345678901234567890123"
#> .TaskGroups[0].Tasks[0].Env.E "0.001"
#> .TaskGroups[0].Tasks[0].Env.F "1"
#> .TaskGroups[0].Tasks[0].Env.G "-2.5"
locals {
  a = 1e3
  b = 1.50
  c = 0.1 + 0.2
  d = 12345678901234567890123
  e = 1e-3
  f = 10 % 3
  g = -5 / 2
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        A = local.a
        B = local.b
        C = local.c
        D = local.d
        E = local.e
        F = local.f
        G = local.g
      }
    }
  }
}
