variable "upstreams" {
  type    = map(number)
  default = { users = 5029, ledger = 6029 }
}

job "reports" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "reports-api"
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
              local_request_timeout_ms = 2900
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 129
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
        image = "registry.invalid/reports:29"
        ports = ["metrics"]
        labels = [{ team = "reports", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "reports"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/reports"
          readonly = true
        }
      }
      env {
        for = "reports"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
