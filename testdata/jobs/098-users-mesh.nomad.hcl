variable "upstreams" {
  type    = map(number)
  default = { users = 5071, ledger = 6071 }
}

job "users" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "users-api"
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
              local_request_timeout_ms = 7100
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 171
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
        image = "registry.invalid/users:71"
        ports = ["metrics"]
        labels = [{ team = "users", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "users"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/users"
          readonly = true
        }
      }
      env {
        for = "users"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
