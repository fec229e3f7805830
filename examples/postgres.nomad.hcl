# PostgreSQL: a task before it makes the database, then the server runs as the same unprivileged user.
variable "root" {
  type        = string
  default     = ""
  description = "Where the programs are unpacked; empty for installed ones."
}

variable "user" {
  type    = string
  default = "nobody"
}

locals {
  bin  = "${var.root}/usr/lib/postgresql/15/bin"
  libs = "${var.root}/usr/lib/x86_64-linux-gnu:${var.root}/lib/x86_64-linux-gnu:${var.root}/usr/lib/postgresql/15/lib"
}

job "postgres" {
  group "db" {
    network {
      port "db" {}
    }

    service {
      name     = "postgres"
      port     = "db"
      provider = "nomad"

      check {
        type     = "tcp"
        interval = "1s"
        timeout  = "1s"
      }
    }

    update {
      min_healthy_time = "1s"
      healthy_deadline = "2m"
    }

    task "init" {
      driver = "raw_exec"
      user   = var.user

      lifecycle {
        hook = "prestart"
      }

      config {
        command = "/bin/sh"
        args = [
          "-c",
          "test -e $NOMAD_ALLOC_DIR/data/pg/PG_VERSION || ${local.bin}/initdb -D $NOMAD_ALLOC_DIR/data/pg -U drover -A trust -N",
        ]
      }

      env {
        LD_LIBRARY_PATH = local.libs
      }
    }

    task "server" {
      driver      = "raw_exec"
      user        = var.user
      kill_signal = "SIGINT"

      config {
        command = "${local.bin}/postgres"
        args = [
          "-D", "${NOMAD_ALLOC_DIR}/data/pg",
          "-h", "${NOMAD_IP_db}",
          "-p", "${NOMAD_PORT_db}",
          "-k", "",
          "-c", "shared_buffers=16MB",
        ]
      }

      env {
        LD_LIBRARY_PATH = local.libs
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
