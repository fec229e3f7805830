#> .TaskGroups[0].Tasks[0].Env.A "{\"F\":5,\"a\":1,\"b\":2,\"c\":3,\"d.e\":4}"
locals {
  o = { a = 1, b : 2
    c = 3,
    "d.e" = 4
    (upper("f")) = 5
  }
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env { A = jsonencode(local.o) }
    }
  }
}
