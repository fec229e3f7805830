#> .TaskGroups[0].Services[0].Connect.Gateway.Ingress.Listeners[0].Services[0].Name "uuid"
#> .TaskGroups[0].Services[0].Connect.Gateway.Ingress.Listeners[1] {"Port": 8443, "Protocol": "http", "Services": [{"Name": "*", "Hosts": ["a.example", "b.example:8443"], "TLS": null, "RequestHeaders": {"Add": {"x-edge": "1"}, "Set": {"host": "inner"}, "Remove": ["cookie"]}, "ResponseHeaders": null, "MaxConnections": 100, "MaxPendingRequests": null, "MaxConcurrentRequests": null}]}
#> .TaskGroups[0].Services[0].Connect.Gateway.Proxy.EnvoyGatewayBindAddresses {"inner": {"Name": "inner", "Address": "10.0.0.1", "Port": 8443}}
#> .TaskGroups[0].Services[0].Connect.Gateway.Proxy.ConnectTimeout 750000000
#> .TaskGroups[1].Services[0].Connect.Gateway.Terminating.Services[1] {"Name": "ledger", "CAFile": "local/ca.pem", "CertFile": "local/cert.pem", "KeyFile": "local/key.pem", "SNI": "ledger.example"}
#> .TaskGroups[2].Services[0].Connect.Gateway.Mesh {}
job "gateways" {
  group "ingress" {
    network {
      mode = "bridge"
      port "inbound" {
        static = 8443
        to     = 8443
      }
    }
    service {
      name = "ingress"
      port = "8443"
      connect {
        gateway {
          proxy {
            connect_timeout = "750ms"
            envoy_gateway_bind_addresses "inner" {
              address = "10.0.0.1"
              port    = 8443
            }
          }
          ingress {
            listener {
              port     = 8080
              protocol = "tcp"
              service { name = "uuid" }
            }
            listener {
              port     = 8443
              protocol = "http"
              service {
                name            = "*"
                hosts           = ["a.example", "b.example:8443"]
                max_connections = 100
                request_headers {
                  add {
                    x-edge = "1"
                  }
                  set {
                    host = "inner"
                  }
                  remove = ["cookie"]
                }
              }
            }
          }
        }
      }
    }
  }
  group "egress" {
    network { mode = "bridge" }
    service {
      name = "egress"
      connect {
        gateway {
          terminating {
            service { name = "mail" }
            service {
              name      = "ledger"
              ca_file   = "local/ca.pem"
              cert_file = "local/cert.pem"
              key_file  = "local/key.pem"
              sni       = "ledger.example"
            }
          }
        }
      }
    }
  }
  group "mesh" {
    network { mode = "bridge" }
    service {
      name = "mesh"
      port = "mesh"
      connect {
        gateway {
          mesh {}
        }
      }
    }
  }
}
