#> .TaskGroups[0].Tasks[0].Env.A "a.b.c"
#> .TaskGroups[0].Tasks[0].Env.B "a/b/c"
#> .TaskGroups[0].Tasks[0].Env.C "x|y"
#> .TaskGroups[0].Tasks[0].Env.D "007 ab   | \"q\" true"
job "j" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        A = regex_replace("a-b_c", "[-_]", ".")
        B = replace("a.b.c", ".", "/")
        C = join("|", split(",", "x,y"))
        D = format("%03d %-5s| %q %v", 7, "ab", "q", true)
      }
    }
  }
}
