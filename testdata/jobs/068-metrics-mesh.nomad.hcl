variable "upstreams" {
  type    = map(number)
  default = { users = 5050, ledger = 6050 }
}

job "metrics" {
  group "api" {
    network {
      mode = "bridge"
      port "metrics" {
        to = 9102
      }
    }
    service {
      name = "metrics-api"
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
              local_request_timeout_ms = 5000
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 150
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
        image = "registry.invalid/metrics:50"
        ports = ["metrics"]
        labels = [{ team = "metrics", tier = "api" }]
        logging {
          type = "journald"
          config {
            tag = "metrics"
          }
        }
        mount {
          type   = "bind"
          source = "local"
          target = "/etc/metrics"
          readonly = true
        }
      }
      env {
        for = "metrics"
        USERS = "http://${NOMAD_UPSTREAM_ADDR_users}"
      }
    }
  }
}
