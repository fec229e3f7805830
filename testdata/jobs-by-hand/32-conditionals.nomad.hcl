#> .TaskGroups[0].Count 3
#> .TaskGroups[0].Update.Canary 1
#> .TaskGroups[0].Migrate null
variable "prod" { default = true }
job "j" {
  group "g" {
    count = var.prod ? 3 : 1
    dynamic "update" {
      for_each = var.prod ? [1] : []
      content {
        canary = 1
      }
    }
    dynamic "migrate" {
      for_each = var.prod ? [] : [1]
      content {
        max_parallel = 1
      }
    }
    task "t" { driver = "exec" }
  }
}
