#> .TaskGroups[0].Tasks[0].Config {"jar_path": "local/app.jar", "jvm_options": ["-Xmx2048m", "-Dspring.profiles.active=prod,eu"]}
#> .TaskGroups[0].Tasks[1].Config {"image_path": "local/linux.img", "accelerator": "kvm", "graceful_shutdown": true, "args": ["-nodefaults", "-nodefconfig"], "port_map": [{"ssh": 22}]}
#> .TaskGroups[0].Tasks[2].Config.image "docker://docker.io/library/redis:7"
#> .TaskGroups[0].Tasks[2].Config.tmpfs ["/var"]
#> .TaskGroups[0].Tasks[2].Config.logging [{"driver": "journald", "options": [{"tag": "redis"}, {"labels": "a"}]}]
#> .TaskGroups[0].Tasks[2].KillSignal "SIGQUIT"
job "drivers" {
  group "g" {
    task "java" {
      driver = "java"
      config {
        jar_path    = "local/app.jar"
        jvm_options = ["-Xmx${2 * 1024}m", "-Dspring.profiles.active=${join(",", ["prod", "eu"])}"]
      }
    }
    task "vm" {
      driver = "qemu"
      config {
        image_path        = "local/linux.img"
        accelerator       = "kvm"
        graceful_shutdown = true
        args              = ["-nodefaults", "-nodefconfig"]
        port_map {
          ssh = 22
        }
      }
    }
    task "podman" {
      driver      = "podman"
      kill_signal = "SIGQUIT"
      config {
        image = "docker://docker.io/library/redis:7"
        tmpfs = ["/var"]
        logging = {
          driver = "journald"
          options = [
            { "tag" = "redis" },
            { "labels" = "a" },
          ]
        }
      }
    }
  }
}
