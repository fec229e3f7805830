#> .TaskGroups[0].Tasks[0].Env.A "false false true 11 true"
locals {
  a = 1 == "1"
  b = "10" < "9"
  c = !"false"
  d = 2 + 3 * 4 - 6 / 2
  e = true || false && false
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env { A = "${local.a} ${local.b} ${local.c} ${local.d} ${local.e}" }
    }
  }
}
