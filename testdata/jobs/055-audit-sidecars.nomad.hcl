locals {
  tasks = {
    proxy = { cpu = 90, hook = "prestart", args = ["--upstream", "127.0.0.1:8080"] }
    logs  = { cpu = 20, hook = "poststart", args = [] }
    clean = { cpu = 10, hook = "poststop", args = ["--all"] }
  }
}

job "audit" {
  group "pod" {
    count = 2
    ephemeral_disk {
      size    = 700
      sticky  = true
      migrate = true
    }
    restart {
      attempts = 3
      interval = "10m"
      delay    = "15s"
      mode     = "delay"
    }
    task "main" {
      leader = true
      driver = "raw_exec"
      config {
        command = "/srv/audit"
      }
    }
    dynamic "task" {
      for_each = local.tasks
      labels   = ["audit-${task.key}"]
      content {
        driver = "exec"
        lifecycle {
          hook    = task.value.hook
          sidecar = task.value.hook != "poststop"
        }
        config {
          command = "/bin/${task.key}"
          args    = task.value.args
        }
        resources {
          cpu    = task.value.cpu
          memory = 32
        }
        dynamic "template" {
          for_each = task.key == "logs" ? ["a", "b"] : []
          iterator = file
          content {
            data        = "{{ key \"${file.value}\" }}"
            destination = "local/${file.value}.conf"
            perms       = "0600"
          }
        }
      }
    }
  }
}
