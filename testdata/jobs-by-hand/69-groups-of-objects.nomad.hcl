# Groups, ports and tasks from lists of objects; locals in any order, one grouped and filtered that nobody uses.
#> .TaskGroups[0].Name "api-0"
#> .TaskGroups[0].Count 2
#> .TaskGroups[0].Meta {"ADM": "81", "HTTP": "80"}
#> .TaskGroups[0].Networks[0].ReservedPorts[0].Label "adm"
#> .TaskGroups[0].Networks[0].ReservedPorts[1].Value 80
#> .TaskGroups[1].Name "web-1"
#> .TaskGroups[1].Networks[0].ReservedPorts null
#> .TaskGroups[1].Tasks[0].Name "m"
#> .TaskGroups[1].Tasks[1].Name "s"
#> .Meta {"c": "X-c", "pairs": "{\"eu\":[\"a\"],\"us\":[\"c\"]}"}
locals {
  c = "${local.b}-c"
  regions = { eu = ["a", "b"], us = ["c"] }
  pairs   = flatten([for r, zs in local.regions : [for z in zs : { r = r, z = z }]])
  by      = { for p in local.pairs : p.r => p.z... if p.z != "b" }
  b = upper(local.a)
  a = "x"
}
variable "svc" {
  type = list(object({ name = string, ports = map(number), tags = set(string) }))
  default = [
    { name = "api", ports = { http = 80, adm = 81 }, tags = ["z", "a", "z"] },
    { name = "web", ports = {}, tags = [] },
  ]
  validation {
    condition     = length(var.svc) > 0
    error_message = "Some service."
  }
}
job "odd" {
  meta {
    c     = local.c
    pairs = jsonencode(local.by)
  }
  dynamic "group" {
    for_each = var.svc
    iterator = s
    labels   = ["${s.value.name}-${s.key}"]
    content {
      count = length(s.value.ports) > 0 ? 2 : 1
      meta  = { for k, v in s.value.ports : upper(k) => "${v}" }
      network {
        dynamic "port" {
          for_each = s.value.ports
          labels   = [port.key]
          content {
            static = port.value + s.key
          }
        }
      }
      dynamic "task" {
        for_each = convert(["m", "s"], set(string))
        labels = [task.value]
        content { driver = "raw_exec" }
      }
    }
  }
}
