#> .TaskGroups[0].Networks[0].ReservedPorts[0].Label "admin"
#> .TaskGroups[0].Networks[0].ReservedPorts[0].Value 9000
#> .TaskGroups[0].Networks[0].DynamicPorts[0].Label "http"
#> .TaskGroups[0].Networks[0].DynamicPorts[0].To 8080
job "j" {
  group "g" {
    network {
      dynamic "port" {
        for_each = { http = 8080, admin = 0 }
        labels   = [port.key]
        content {
          to     = port.value
          static = port.value == 0 ? 9000 : 0
        }
      }
    }
    task "t" { driver = "exec" }
  }
}
