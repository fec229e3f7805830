# Dynamic blocks three deep; the names of the iterators differ, or the nearest counts.
#> .TaskGroups[0].Name "eu-api"
#> .TaskGroups[0].Count 2
#> .TaskGroups[1].Name "eu-web"
#> .TaskGroups[3].Name "us-web"
#> .TaskGroups[2].Tasks[0].Templates[0].EmbeddedTmpl "region=us\nservice=api\nkey=host\nvalue=api.us.example\n"
#> .TaskGroups[2].Tasks[0].Templates[1].DestPath "local/port.conf"
#> .TaskGroups[3].Tasks[0].Env {"REGION": "us", "SERVICE": "web", "INDEX": "3"}
#> .TaskGroups[3].Constraints [{"LTarget": "${node.datacenter}", "RTarget": "us-1", "Operand": "="}]
locals {
  regions  = { eu = { dc = "eu-1", count = 2 }, us = { dc = "us-1", count = 1 } }
  services = ["api", "web"]
  pairs = flatten([
    for region, about in local.regions : [
      for service in local.services : { region = region, service = service, dc = about.dc, count = about.count }
    ]
  ])
}
job "fleet" {
  dynamic "group" {
    for_each = local.pairs
    iterator = pair
    labels   = ["${pair.value.region}-${pair.value.service}"]
    content {
      count = pair.value.count
      dynamic "constraint" {
        for_each = pair.value.dc != "" ? [pair.value.dc] : []
        content {
          attribute = node.datacenter
          value     = constraint.value
        }
      }
      task "main" {
        driver = "docker"
        config { image = "fleet/${pair.value.service}:1" }
        env {
          REGION  = pair.value.region
          SERVICE = pair.value.service
          INDEX   = pair.key
        }
        dynamic "template" {
          for_each = { host = "${pair.value.service}.${pair.value.region}.example", port = 80 }
          content {
            destination = "local/${template.key}.conf"
            data        = <<-EOT
              region=${pair.value.region}
              service=${pair.value.service}
              key=${template.key}
              value=${template.value}
            EOT
          }
        }
      }
    }
  }
}
