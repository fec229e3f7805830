#> .TaskGroups[0].Services[0].Connect.SidecarService.Proxy.Upstreams[0].DestinationName "orders"
#> .TaskGroups[0].Services[0].Connect.SidecarService.Proxy.Upstreams[0].LocalBindPort 9000
#> .TaskGroups[0].Services[0].Connect.SidecarService.Proxy.Upstreams[1].DestinationName "stock"
#> .TaskGroups[0].Services[0].Connect.SidecarService.Proxy.Upstreams[1].LocalBindPort 9001
#> .TaskGroups[0].Services[0].Connect.SidecarService.Proxy.Upstreams[1].Config {"connect_timeout_ms": 2500, "passive_health_check": [{"interval": "10s", "max_failures": 3}]}
#> .TaskGroups[0].Services[0].Connect.SidecarService.Proxy.Expose.Paths [{"Path": "/metrics", "Protocol": "http", "LocalPathPort": 9102, "ListenerPort": "expose"}]
#> .TaskGroups[0].Services[0].Connect.SidecarTask.Resources.CPU 50
#> .TaskGroups[0].Services[0].Connect.SidecarTask.Config {"args": ["-c", "${NOMAD_SECRETS_DIR}/envoy_bootstrap.json", "-l", "${meta.connect.log_level}", "--concurrency", "${meta.connect.proxy_concurrency}"]}
#> .TaskGroups[0].Services[0].Checks[0].Expose true
#> .TaskGroups[0].Tasks[0].Env {"ORDERS_URL": "http://${NOMAD_UPSTREAM_ADDR_orders}", "STOCK_URL": "http://${NOMAD_UPSTREAM_ADDR_stock}"}
locals {
  upstreams = ["orders", "stock"]
}
job "shop" {
  group "shop" {
    network {
      mode = "bridge"
      port "expose" { to = -1 }
    }
    service {
      name = "shop"
      port = "8080"
      connect {
        sidecar_service {
          proxy {
            dynamic "upstreams" {
              for_each = local.upstreams
              content {
                destination_name = upstreams.value
                local_bind_port  = 9000 + upstreams.key
                config {
                  connect_timeout_ms = 2500
                  passive_health_check {
                    interval     = "10s"
                    max_failures = 3
                  }
                }
              }
            }
            expose {
              path {
                path            = "/metrics"
                protocol        = "http"
                local_path_port = 9102
                listener_port   = "expose"
              }
            }
          }
        }
        sidecar_task {
          resources {
            cpu    = 50
            memory = 64
          }
          config {
            args = [
              "-c", "${NOMAD_SECRETS_DIR}/envoy_bootstrap.json",
              "-l", "${meta.connect.log_level}",
              "--concurrency", "${meta.connect.proxy_concurrency}",
            ]
          }
        }
      }
      check {
        type     = "http"
        path     = "/health"
        expose   = true
        interval = "10s"
        timeout  = "2s"
      }
    }
    task "shop" {
      driver = "docker"
      config { image = "shop:7" }
      env = { for name in local.upstreams : "${upper(name)}_URL" => "http://$${NOMAD_UPSTREAM_ADDR_${name}}" }
    }
  }
}
