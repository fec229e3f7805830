job "shipping-dispatch" {
  type = "batch"
  parameterized {
    payload       = "optional"
    meta_required = ["CUSTOMER"]
    meta_optional = ["TRACE", "LIMIT"]
  }
  meta {
    LIMIT = 63
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
        cpu        = 263
        memory     = 128
        memory_max = 512
      }
      logs {
        max_files     = 4
        max_file_size = 4
      }
    }
  }
}
