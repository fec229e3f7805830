variable "upstreams" {
  type    = map(number)
  default = { users = 5057, ledger = 6057 }
}

job "search" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "search-api"
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
              local_request_timeout_ms = 5700
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 157
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
        image = "registry.invalid/search:57"
        ports = ["metrics"]
        labels = [{ team = "search", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "search"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/search"
          readonly = true
        }
      }
      env {
        for = "search"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
