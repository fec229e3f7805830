#> .TaskGroups[0].Tasks[0].Env.A "{\"dev\":[\"ann\",\"cy\"],\"ops\":[\"bob\"]}"
locals {
  users = [{ n = "ann", r = "dev" }, { n = "bob", r = "ops" }, { n = "cy", r = "dev" }]
  by    = { for u in local.users : u.r => u.n... }
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env { A = jsonencode(local.by) }
    }
  }
}
