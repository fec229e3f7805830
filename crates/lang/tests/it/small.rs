//! Durations, sizes, versions, globs and filters against recorded results.

use std::collections::BTreeSet;

use drover_lang::Source;
use drover_lang::bytesize::parse_byte_size;
use drover_lang::duration::parse_duration;
use drover_lang::filter::{Filter, Shape};
use drover_lang::glob::glob_matches;
use drover_lang::version::{Rules, Version, VersionConstraint};
use serde_json::{Value, json};

use crate::golden::{cell, finish, records, text};

#[test]
fn durations_agree_with_the_records() {
    let records: Vec<Value> = records("lang-durations").into_iter().filter(|record| text(record, "where") == "go").collect();
    let mut differences = Vec::new();
    for record in &records {
        let input = cell(record, "input");
        let found =
            parse_duration(&input).map_or_else(|error| format!("error: {}", error.to_string().replace('"', "\\\"")), |n| n.to_string());
        let wanted = text(record, "nanoseconds").replace("\\\\x", "\\x");
        if found != wanted {
            differences.push(format!("{input:?}: wanted {wanted}, found {found}"));
        }
    }
    finish("durations", records.len(), &differences);
}

#[test]
fn durations_of_job_files_agree_with_the_records() {
    use drover_lang::hcl::eval::{Budget, NoHost};
    use drover_lang::hcl::vars::Inputs;
    use drover_lang::jobspec::{Options, parse_job};
    let records: Vec<Value> = records("lang-durations").into_iter().filter(|record| text(record, "where").starts_with("jobspec")).collect();
    let mut differences = Vec::new();
    for record in &records {
        let (input, wanted) = (cell(record, "input"), text(record, "nanoseconds"));
        let key = if text(record, "where") == "jobspec" { "kill_timeout" } else { "shutdown_delay" };
        let source = format!("job \"j\" {{\n  group \"g\" {{\n    task \"t\" {{\n      {key} = {input}\n    }}\n  }}\n}}\n");
        let options = Options { inputs: Inputs::default(), host: &NoHost::default(), budget: Budget::default() };
        let found = parse_job(&Source::new("job.nomad.hcl", source), &options).map(|parsed| {
            let task = parsed.job.task_groups.unwrap_or_default().remove(0).tasks.unwrap_or_default().remove(0);
            if key == "kill_timeout" { task.kill_timeout } else { Some(task.shutdown_delay) }
        });
        let agree = match &found {
            Err(_) => wanted.starts_with("error"),
            Ok(None) => wanted == "unset",
            Ok(Some(nanoseconds)) => nanoseconds.to_string() == wanted || *nanoseconds == 0 && wanted == "unset",
        };
        if !agree {
            differences.push(format!("{key} = {input}: wanted {wanted}, found {found:?}"));
        }
    }
    finish("durations of job files", records.len(), &differences);
}

#[test]
fn durations_of_jobs_in_json_agree_with_the_records() {
    let records: Vec<Value> = records("lang-durations").into_iter().filter(|record| text(record, "where") == "api_job").collect();
    let mut differences = Vec::new();
    for record in &records {
        let (input, wanted) = (cell(record, "input"), text(record, "nanoseconds"));
        let Ok(value) = serde_json::from_str::<Value>(&input) else {
            differences.push(format!("{input} is not JSON"));
            continue;
        };
        let found = serde_json::from_value::<drover_api::Task>(json!({ "KillTimeout": value })).map(|task| task.kill_timeout);
        let agree = match &found {
            Err(_) => wanted.starts_with("error"),
            Ok(None) => wanted == "unset",
            Ok(Some(nanoseconds)) => nanoseconds.to_string() == wanted,
        };
        if !agree {
            differences.push(format!("{input}: wanted {wanted}, found {found:?}"));
        }
    }
    finish("durations of jobs in JSON", records.len(), &differences);
}

#[test]
fn durations_of_other_objects_in_json_agree_with_the_records() {
    use drover_lang::duration::{JsonForm, duration_in_json};
    let forms = [
        ("acl_token_ttl", JsonForm::Lenient),
        ("auth_method_leeway", JsonForm::TextOrNumber),
        ("auth_method_ttl", JsonForm::LenientNotEmpty),
        ("autopilot", JsonForm::TextOnly),
        ("intro_token_ttl", JsonForm::TextOrNumber),
        ("node_pool_ttl", JsonForm::Lenient),
        ("variable_lock_ttl", JsonForm::Lenient),
    ];
    let records = records("lang-durations");
    let (mut count, mut differences) = (0, Vec::new());
    for record in &records {
        let Some((_, form)) = forms.iter().find(|(name, _)| *name == text(record, "where")) else { continue };
        count += 1;
        let (input, wanted) = (cell(record, "input"), text(record, "nanoseconds"));
        let found = duration_in_json(&serde_json::from_str(&input).unwrap(), *form);
        let agree = match &found {
            Ok(nanoseconds) => nanoseconds.to_string() == wanted,
            Err(_) => wanted.starts_with("error"),
        };
        if !agree {
            differences.push(format!("{} {input}: wanted {wanted}, found {found:?}", text(record, "where")));
        }
    }
    // With those of job files, of jobs in JSON and of plain texts, every record is compared.
    let others = ["go", "jobspec", "jobspec_value", "api_job"];
    assert_eq!(records.iter().filter(|record| !others.contains(&text(record, "where"))).count(), count);
    finish("durations of other objects in JSON", count, &differences);
}

#[test]
fn blocks_read_by_plugin_schemas_agree_with_the_records() {
    use drover_lang::hcl::eval::{Budget, NoHost};
    use drover_lang::hcl::vars::Inputs;
    use drover_lang::hclspec::Schema;
    use drover_lang::jobspec::{Options, parse_job};
    let records = records("lang-hclspec");
    let mut differences = Vec::new();
    for record in &records {
        let (schema, written, wanted) = (text(record, "spec_protojson"), cell(record, "config_body"), text(record, "result"));
        let job = format!("job \"j\" {{\n  group \"g\" {{\n    task \"t\" {{\n      config {{\n{written}\n}}\n    }}\n  }}\n}}\n");
        let options = Options { inputs: Inputs::default(), host: &NoHost::default(), budget: Budget::default() };
        let task =
            parse_job(&Source::new("job.nomad.hcl", job), &options).unwrap().job.task_groups.unwrap().remove(0).tasks.unwrap().remove(0);
        let config: serde_json::Map<String, Value> =
            task.config.unwrap_or_default().into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect();
        let found = Schema::parse(&serde_json::from_str(schema).unwrap())
            .map_err(|error| vec![format!("spec: {error}")])
            .and_then(|schema| schema.decode(&config));
        // Numbers are the same when they are as floating ones.
        fn plain(value: &Value) -> Value {
            match value {
                Value::Number(number) => json!(number.as_f64()),
                Value::Array(list) => list.iter().map(plain).collect(),
                Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
                other => other.clone(),
            }
        }
        let agree = match &found {
            Ok(value) => serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| plain(&wanted) == plain(value)),
            // What is wrong is the same kind of thing, as often.
            Err(problems) => wanted.strip_prefix("error: ").is_some_and(|wanted| {
                let kinds =
                    |texts: Vec<&str>| texts.iter().map(|text| text.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
                kinds(wanted.split(" | ").collect()) == kinds(problems.iter().map(String::as_str).collect())
            }),
        };
        if !agree {
            differences.push(format!("{schema} {written:?}: wanted {wanted}, found {found:?}"));
        }
    }
    finish("plugin schemas", records.len(), &differences);
}

#[test]
fn byte_sizes_agree_with_the_records() {
    let records = records("lang-bytesizes");
    let mut differences = Vec::new();
    for record in &records {
        let input = cell(record, "input");
        let wanted = text(record, "bytes");
        match parse_byte_size(&input) {
            Ok(bytes) if bytes.to_string() == wanted => {}
            Err(_) if wanted.starts_with("error:") => {}
            other => differences.push(format!("{input:?}: wanted {wanted}, found {other:?}")),
        }
    }
    finish("byte sizes", records.len(), &differences);
}

#[test]
fn version_constraints_agree_with_the_records() {
    let records = records("lang-versions");
    let mut differences = Vec::new();
    for record in &records {
        let (constraint, version) = (cell(record, "constraint"), cell(record, "version"));
        let rules = if text(record, "operator") == "semver" { Rules::Semver } else { Rules::Version };
        let found = match (VersionConstraint::parse(&constraint, rules), Version::parse(&version)) {
            (Err(error), _) => format!("error: constraint: {error}"),
            (_, Err(error)) => format!("error: version: {error}"),
            (Ok(constraint), Ok(version)) => constraint.matches(&version).to_string(),
        };
        let wanted = text(record, "result");
        let agree = found == wanted
            || ["error: constraint:", "error: version:"].iter().any(|prefix| found.starts_with(prefix) && wanted.starts_with(prefix));
        if !agree {
            differences.push(format!("{} {constraint:?} {version:?}: wanted {wanted}, found {found}", text(record, "operator")));
        }
    }
    finish("version constraints", records.len(), &differences);
}

#[test]
fn globs_agree_with_the_records() {
    let records: Vec<Value> =
        records("lang-globs").into_iter().filter(|record| matches!(text(record, "kind"), "glob" | "node_dc")).collect();
    let mut differences = Vec::new();
    for record in &records {
        let (pattern, name) = (cell(record, "pattern_or_policies"), cell(record, "name"));
        let found = if text(record, "kind") == "glob" {
            glob_matches(&pattern, &name)
        } else {
            pattern.split(',').any(|pattern| glob_matches(pattern, &name))
        };
        if found.to_string() != text(record, "result") {
            differences.push(format!("{pattern:?} {name:?}: wanted {}, found {found}", text(record, "result")));
        }
    }
    finish("globs", records.len(), &differences);
}

fn filled(kind: &str, value: &Value) -> Value {
    match kind {
        "node" => json!(serde_json::from_value::<drover_api::Node>(value.clone()).unwrap()),
        "job" => json!(serde_json::from_value::<drover_api::Job>(value.clone()).unwrap()),
        "eval" => json!(serde_json::from_value::<drover_api::Evaluation>(value.clone()).unwrap()),
        "alloc" => json!(serde_json::from_value::<drover_api::Allocation>(value.clone()).unwrap()),
        "widget" => {
            let mut widget = value.clone();
            let fields = widget.as_object_mut().unwrap();
            fields.remove("Hidden");
            let renamed = fields.remove("Renamed").unwrap();
            fields.insert("alias".to_owned(), renamed);
            widget
        }
        _ => value.clone(),
    }
}

#[test]
fn filters_agree_with_the_records() {
    let objects = &records("lang-filters-objects")[0];
    let records = records("lang-filters");
    let maps = BTreeSet::from(["Meta", "NoMeta", "Counts", "ByName", "Anys", "m"]);
    let lists = BTreeSet::from(["Tags", "Empty", "Ports", "Children", "ChildPtr", "l"]);
    let mut differences = Vec::new();
    for record in &records {
        let (object, filter) = (text(record, "object"), cell(record, "filter"));
        let value = filled(object, &objects[object]["Value"]);
        let shape = match object {
            "map" | "claims" => Shape::untyped(),
            "widget" => Shape::of(&maps, &lists),
            "eval" => Shape::evaluation(),
            "node" => Shape::node(),
            "alloc" => Shape::allocation(),
            _ => Shape::api(),
        };
        let found = match Filter::parse(&filter) {
            Err(error) => format!("error: parse: {error}"),
            Ok(parsed) => match parsed.matches(&value, shape) {
                Ok(holds) => holds.to_string(),
                Err(error) => format!("error: evaluate: {error}"),
            },
        };
        let wanted = text(record, "result");
        let agree = found == wanted
            || ["error: parse:", "error: evaluate:"].iter().any(|prefix| found.starts_with(prefix) && wanted.starts_with(prefix));
        if !agree {
            differences.push(format!("{object}: {filter}: wanted {wanted}, found {found}"));
        }
    }
    finish("filters", records.len(), &differences);
}

#[test]
fn address_templates_agree_with_the_records() {
    use drover_lang::sockaddr::{Interface, addresses, interface_name, one_address};
    let loopback = Interface {
        name: "lo".to_owned(),
        flags: vec!["up".to_owned(), "loopback".to_owned()],
        addresses: vec!["127.0.0.1/8".parse().unwrap()],
        default: false,
    };
    let host = [loopback];
    let records = records("lang-sockaddr");
    let mut differences = Vec::new();
    for record in &records {
        let template = cell(record, "template");
        let wanted = text(record, "result");
        let found = match text(record, "used_for") {
            "ip" => one_address(&template, &host).map(|found| json!(found).to_string()),
            "ips" => addresses(&template, &host).map(|found| json!(found).to_string().replace("\",\"", "\", \"")),
            _ => interface_name(&template, &host).map(|found| json!(found).to_string()),
        };
        match found {
            Ok(found) if found == wanted => {}
            Err(_) if wanted.starts_with("error:") => {}
            other => differences.push(format!("{} {template}: wanted {wanted}, found {other:?}", text(record, "used_for"))),
        }
    }
    finish("address templates", records.len(), &differences);
}

#[test]
fn addresses_are_picked_from_the_interfaces_of_the_host() {
    use drover_lang::sockaddr::{Interface, one_address};
    let interface = |name: &str, net: &str, default| Interface {
        name: name.to_owned(),
        flags: vec!["up".to_owned()],
        addresses: vec![net.parse().unwrap()],
        default,
    };
    let host = [interface("eth0", "8.8.4.7/24", true), interface("eth1", "10.1.2.3/16", false), interface("lo", "127.0.0.1/8", false)];
    for (template, wanted) in [
        ("{{ GetPrivateIP }}", "10.1.2.3"),
        ("{{ GetPublicIP }}", "8.8.4.7"),
        ("{{ GetAllInterfaces | offset -2 | attr \"hex\" }}", "0a010203"),
        ("{{ GetInterfaceIP \"eth1\" }}", "10.1.2.3"),
        ("{{ GetDefaultInterfaces | attr \"name\" }}", "eth0"),
        ("{{ GetAllInterfaces | include \"network\" \"10.0.0.0/8\" | attr \"address\" }}:4647", "10.1.2.3:4647"),
        ("{{ GetAllInterfaces | sort \"-name\" | limit 1 | attr \"name\" }}", "lo"),
    ] {
        assert_eq!(one_address(template, &host).as_deref(), Ok(wanted), "{template}");
    }
}
