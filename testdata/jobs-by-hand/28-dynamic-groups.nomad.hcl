#> .TaskGroups[0].Name "web-a"
#> .TaskGroups[1].Count 2
#> .TaskGroups[1].Tasks[0].Config.zone "b"
#> .TaskGroups[1].Tasks[0].Config.list ["1-0","1-1"]
variable "zones" { default = ["a", "b"] }
job "j" {
  dynamic "group" {
    for_each = var.zones
    iterator = z
    labels   = ["web-${z.value}"]
    content {
      count = z.key + 1
      dynamic "task" {
        for_each = setunion(["x"])
        labels   = [task.value]
        content {
          driver = "exec"
          config {
            zone = z.value
            list = [for i in range(2) : "${z.key}-${i}"]
          }
        }
      }
    }
  }
}
