#> .TaskGroups[0].Services[0].Name "x-adm"
#> .TaskGroups[0].Services[1].Name "x-api"
#> .TaskGroups[0].Services[1].Checks[1].Name "api-1"
#> .TaskGroups[0].Services[1].Checks[1].Path "/b"
#> .TaskGroups[0].Services[1].Checks[1].Interval 10000000000
locals {
  svcs = {
    api = { port = "http", checks = [{ p = "/a", i = "5s" }, { p = "/b", i = "10s" }] }
    adm = { port = "adm", checks = [] }
  }
}
job "j" {
  group "g" {
    dynamic "service" {
      for_each = local.svcs
      iterator = s
      content {
        name = "x-${s.key}"
        port = s.value.port
        dynamic "check" {
          for_each = s.value.checks
          content {
            name     = "${s.key}-${check.key}"
            type     = "http"
            path     = check.value.p
            interval = check.value.i
            timeout  = "1s"
          }
        }
      }
    }
    task "t" { driver = "exec" }
  }
}
