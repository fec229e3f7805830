#> .TaskGroups[0].Name "solo"
#> .TaskGroups[0].Tasks[0].Vault.Role "outer"
#> .TaskGroups[1].Tasks[0].Vault.Role "inner"
job "j" {
  vault { role = "outer" }
  task "solo" { driver = "exec" }
  group "g" {
    vault { role = "inner" }
    task "t" {
      driver = "exec"
    }
  }
}
