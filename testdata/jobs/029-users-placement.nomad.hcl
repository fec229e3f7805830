locals {
  racks = formatlist("r%d", range(1, 6))
  share = { for index, rack in local.racks : rack => floor(100 / length(local.racks)) }
}

job "users" {
  node_pool   = "default"
  all_at_once = false
  affinity {
    attribute = "${node.class}"
    value     = "fast"
    weight    = 24
  }
  spread {
    attribute = "${meta.rack}"
    weight    = 80
    dynamic "target" {
      for_each = local.share
      labels   = [target.key]
      content {
        percent = target.value
      }
    }
  }
  update {
    max_parallel      = 2
    canary            = 1
    min_healthy_time  = "15s"
    healthy_deadline  = "3m"
    progress_deadline = "12m"
    auto_revert       = true
    auto_promote      = true
  }
  group "g" {
    count = 7
    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }
    constraint {
      attribute = "${attr.nomad.version}"
      operator  = "semver"
      value     = ">= 1.5.0"
    }
    dynamic "constraint" {
      for_each = { "kernel.name" = "linux", "cpu.arch" = "amd64" }
      content {
        attribute = "$${attr.${constraint.key}}"
        value     = constraint.value
      }
    }
    migrate {
      max_parallel     = 1
      health_check     = "checks"
      min_healthy_time = "10s"
    }
    disconnect {
      lost_after = "4h"
      replace    = true
      reconcile  = "longest_running"
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/users"
      }
    }
  }
}
