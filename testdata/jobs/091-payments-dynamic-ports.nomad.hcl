variable "ports" {
  type = list(object({
    name   = string
    static = number
    to     = number
  }))
  default = [
    { name = "http", static = null, to = 8080 },
    { name = "admin", static = 9064, to = -1 },
    { name = "metrics", static = null, to = null },
  ]
}

locals {
  named = { for port in var.ports : port.name => port }
}

job "payments" {
  datacenters = ["dc1", "dc3"]

  group "payments" {
    count = max(1, length(var.ports) - 1)

    network {
      mode = "host"
      dynamic "port" {
        for_each = local.named
        labels   = [port.key]
        content {
          static = coalesce(port.value.static, 0)
          to     = try(port.value.to + 0, 0)
        }
      }
    }

    dynamic "service" {
      for_each = [for name, port in local.named : name if name != "admin"]
      iterator = each
      content {
        name     = "payments-${each.value}"
        port     = each.value
        provider = "nomad"
        tags     = ["port-${each.key}", format("%s-%02d", "payments", each.key)]
        check {
          type     = each.value == "http" ? "http" : "tcp"
          path     = each.value == "http" ? "/health" : ""
          interval = "${10 + each.key}s"
          timeout  = "2s"
        }
      }
    }

    task "server" {
      driver = "raw_exec"
      config {
        command = "/usr/bin/payments"
        args = concat(
          ["serve"],
          flatten([for name in keys(local.named) : ["--listen-${name}", "$${NOMAD_ADDR_${name}}"]]),
        )
      }
      shutdown_delay = "5s"
    }
  }
}
