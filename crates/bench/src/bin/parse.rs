//! What reading a job file costs: text to the job, and to the form that is stored.
//!
//!     cargo run --release -p drover-bench --bin parse

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use drover_lang::Source;
use drover_lang::hcl::eval::{Budget, NoHost};
use drover_lang::hcl::vars::Inputs;
use drover_lang::jobspec::{Options, parse_job};
use drover_model::admission::{Surroundings, canonicalize, complete, validate};
use drover_rt::Clock;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A job of `groups` groups with about 40 lines each.
fn file(groups: usize) -> String {
    let mut text = "variable \"count\" {\n  type    = number\n  default = 3\n}\n\njob \"bench\" {\n  datacenters = [\"dc1\"]\n".to_owned();
    for group in 0..groups {
        let _ = write!(
            text,
            r#"
  group "g{group}" {{
    count = var.count + {group} % 2
    network {{
      port "http" {{
        to = 8080
      }}
    }}
    service {{
      name     = "svc-{group}"
      port     = "http"
      provider = "nomad"
      tags     = [for index in range(3) : "tag-${{index}}"]
      check {{
        type     = "http"
        path     = "/health"
        interval = "10s"
        timeout  = "2s"
      }}
    }}
    task "web" {{
      driver = "raw_exec"
      config {{
        command = "/bin/server"
        args    = ["--port", "${{NOMAD_PORT_http}}", jsonencode({{ group = {group} }})]
      }}
      env {{
        NAME = upper("name-{group}")
      }}
      template {{
        destination = "local/app.conf"
        data        = <<-EOT
          listen {{{{ env "NOMAD_ADDR_http" }}}}
        EOT
      }}
      resources {{
        cpu    = 100
        memory = 64
      }}
    }}
  }}
"#
        );
    }
    text.push_str("}\n");
    text
}

fn main() {
    let clock = Clock::system();
    println!("{:>7} {:>7} {:>12} {:>12} {:>8}", "lines", "groups", "parse", "+ stored", "aim");
    for (groups, aim) in [(1, "0.5 ms"), (50, "5 ms")] {
        let text = file(groups);
        let mut times: Vec<(Duration, Duration)> = Vec::new();
        for _ in 0..200 {
            let started = clock.monotonic();
            let host = NoHost::default();
            let source = Source::new("bench.nomad.hcl", text.as_str());
            let options = Options { inputs: Inputs::default(), host: &host, budget: Budget::default() };
            let Ok(parsed) = parse_job(&source, &options) else {
                println!("the file of {groups} groups cannot be read");
                return;
            };
            let read = clock.monotonic();
            let mut job = parsed.job;
            canonicalize(&mut job, &Surroundings { region: "global", namespace: "default" });
            complete(&mut job);
            black_box(validate(&job));
            black_box(&job);
            let done = clock.monotonic();
            times.push((read.since(started), done.since(started)));
        }
        times.sort();
        let (read, done) = times[times.len() / 2];
        println!(
            "{:>7} {groups:>7} {:>9.3} ms {:>9.3} ms {aim:>8}",
            text.lines().count(),
            read.as_secs_f64() * 1e3,
            done.as_secs_f64() * 1e3
        );
    }
}
