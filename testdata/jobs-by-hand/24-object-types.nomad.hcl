#> .TaskGroups[0].Tasks[0].Env.A "{\"flags\":[true,false],\"image\":\"a:1\",\"ports\":{\"http\":80}}"
variable "v" {
  type = object({ image = string, ports = map(number), flags = list(bool) })
  default = {
    image = "a:1"
    ports = { http = "80" }
    flags = ["true", false]
    more  = 1
  }
}
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env { A = jsonencode(var.v) }
    }
  }
}
