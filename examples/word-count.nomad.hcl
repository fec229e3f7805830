# A batch job over real files: counts the words of a text, most frequent first.
variable "input" {
  type        = string
  description = "Path of a text file on the node."
}

job "word-count" {
  type = "batch"

  group "work" {
    task "count" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args = [
          "-c",
          "tr -s '[:space:]' '\\n' < ${var.input} | LC_ALL=C sort | uniq -c | LC_ALL=C sort -k1,1nr -k2,2 | sed 's/^ *//' > local/counts.txt && wc -l < local/counts.txt",
        ]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
