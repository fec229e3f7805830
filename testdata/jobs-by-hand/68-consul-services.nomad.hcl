#> .TaskGroups[0].Consul {"Namespace": "", "Cluster": "default", "Partition": "edge"}
#> .TaskGroups[0].Services[0].TaggedAddresses {"lan": "10.0.0.1", "wan": "${attr.unique.platform.aws.public-ipv4}"}
#> .TaskGroups[0].Services[0].Weights {"Passing": 10, "Warning": 1}
#> .TaskGroups[0].Services[0].Checks[0].Header {"Authorization": ["Basic YTpi"], "X-Many": ["1", "2"]}
#> .TaskGroups[0].Services[0].Checks[0].CheckRestart {"Limit": 3, "Grace": 90000000000, "IgnoreWarnings": true}
#> .TaskGroups[0].Services[0].Checks[1].GRPCService "api.v1.Health"
#> .TaskGroups[0].Services[0].Checks[2].Args ["-c", "test \"$(curl -s localhost:${NOMAD_PORT_http}/ready)\" = ok"]
#> .TaskGroups[0].Services[0].CheckRestart {"Limit": 5, "Grace": null, "IgnoreWarnings": false}
#> .TaskGroups[0].Services[0].Identity.Audience ["consul.io"]
#> .TaskGroups[0].Services[0].Meta {"version": "1.2", "weight": "5", "beta": "false"}
job "api" {
  group "api" {
    consul {
      cluster   = "default"
      partition = "edge"
    }
    network {
      port "http" {}
    }
    service {
      name     = "api"
      port     = "http"
      provider = "consul"
      tags     = ["v1"]
      tagged_addresses {
        lan = "10.0.0.1"
        wan = "${attr.unique.platform.aws.public-ipv4}"
      }
      weights {
        passing = 10
        warning = 1
      }
      meta {
        version = "1.2"
        weight  = 5
        beta    = false
      }
      identity {
        aud = ["consul.io"]
        ttl = "1h"
      }
      check_restart { limit = 5 }
      check {
        type     = "http"
        path     = "/health?full=1&x=%20"
        interval = "15s"
        timeout  = "3s"
        header {
          Authorization = ["Basic ${base64encode("a:b")}"]
          X-Many        = ["1", "2"]
        }
        check_restart {
          limit           = 3
          grace           = "90s"
          ignore_warnings = true
        }
      }
      check {
        type         = "grpc"
        grpc_service = "api.v1.Health"
        grpc_use_tls = true
        interval     = "15s"
        timeout      = "3s"
      }
      check {
        type     = "script"
        task     = "api"
        command  = "/bin/sh"
        args     = ["-c", "test \"$(curl -s localhost:$${NOMAD_PORT_http}/ready)\" = ok"]
        interval = "1m"
        timeout  = "10s"
      }
    }
    task "api" {
      driver = "docker"
      config { image = "api" }
    }
  }
}
