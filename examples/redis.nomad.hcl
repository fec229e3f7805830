# Redis with its configuration from a template, a port of its own, and a check.
variable "root" {
  type        = string
  default     = ""
  description = "Where the program is unpacked; empty for an installed one."
}

job "redis" {
  group "cache" {
    network {
      port "redis" {}
    }

    service {
      name     = "redis"
      port     = "redis"
      provider = "nomad"

      check {
        type     = "tcp"
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
      kill_signal = "SIGTERM"

      config {
        command = "${var.root}/usr/bin/redis-server"
        args    = ["local/redis.conf"]
      }

      env {
        LD_LIBRARY_PATH = "${var.root}/usr/lib/x86_64-linux-gnu:${var.root}/lib/x86_64-linux-gnu"
      }

      template {
        destination = "local/redis.conf"
        data        = <<-CONF
          bind {{ env "NOMAD_IP_redis" }}
          port {{ env "NOMAD_PORT_redis" }}
          dir {{ env "NOMAD_TASK_DIR" }}
          maxmemory 64mb
          save ""
        CONF
      }

      resources {
        cpu    = 100
        memory = 96
      }
    }
  }
}
