#> .Constraints[0].Operand "distinct_hosts"
#> .Constraints[1].Operand "semver"
#> .Constraints[1].RTarget ">= 1.4"
#> .Constraints[2].LTarget "${meta.rack}"
#> .Constraints[2].RTarget "2"
job "j" {
  constraint { distinct_hosts = true }
  constraint {
    attribute = "${attr.nomad.version}"
    semver    = ">= 1.4"
  }
  constraint {
    distinct_property = "${meta.rack}"
    value             = 2
  }
  group "g" {
    task "t" { driver = "exec" }
  }
}
