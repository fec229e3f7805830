variable "upstreams" {
  type    = map(number)
  default = { users = 5036, ledger = 6036 }
}

job "audit" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "audit-api"
      port = "9001"
      connect {
        sidecar_service {
          tags = ["mesh"]
          proxy {
            dynamic "upstreams" {
              for_each = var.upstreams
              content {
                destination_name = upstreams.key
                local_bind_port  = upstreams.value
              }
            }
            config {
              protocol = "http"
              local_request_timeout_ms = 3600
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 136
            memory = 96
          }
        }
      }
      meta {
        metrics = "${NOMAD_HOST_PORT_metrics}"
      }
    }
    task "api" {
      driver = "docker"
      config {
        image = "registry.invalid/audit:36"
        ports = ["metrics"]
        labels = [{ team = "audit", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "audit"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/audit"
          readonly = true
        }
      }
      env {
        for = "audit"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
