#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "server a\nserver b\nend\n"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      template {
        data = <<EOF
%{ for p in ["a", "b"] ~}
server ${p}
%{ endfor ~}
end
EOF
      }
    }
  }
}
