#> .ID "j é"
job "j \u00e9" {
  group "g" {
    task "t" {
      driver = "exec"
    }
  }
}
