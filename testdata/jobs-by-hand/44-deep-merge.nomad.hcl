#> .TaskGroups[0].Tasks[0].Env.A "{\"a\":9,\"b\":{\"c\":2},\"d\":4}"
#> .TaskGroups[0].Tasks[0].Env.B "none"
#> .TaskGroups[0].Tasks[0].Env.C "a,b,d"
#> .TaskGroups[0].Tasks[0].Env.E "[1,2,3]"
#> .TaskGroups[0].Tasks[0].Env.F "[\"a\",\"b\"]"
#> .TaskGroups[0].Tasks[0].Env.G "{\"k\":1}"
locals {
  base = { a = 1, b = { c = 2 } }
  over = merge(local.base, { a = 9 }, { d = 4 })
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        A = jsonencode(local.over)
        B = lookup(local.over, "zz", "none")
        C = join(",", keys(local.over))
        D = coalesce("", "x")
        E = jsonencode(flatten([[1], [2, [3]]]))
        F = jsonencode(distinct(["a", "b", "a"]))
        G = jsonencode(zipmap(["k"], [1]))
      }
    }
  }
}
