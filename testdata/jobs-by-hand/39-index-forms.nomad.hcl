#> .TaskGroups[0].Tasks[0].Env.A "20"
#> .TaskGroups[0].Tasks[0].Env.B "10"
#> .TaskGroups[0].Tasks[0].Env.C "2"
locals {
  m = { "a-b" = { list = [10, 20] } }
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        A = local.m["a-b"].list[1]
        B = local.m.a-b.list.0
        C = [1, 2, 3][length([1])]
      }
    }
  }
}
