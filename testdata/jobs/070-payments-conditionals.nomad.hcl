variable "environment" {
  type    = string
  default = "staging"
}
variable "overrides" {
  type    = map(number)
  default = {}
}

locals {
  sizes = {
    dev        = { count = 1, cpu = 50, memory = 64 }
    staging    = { count = 2, cpu = 100, memory = 128 }
    production = { count = 5, cpu = 500, memory = 1024 }
  }
  size      = merge(lookup(local.sizes, var.environment, local.sizes.dev), var.overrides)
  is_prod   = var.environment == "production" && !can(var.overrides.force_dev)
  greetings = [for word in ["one", "two", "three"] : title(word) if strlen(word) > 3 || local.is_prod]
  grouped   = { for word in ["apple", "avocado", "banana", "cherry", "cranberry"] : substr(word, 0, 1) => word... }
  text      = <<-TEXT
    %{ if local.is_prod ~}
    production
    %{ else ~}
    not production: ${var.environment}
    %{ endif ~}
    %{ for letter, words in local.grouped ~}
    ${letter}: ${join(", ", words)}
    %{ endfor ~}
  TEXT
}

job "payments-sized" {
  name = "payments-${var.environment}"
  meta {
    text      = local.text
    greetings = join(" ", local.greetings)
    first     = try(local.greetings[0], "none")
    number    = 52 % 7 + (3 * 4 - 2) / 5
  }
  group "g" {
    count = local.size.count
    task "t" {
      driver = local.is_prod ? "exec" : "raw_exec"
      config {
        command = "/bin/payments"
        args    = local.is_prod ? ["--quiet"] : ["--verbose", "--level=${coalesce(null, "debug")}"]
      }
      resources {
        cpu    = local.size.cpu
        memory = max(local.size.memory, 64)
      }
    }
  }
}
