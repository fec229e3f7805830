variable "upstreams" {
  type    = map(number)
  default = { users = 5022, ledger = 6022 }
}

job "tracing" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "tracing-api"
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
              local_request_timeout_ms = 2200
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 122
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
        image = "registry.invalid/tracing:22"
        ports = ["metrics"]
        labels = [{ team = "tracing", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "tracing"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/tracing"
          readonly = true
        }
      }
      env {
        for = "tracing"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
