#> .TaskGroups[0].Tasks[0].Env.X "[1,2]"
#> .TaskGroups[0].Tasks[0].Env.Y "[{\"b\":1},{\"b\":2}]"
#> .TaskGroups[0].Tasks[0].Env.Z "[\"only\"]"
locals {
  l = [{ a = { b = 1 } }, { a = { b = 2 } }]
  x = local.l[*].a.b
  y = local.l.*.a
  z = "only"[*]
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        X = jsonencode(local.x)
        Y = jsonencode(local.y)
        Z = jsonencode(local.z)
      }
    }
  }
}
