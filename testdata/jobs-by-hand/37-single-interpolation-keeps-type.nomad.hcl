#> .TaskGroups[0].Count 5
#> .TaskGroups[0].Tasks[0].Env.A "2"
locals {
  l = "${[1, 2]}"
  n = "${5}"
}
job "j" {
  group "g" {
    count = local.n
    task "t" {
      driver = "exec"
      env { A = length(local.l) }
    }
  }
}
