job "tracing-dispatch" {
  type = "batch"
  parameterized {
    payload       = "required"
    meta_required = ["CUSTOMER"]
    meta_optional = ["TRACE", "LIMIT"]
  }
  meta {
    LIMIT = 70
  }
  group "g" {
    task "convert" {
      driver = "exec"
      config {
        command = "/bin/convert"
        args    = ["--customer", "${NOMAD_META_CUSTOMER}", "--limit=${NOMAD_META_LIMIT}"]
      }
      dispatch_payload {
        file = "input.json"
      }
      resources {
        cpu        = 270
        memory     = 128
        memory_max = 512
      }
      logs {
        max_files     = 1
        max_file_size = 4
      }
    }
  }
}
