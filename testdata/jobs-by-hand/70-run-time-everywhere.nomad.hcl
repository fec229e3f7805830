# What is known at run time only survives in every kind of field, beside templates of three languages.
#> .Datacenters ["${attr.platform.dc}"]
#> .Constraints[0].RTarget "${meta.k}-${node.class}"
#> .TaskGroups[0].Tasks[0].Env {"A": "${attr.cpu.arch}", "B": "%{ if }", "C-d": "{{ with $x := .Y }}{{ $x }}{{ end }}", "D": "${NOMAD_ALLOC_DIR}/${env[\"HOME\"]}/${attr.os[\"name\"]}/${meta.a[0]}"}
#> .TaskGroups[0].Tasks[0].Config.args[1] "--n=1:${NOMAD_PORT_http}:${attr.unique.network.ip-address}"
#> .TaskGroups[0].Tasks[0].Config.nested [{"a": [{"b": "{\"n\":[1,\"${attr.x}\"],\"t\":\"${node.unique.id}\"}"}]}]
#> .TaskGroups[0].Tasks[0].Resources.CPU 101
#> .TaskGroups[0].Tasks[0].Resources.MemoryMB 100
#> .TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl "          {{- range $i, $s := service \"web|any\" }}\n          server ${NOMAD_META_x}_{{ $i }} {{ .Address }}:{{ .Port }} # ${not} %{not}\n          {{- end }}\n            a {{ env \"a\" }}\n            b {{ env \"b\" }}\n\n          {{ with nomadVar \"nomad/jobs/${NOMAD_JOB_ID}\" }}{{ .x | toJSON }}{{ end }}\n"
variable "env" {
 default = { A = "$${attr.cpu.arch}", B = "%%{ if }" , "C-d" = "{{ with $x := .Y }}{{ $x }}{{ end }}" }
}
job "rt" {
  datacenters = ["${attr.platform.dc}"]
  type = "service"
  constraint {
    attribute = "${attr.kernel.name}"
    value     = "${meta.k}-${node.class}"
    operator  = "="
  }
  group "g" {
    count = 1
    task "t" {
      driver = "raw_exec"
      env = merge(var.env, { D = "${NOMAD_ALLOC_DIR}/${env["HOME"]}/${attr.os["name"]}/${meta.a[0]}" })
      config {
        command = "${NOMAD_TASK_DIR}/x"
        args    = [ for i in range(2) : "--n=${i}:${NOMAD_PORT_http}:${attr.unique.network.ip-address}" ]
        nested { a = { b = jsonencode({ t = "${node.unique.id}", n = [1, "${attr.x}"] }) } }
      }
      template {
        destination = "local/x"
        data = <<-EOT
          {{- range $i, $s := service "web|any" }}
          server ${NOMAD_META_x}_{{ $i }} {{ .Address }}:{{ .Port }} # $${not} %%{not}
          {{- end }}
            %{~ for k in ["a", "b"] ~}
            ${k} {{ env "${k}" }}
            %{~ endfor ~}

          {{ with nomadVar "nomad/jobs/${NOMAD_JOB_ID}" }}{{ .x | toJSON }}{{ end }}
        EOT
      }
      resources { 
        cpu = 1 + 2 * 50
        memory = floor(100.9)
      }
    }
  }
}
