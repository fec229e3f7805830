job "payments-dispatch" {
  type = "batch"
  parameterized {
    payload       = "forbidden"
    meta_required = ["CUSTOMER"]
    meta_optional = ["TRACE", "LIMIT"]
  }
  meta {
    LIMIT = 56
  }
  group "g" {
    task "convert" {
      driver = "exec"
      config {
        command = "/bin/convert"
        args    = ["--customer", "${NOMAD_META_CUSTOMER}", "--limit=${NOMAD_META_LIMIT}"]
      }

      resources {
        cpu        = 256
        memory     = 128
        memory_max = 512
      }
      logs {
        max_files     = 2
        max_file_size = 4
      }
    }
  }
}
