variable "upstreams" {
  type    = map(number)
  default = { users = 5043, ledger = 6043 }
}

job "gateway" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "gateway-api"
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
              local_request_timeout_ms = 4300
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 143
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
        image = "registry.invalid/gateway:43"
        ports = ["metrics"]
        labels = [{ team = "gateway", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "gateway"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/gateway"
          readonly = true
        }
      }
      env {
        for = "gateway"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
