#> .TaskGroups[0].Count 3
variable "n" {
  type    = number
  default = 3
  validation {
    condition     = var.n > 0 && var.n < 10
    error_message = "From 1 to 9."
  }
  validation {
    condition     = contains([1, 3, 5], var.n)
    error_message = "Odd."
  }
}
job "j" {
  group "g" {
    count = var.n
    task "t" { driver = "exec" }
  }
}
