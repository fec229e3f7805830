#> .TaskGroups[0].Networks[0].ReservedPorts [{"Label": "web", "Value": 80}, {"Label": "websecure", "Value": 443}, {"Label": "admin", "Value": 8081}]
#> .TaskGroups[0].Services[0].Tags ["traefik.enable=true", "traefik.http.routers.dash.rule=Host(`edge.example.net`) && (PathPrefix(`/api`) || PathPrefix(`/dashboard`))", "traefik.http.middlewares.auth.basicauth.users=admin:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"]
#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "[entryPoints]\n    [entryPoints.web]\n    address = \":80\"\n{{ range services }}{{ .Name | toUpper }}\n{{ end }}\n[http.routers]\n  rule = \"HostRegexp(`{sub:[a-z]{2,}}.example.net`)\"\n"
job "edge" {
  type = "system"
  group "edge" {
    network {
      port "web" { static = 80 }
      port "websecure" { static = 443 }
      port "admin" { static = "8081" }
    }
    service {
      name = "edge"
      port = "admin"
      tags = [
        "traefik.enable=true",
        "traefik.http.routers.dash.rule=Host(`edge.example.net`) && (PathPrefix(`/api`) || PathPrefix(`/dashboard`))",
        "traefik.http.middlewares.auth.basicauth.users=admin:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/",
      ]
      check {
        type     = "http"
        path     = "/ping"
        port     = "admin"
        interval = "10s"
        timeout  = "2s"
      }
    }
    task "traefik" {
      driver = "docker"
      config {
        image        = "traefik:3.1"
        network_mode = "host"
        volumes      = ["local/traefik.toml:/etc/traefik/traefik.toml"]
      }
      template {
        destination = "local/traefik.toml"
        data        = <<EOF
[entryPoints]
    [entryPoints.web]
    address = ":80"
{{ range services }}{{ .Name | toUpper }}
{{ end }}
[http.routers]
  rule = "HostRegexp(`{sub:[a-z]{2,}}.example.net`)"
EOF
      }
    }
  }
}
