# nginx serving one page, configured by templates, checked over HTTP.
variable "root" {
  type        = string
  default     = ""
  description = "Where the program is unpacked; empty for an installed one."
}

job "nginx" {
  group "web" {
    network {
      port "http" {}
    }

    service {
      name     = "nginx"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/"
        interval = "1s"
        timeout  = "1s"
      }
    }

    update {
      min_healthy_time = "1s"
      healthy_deadline = "1m"
    }

    task "server" {
      driver      = "raw_exec"
      kill_signal = "SIGQUIT"

      config {
        command = "${var.root}/usr/sbin/nginx"
        args    = ["-p", "local/", "-c", "nginx.conf", "-e", "error.log"]
      }

      env {
        LD_LIBRARY_PATH = "${var.root}/usr/lib/x86_64-linux-gnu:${var.root}/lib/x86_64-linux-gnu"
      }

      template {
        destination = "local/nginx.conf"
        data        = <<-CONF
          daemon off;
          user root;
          worker_processes 1;
          pid nginx.pid;
          events { worker_connections 64; }
          http {
            access_log off;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            server {
              listen {{ env "NOMAD_ADDR_http" }};
              root {{ env "NOMAD_TASK_DIR" }}/html;
            }
          }
        CONF
      }

      template {
        destination = "local/html/index.html"
        data        = "<h1>Served by {{ env \"NOMAD_ALLOC_NAME\" }}</h1>\n"
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
