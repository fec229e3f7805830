#> .TaskGroups[0].Tasks[0].Resources.Devices[0] {"Name": "nvidia/gpu/A100", "Count": 4, "Constraints": [{"LTarget": "${device.attr.memory}", "RTarget": "40 GiB", "Operand": ">="}], "Affinities": [{"LTarget": "${device.model}", "RTarget": "A100-SXM4", "Operand": "regexp", "Weight": -25}]}
#> .TaskGroups[0].Tasks[0].Resources.NUMA {"Affinity": "require", "Devices": ["nvidia/gpu/A100"]}
#> .Affinities[0] {"LTarget": "${node.class}", "RTarget": "gpu,large", "Operand": "set_contains_any", "Weight": 80}
#> .Spreads [{"Attribute": "${meta.rack}", "Weight": null, "SpreadTarget": [{"Value": "r1", "Percent": 70}, {"Value": "r2", "Percent": 30}]}]
job "train" {
  type = "batch"
  affinity {
    attribute        = "${node.class}"
    set_contains_any = "gpu,large"
    weight           = 80
  }
  spread {
    attribute = "${meta.rack}"
    dynamic "target" {
      for_each = { r1 = 70, r2 = 30 }
      labels   = [target.key]
      content {
        percent = target.value
      }
    }
  }
  group "train" {
    task "train" {
      driver = "docker"
      config { image = "train:1" }
      resources {
        cores  = 8
        memory = 65536
        numa {
          affinity = "require"
          devices  = ["nvidia/gpu/A100"]
        }
        device "nvidia/gpu/A100" {
          count = 4
          constraint {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = "40 GiB"
          }
          affinity {
            attribute = "${device.model}"
            regexp    = "A100-SXM4"
            weight    = -25
          }
        }
      }
    }
  }
}
