//! Job files in the ways that people write them, each with what it must mean: `#> PATH JSON` lines of the file itself, worked
//! out by hand from the rules of the language.

use std::path::Path;

use drover_lang::Source;
use drover_lang::hcl::eval::{Budget, NoHost};
use drover_lang::hcl::vars::Inputs;
use drover_lang::jobspec::{Options, parse_job};
use serde_json::Value;

/// The member of a job at a path such as `.TaskGroups[0].Name`; null where there is none.
fn member<'a>(job: &'a Value, path: &str) -> &'a Value {
    let pointer = path.replace('[', ".").replace(']', "").replace('.', "/");
    job.pointer(&pointer).unwrap_or(&Value::Null)
}

#[test]
fn files_mean_what_they_say_of_themselves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/jobs-by-hand");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut expectations, mut wrong) = (0, Vec::new());
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let options = Options { inputs: Inputs::default(), host: &NoHost::default(), budget: Budget::default() };
        let job = match parse_job(&Source::new(name.as_str(), text.as_str()), &options) {
            Ok(parsed) => serde_json::to_value(parsed.job).unwrap(),
            Err(problems) => {
                wrong.push(format!("{name}: {}", problems[0]));
                continue;
            }
        };
        let lines: Vec<String> = if name.ends_with(".json") {
            let json: Value = serde_json::from_str(&text).unwrap();
            json["//"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
        } else {
            text.lines().filter(|line| line.starts_with("#> ")).map(str::to_owned).collect()
        };
        for line in lines {
            let (place, wanted) = line[3..].split_once(' ').unwrap();
            let wanted: Value = serde_json::from_str(wanted.trim()).unwrap_or_else(|error| panic!("{name}: {wanted}: {error}"));
            let found = member(&job, place);
            expectations += 1;
            if *found != wanted {
                wrong.push(format!("{name}: {place}: wanted {wanted}, found {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {expectations}:\n{}", wrong.len(), wrong.join("\n"));
    println!("{expectations} expectations of {} files hold", paths.len());
}
