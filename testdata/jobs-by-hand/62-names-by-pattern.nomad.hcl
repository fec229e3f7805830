#> .ID "acme-shop-v2-14-1"
#> .Meta {"short": "acme-shop", "digits": "2-14-1", "masked": "****-****-1234", "swapped": "b.a"}
#> .TaskGroups[0].Constraints [{"LTarget": "${attr.os.version}", "RTarget": "^(20|22|24)\\.04$", "Operand": "regexp"}, {"LTarget": "${attr.nomad.version}", "RTarget": ">= 1.6.0-beta.1, < 3.0.0", "Operand": "semver"}, {"LTarget": "${driver.docker.version}", "RTarget": "~> 24.0", "Operand": "version"}]
variable "branch" {
  default = "acme/shop v2.14.1"
}
locals {
  slug = lower(regex_replace(var.branch, "[^A-Za-z0-9]+", "-"))
}
job "shop" {
  id = local.slug
  meta {
    short   = join("-", slice(split("-", local.slug), 0, 2))
    digits  = regex_replace(local.slug, "^\\D+", "")
    masked  = regex_replace("5105-1051-1234", "\\d{4}-", "****-")
    swapped = regex_replace("a.b", "(\\w)\\.(\\w)", "$2.$1")
  }
  group "g" {
    constraint {
      attribute = "${attr.os.version}"
      operator  = "regexp"
      value     = "^(20|22|24)\\.04$"
    }
    constraint {
      attribute = "${attr.nomad.version}"
      semver    = ">= 1.6.0-beta.1, < 3.0.0"
    }
    constraint {
      attribute = "${driver.docker.version}"
      version   = "~> 24.0"
    }
    task "t" {
      driver = "docker"
      config { image = "acme/${split("-", local.slug)[1]}" }
    }
  }
}
