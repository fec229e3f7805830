variable "image" {
  type    = string
  default = "registry.invalid:5000/team/ledger:v4.2.3-rc1"
  validation {
    condition     = length(split(":", var.image)) >= 2
    error_message = "The image needs a tag."
  }
}

locals {
  tag     = element(split(":", var.image), length(split(":", var.image)) - 1)
  plain   = regex_replace(local.tag, "^v([0-9]+)\\.([0-9]+).*$", "$1.$2")
  name    = regex_replace(var.image, ".*/([^:/]+):.*", "$1")
  labels  = { for pair in split(",", "a=1,b=2,c=4") : split("=", pair)[0] => parseint(split("=", pair)[1], 10) }
  escaped = "a\tb\"c\\d\u00e9"
}

job "ledger" {
  constraint {
    attribute = "${attr.kernel.version}"
    operator  = "regexp"
    value     = "^[4-6]\\.(1[0-9]|[0-9])"
  }
  group "g" {
    constraint {
      attribute = "${meta.rack}"
      regexp    = "^r(1|2|4)$"
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "echo ${local.name} ${local.plain} | sed -E 's/([a-z]+)-(.*)/\\2/'"]
      }
      meta {
        labels  = join(",", [for k, v in local.labels : "${k}:${v * 2}"])
        escaped = local.escaped
      }
    }
  }
}
