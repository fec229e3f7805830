//! `job init`: an example job file to start from.

use std::borrow::Cow;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use drover_api::{Variable, VariableMetadata};

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::sdk::{Query, segment};

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("short", "Write the shortest file that runs something."),
    Flag::switch("connect", "Write an example of two services that reach each other through proxies."),
    Flag::value("template", "name", "Write the template of this name, which lies in the variable nomad/job-templates/<name>."),
    Flag::switch("list-templates", "Print the names of the templates there are."),
];

const DEFAULT_NAME: &str = "example.nomad.hcl";
/// Where the templates lie, and under which key each of them.
const TEMPLATES: &str = "nomad/job-templates/";
const TEMPLATE_ITEM: &str = "template";

pub(super) async fn run(context: &mut Context) -> Outcome {
    if context.flags.on("list-templates") {
        return list_templates(context).await;
    }
    let name = match context.arguments() {
        [] => DEFAULT_NAME.to_owned(),
        [name] => name.clone(),
        _ => return Err(Failure::usage("This command takes no arguments or one: <filename>")),
    };
    let content = match (context.flags.text("template"), context.flags.on("connect"), context.flags.on("short")) {
        (Some(template), _, _) => Cow::Owned(template_of(context, template).await?),
        (None, true, _) => CONNECT.into(),
        (None, false, true) => SHORT.into(),
        (None, false, false) => FULL.into(),
    };
    let path = context.environment.directory.join(&name);
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o660).open(&path);
    let mut file = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::new(format!("Job '{name}' already exists")),
        _ => Failure::new(format!("Failed to create '{name}': {error}")),
    })?;
    file.write_all(content.as_bytes()).map_err(|error| Failure::new(format!("Failed to write '{name}': {error}")))?;
    context.ui.output(format!("Example job file written to {name}"));
    Ok(0)
}

async fn template_of(context: &Context, name: &str) -> Result<String, Failure> {
    let place = format!("/v1/var/{TEMPLATES}{}", segment(name));
    let variable = match context.client()?.get::<Variable>(&place, &Query::new()).await {
        Ok(answer) => answer.value,
        Err(error) if error.is_code(404) => {
            return Err(Failure::new(format!("No job template \"{name}\"; -list-templates prints those there are")));
        }
        Err(error) => return Err(error).attempt("Error retrieving job template"),
    };
    variable.items.and_then(|mut items| items.remove(TEMPLATE_ITEM)).ok_or_else(|| {
        Failure::new(format!("The variable {TEMPLATES}{name} has no item \"{TEMPLATE_ITEM}\", under which the job file is looked for"))
    })
}

async fn list_templates(context: &Context) -> Outcome {
    let query = Query::new().set("prefix", TEMPLATES);
    let found = context.client()?.get::<Vec<VariableMetadata>>("/v1/vars", &query).await.attempt("Error retrieving job templates")?.value;
    if found.is_empty() {
        context.ui.output(format!("No job templates; \"drover var put {TEMPLATES}<name> {TEMPLATE_ITEM}=@<file>\" makes one"));
    }
    for variable in found {
        context.ui.output(variable.path.strip_prefix(TEMPLATES).unwrap_or(&variable.path));
    }
    Ok(0)
}

const SHORT: &str = r#"job "example" {
  group "web" {
    network {
      port "http" {}
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = "python3"
        args    = ["-m", "http.server", "${NOMAD_PORT_http}"]
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
"#;

const FULL: &str = r#"# A job is what you hand in: "drover job run example.nomad.hcl" starts it,
# running it again after an edit updates it, "drover job stop example" ends it.
job "example" {
  # "service" runs until it is stopped, "batch" runs until it is done.
  type = "service"

  # How a change reaches a running job: one allocation after the other, each
  # healthy for a while before the next; back to the last good version if not.
  update {
    max_parallel      = 1
    min_healthy_time  = "5s"
    healthy_deadline  = "2m"
    progress_deadline = "5m"
    auto_revert       = true
  }

  # A group is a set of tasks that run together on one machine.
  group "web" {
    # How many allocations of the group there are.
    count = 1

    # A port that is free on the machine; tasks find it as NOMAD_PORT_http.
    network {
      port "http" {}
    }

    # What others look up ("drover service info example-web"), and the check
    # that tells whether it works.
    service {
      name     = "example-web"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/"
        interval = "5s"
        timeout  = "2s"
      }
    }

    # What happens when a task ends although it should not.
    restart {
      attempts = 3
      interval = "5m"
      delay    = "5s"
      mode     = "fail"
    }

    task "server" {
      # "raw_exec" starts a program as the agent's user; "exec" isolates it.
      driver = "raw_exec"

      config {
        command = "python3"
        args    = ["-m", "http.server", "${NOMAD_PORT_http}", "--directory", "local"]
      }

      # A file in the task's directory.
      template {
        destination = "local/index.html"
        data        = "<h1>Hello from {{ env \"NOMAD_ALLOC_ID\" }}</h1>\n"
      }

      env {
        GREETING = "hello"
      }

      # What the scheduler sets aside: MHz and MiB.
      resources {
        cpu    = 100
        memory = 64
      }

      logs {
        max_files     = 3
        max_file_size = 5
      }
    }
  }
}
"#;

const CONNECT: &str = r#"# Two services that reach each other through proxies of Consul's service mesh.
job "countdash" {
  group "api" {
    # Proxies need a network of the group's own.
    network {
      mode = "bridge"
    }

    service {
      name = "count-api"
      port = "9001"

      connect {
        sidecar_service {}
      }
    }

    task "web" {
      driver = "docker"

      config {
        image = "hashicorpdev/counter-api:v3"
      }
    }
  }

  group "dashboard" {
    network {
      mode = "bridge"

      port "http" {
        static = 9002
        to     = 9002
      }
    }

    service {
      name = "count-dashboard"
      port = "9002"

      connect {
        sidecar_service {
          proxy {
            # The other service, as a port of this group's loopback address.
            upstreams {
              destination_name = "count-api"
              local_bind_port  = 8080
            }
          }
        }
      }
    }

    task "dashboard" {
      driver = "docker"

      env {
        COUNTING_SERVICE_URL = "http://${NOMAD_UPSTREAM_ADDR_count_api}"
      }

      config {
        image = "hashicorpdev/counter-dashboard:v3"
      }
    }
  }
}
"#;
