variable "features" {
  type    = map(bool)
  default = { dark_mode = true, beta = false, "with space" = true }
}

locals {
  settings = {
    name     = "orders"
    features = [for name, on in var.features : replace(name, "/\\s+/", "_") if on]
    limits   = { cpu = 5950, ratio = 59.25, nothing = null }
    nested   = [[1, 2], { deep = { er = true } }]
  }
  digest = substr(sha256(jsonencode(local.settings)), 0, 12)
}

job "orders" {
  meta {
    digest = local.digest
    upper  = upper("orders")
  }
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/orders"
        args    = ["--settings", jsonencode(local.settings)]
      }
      env {
        SETTINGS = base64encode(jsonencode(local.settings))
        AGAIN    = jsonencode(jsondecode("{\"x\":[1,2,{\"y\":null}]}"))
        YAML     = yamlencode({ a = [1, "two"], b = { c = true } })
        QUERY    = urlencode("a=1&b=orders 59")
      }
      template {
        destination = "local/${local.digest}.json"
        data        = jsonencode(merge(local.settings, { extra = range(5) }))
      }
    }
  }
}
