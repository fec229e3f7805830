#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "one\n  two\n\nthree\n"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      template {
        data = <<-EOF
          one
            two

          three
        EOF
      }
    }
  }
}
