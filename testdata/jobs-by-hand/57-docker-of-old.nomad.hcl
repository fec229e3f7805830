# Forms of the docker driver from before groups had networks.
#> .TaskGroups[0].Tasks[0].Config.port_map [{"http": 8080, "admin": 9000}]
#> .TaskGroups[0].Tasks[0].Config.labels [{"team": "core", "tier": "1"}]
#> .TaskGroups[0].Tasks[0].Config.auth [{"username": "ci", "password": "s3cr$t", "server_address": "registry.example"}]
#> .TaskGroups[0].Tasks[0].Config.logging [{"type": "syslog", "config": [{"syslog-address": "udp://logs.example:514", "tag": "{{.Name}}/{{.ID}}"}]}]
#> .TaskGroups[0].Tasks[0].Config.ulimit [{"nofile": "65536:65536"}]
#> .TaskGroups[0].Tasks[0].Config.dns_servers ["8.8.8.8"]
#> .TaskGroups[0].Tasks[0].Config.sysctl [{"net.core.somaxconn": "16384"}]
#> .TaskGroups[0].Tasks[0].Resources.Networks[0].MBits 50
#> .TaskGroups[0].Tasks[0].Resources.Networks[0].DynamicPorts [{"Label": "http"}]
#> .TaskGroups[0].Tasks[0].Resources.Networks[0].ReservedPorts [{"Label": "admin", "Value": 9000}]
#> .TaskGroups[0].Tasks[0].Services[0].PortLabel "http"
job "legacy" {
  datacenters = ["dc1"]
  group "web" {
    task "web" {
      driver = "docker"
      config {
        image = "registry.example/web:latest"
        port_map {
          http  = 8080
          admin = 9000
        }
        labels {
          team = "core"
          tier = "1"
        }
        auth {
          username       = "ci"
          password       = "s3cr$t"
          server_address = "registry.example"
        }
        logging {
          type = "syslog"
          config {
            syslog-address = "udp://logs.example:514"
            tag            = "{{.Name}}/{{.ID}}"
          }
        }
        ulimit {
          nofile = "65536:65536"
        }
        dns_servers = ["8.8.8.8"]
        sysctl      = { "net.core.somaxconn" = "16384" }
      }
      service {
        name = "legacy-web"
        port = "http"
      }
      resources {
        network {
          mbits = 50
          port "http" {}
          port "admin" { static = 9000 }
        }
      }
    }
  }
}
