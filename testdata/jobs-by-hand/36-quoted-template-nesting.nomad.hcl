#> .TaskGroups[0].Tasks[0].Env.A "<A>-<B>"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env { A = "${join("-", [for x in ["a", "b"] : "<${upper("${x}")}>"])}" }
    }
  }
}
