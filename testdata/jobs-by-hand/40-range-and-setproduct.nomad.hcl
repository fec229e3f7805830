#> .TaskGroups[0].Tasks[0].Env.P "a0,a1,b0,b1"
#> .TaskGroups[0].Tasks[0].Env.C "[[0,1],[2,3],[4]]"
locals {
  p = [for t in setproduct(["a", "b"], range(2)) : "${t[0]}${t[1]}"]
  c = chunklist(range(5), 2)
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        P = join(",", local.p)
        C = jsonencode(local.c)
      }
    }
  }
}
