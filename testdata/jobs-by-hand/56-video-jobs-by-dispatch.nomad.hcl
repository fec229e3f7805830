#> .ParameterizedJob {"Payload": "required", "MetaRequired": ["input", "profile"], "MetaOptional": ["priority"]}
#> .TaskGroups[0].Tasks[0].DispatchPayload {"File": "job.json"}
#> .TaskGroups[0].Tasks[0].Config.args ["-i", "${NOMAD_META_INPUT}", "-vf", "scale=${NOMAD_META_PROFILE}", "${NOMAD_TASK_DIR}/out.mp4"]
#> .TaskGroups[0].ReschedulePolicy {"Attempts": 0, "Interval": null, "Delay": null, "DelayFunction": null, "MaxDelay": null, "Unlimited": false}
#> .TaskGroups[0].EphemeralDisk {"Sticky": null, "Migrate": null, "SizeMB": 10240}
#> .TaskGroups[0].Tasks[0].Resources.MemoryMaxMB 4096
job "transcode" {
  type = "batch"
  parameterized {
    payload       = "required"
    meta_required = ["input", "profile"]
    meta_optional = ["priority"]
  }
  group "ffmpeg" {
    ephemeral_disk {
      size = 10 * 1024
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "ffmpeg" {
      driver = "exec"
      dispatch_payload { file = "job.json" }
      config {
        command = "/usr/bin/ffmpeg"
        args    = ["-i", "${NOMAD_META_INPUT}", "-vf", "scale=${NOMAD_META_PROFILE}", "${NOMAD_TASK_DIR}/out.mp4"]
      }
      resources {
        cores      = 2
        memory     = 1024
        memory_max = 4096
      }
    }
  }
}
