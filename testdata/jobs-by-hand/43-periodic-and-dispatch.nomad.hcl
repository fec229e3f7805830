#> .Periodic.Specs ["*/5 * * * *","@daily"]
#> .Periodic.SpecType "cron"
#> .ParameterizedJob.MetaRequired ["a"]
#> .TaskGroups[0].Tasks[0].DispatchPayload.File "in.json"
job "j" {
  type = "batch"
  periodic {
    crons            = ["*/5 * * * *", "@daily"]
    prohibit_overlap = true
    time_zone        = "Europe/Berlin"
  }
  parameterized {
    payload       = "required"
    meta_required = ["a"]
  }
  group "g" {
    task "t" {
      driver = "exec"
      dispatch_payload { file = "in.json" }
    }
  }
}
