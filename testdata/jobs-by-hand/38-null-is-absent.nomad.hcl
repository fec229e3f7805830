#> .Priority null
#> .Datacenters null
#> .TaskGroups[0].Count null
job "j" {
  priority    = null
  datacenters = null
  group "g" {
    count = null
    task "t" { driver = "exec" }
  }
}
