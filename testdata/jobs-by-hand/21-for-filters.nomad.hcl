#> .TaskGroups[0].Tasks[0].Env.L "0a,2c"
#> .TaskGroups[0].Tasks[0].Env.M "{\"Y\":20}"
#> .TaskGroups[0].Tasks[0].Env.S "[[2,3],[4]]"
locals {
  l = [for i, x in ["a", "b", "c"] : "${i}${x}" if i != 1]
  m = { for k, v in { x = 1, y = 2 } : upper(k) => v * 10 if v > 1 }
  s = [for p in [[1, 2], [3]] : [for q in p : q + 1]]
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        L = join(",", local.l)
        M = jsonencode(local.m)
        S = jsonencode(local.s)
      }
    }
  }
}
