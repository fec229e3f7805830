#> .TaskGroups[0].Tasks[0].Env.A "abc"
locals {
  c = "${local.b}c"
}
locals {
  b = "${local.a}b"
  a = var.start
}
variable "start" {
  type    = string
  default = "a"
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env { A = local.c }
    }
  }
}
