job "sessions-dispatch" {
  type = "batch"
  parameterized {
    payload       = "forbidden"
    meta_required = ["CUSTOMER"]
    meta_optional = ["TRACE", "LIMIT"]
  }
  meta {
    LIMIT = 14
  }
  group "g" {
    task "convert" {
      driver = "exec"
      config {
        command = "/bin/convert"
        args    = ["--customer", "${NOMAD_META_CUSTOMER}", "--limit=${NOMAD_META_LIMIT}"]
      }

      resources {
        cpu        = 214
        memory     = 128
        memory_max = 512
      }
      logs {
        max_files     = 5
        max_file_size = 4
      }
    }
  }
}
