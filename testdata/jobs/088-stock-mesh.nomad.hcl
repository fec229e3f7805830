variable "upstreams" {
  type    = map(number)
  default = { users = 5064, ledger = 6064 }
}

job "stock" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "stock-api"
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
              local_request_timeout_ms = 6400
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 164
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
        image = "registry.invalid/stock:64"
        ports = ["metrics"]
        labels = [{ team = "stock", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "stock"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/stock"
          readonly = true
        }
      }
      env {
        for = "stock"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
