variable "upstreams" {
  type    = map(number)
  default = { users = 5008, ledger = 6008 }
}

job "payments" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "payments-api"
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
              local_request_timeout_ms = 800
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 108
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
        image = "registry.invalid/payments:8"
        ports = ["metrics"]
        labels = [{ team = "payments", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "payments"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/payments"
          readonly = true
        }
      }
      env {
        for = "payments"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
