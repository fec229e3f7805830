#> .TaskGroups[0].Tasks[0].Env.A "{\"a\":[1,\"2\"],\"b\":{\"c\":true}}"
#> .TaskGroups[0].Tasks[0].Env.B "1"
#> .TaskGroups[0].Tasks[0].Env.C "\"z\":\n- 1\n- \"a\"\n"
locals {
  y = yamldecode("a: [1, '2']\nb:\n  c: true\n")
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        A = jsonencode(local.y)
        B = jsondecode("[1, {\"x\": null}]")[0]
        C = yamlencode({ z = [1, "a"] })
      }
    }
  }
}
