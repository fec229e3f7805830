#> .Datacenters ["dc1", "dc2"]
#> .Priority 75
#> .TaskGroups[0].Count 3
#> .TaskGroups[0].Tasks[0].Config {"image": "web:stable", "memory_hard_limit": 2048, "ports": ["http"]}
#> .TaskGroups[0].Tasks[0].Env {"TIER": "gold", "LIMIT": "none", "FLAGS": "a b"}
#> .TaskGroups[0].Tasks[0].User "nobody"
variable "settings" {
  type = object({
    tier  = string
    image = string
    limit = number
    flags = set(string)
  })
  default = {
    tier  = "gold"
    image = null
    limit = null
    flags = ["b", "a", "b"]
  }
}
locals {
  tiers = { gold = { priority = 75, count = 3, memory = 1024 }, silver = { priority = 50, count = 1, memory = 256 } }
  tier  = try(local.tiers[var.settings.tier], local.tiers["silver"])
  zones = can(var.settings.zones) ? var.settings.zones : ["dc1", "dc2"]
}
job "guarded" {
  datacenters = local.zones
  priority    = local.tier.priority
  group "g" {
    count = lookup(local.tier, "count", 1)
    task "t" {
      driver = "docker"
      user   = coalesce(null, "nobody")
      config {
        image             = "web:${coalesce(var.settings.image, "stable")}"
        memory_hard_limit = local.tier.memory * (var.settings.tier == "gold" ? 2 : 1)
        ports             = compact(["http", "", var.settings.image])
        dns_servers       = null
      }
      env {
        TIER  = var.settings.tier
        LIMIT = var.settings.limit == null ? "none" : "${var.settings.limit}"
        FLAGS = join(" ", var.settings.flags)
      }
    }
  }
}
