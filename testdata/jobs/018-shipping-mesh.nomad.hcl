variable "upstreams" {
  type    = map(number)
  default = { users = 5015, ledger = 6015 }
}

job "shipping" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "shipping-api"
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
              local_request_timeout_ms = 1500
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 115
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
        image = "registry.invalid/shipping:15"
        ports = ["metrics"]
        labels = [{ team = "shipping", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "shipping"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/shipping"
          readonly = true
        }
      }
      env {
        for = "shipping"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
