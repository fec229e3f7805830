#> .TaskGroups[0].Tasks[0].Env.CONFIG "{\"inner\":\"{\\\"a\\\":[1,2.5,null,true]}\",\"list\":[{\"id\":0,\"name\":\"x\"},{\"id\":1,\"name\":\"y\"}],\"tpl\":\"{{ .Value }}\",\"url\":\"https://a.example/?q=1\\u0026r=\\u003c2\\u003e\"}"
#> .TaskGroups[0].Tasks[0].Env.BACK "2.5"
#> .TaskGroups[0].Tasks[0].Env.YAML "\"a\":\n- 1\n- \"two\"\n\"b\":\n  \"c\": true\n"
#> .TaskGroups[0].Tasks[0].Env.B64 "eyJhIjpbMSwyLjUsbnVsbCx0cnVlXX0="
#> .TaskGroups[0].Tasks[0].Env.KEYS "a,b"
#> .TaskGroups[0].Tasks[0].Env.SUM "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"
locals {
  inner = jsonencode({ a = [1, 2.5, null, true] })
}
job "encoded" {
  group "g" {
    task "t" {
      driver = "raw_exec"
      config { command = "/bin/true" }
      env {
        CONFIG = jsonencode({
          inner = local.inner
          list  = [for id, name in ["x", "y"] : { id = id, name = name }]
          tpl   = "{{ .Value }}"
          url   = "https://a.example/?q=1&r=<2>"
        })
        BACK = jsondecode(local.inner).a[1]
        YAML = yamlencode({ a = [1, "two"], b = { c = true } })
        B64  = base64encode(local.inner)
        KEYS = join(",", sort(keys({ b = 1, a = 2 })))
        SUM  = sha256("2")
      }
    }
  }
}
