#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "a\\tb\\n \"q\" \\${x} ${y}\n"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      template {
        data = <<EOF
a\tb\n "q" \${x} $${y}
EOF
      }
    }
  }
}
