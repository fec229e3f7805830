#> .TaskGroups[0].Count 2
#> .TaskGroups[0].Tasks[0].Config.args ["a","b"]
/* a */ job /* b */ "j" /* c */ { // d
  group "g" { # e
    count = /* f */ 2 /* g */ // h
    task "t" {
      driver = "exec" # i
      config {
        args = [ # j
          "a", // k
          /* l */ "b", # m
        ]
      }
    }
  }
}
# the end