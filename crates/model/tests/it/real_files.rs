//! Job files of the kind that people keep: dynamic blocks, nested functions, templates full of braces. They read without a
//! problem, become canonical, are valid, and survive the log's form and the API's JSON unchanged.

use std::path::Path;

use drover_lang::Source;
use drover_lang::hcl::format::format;
use drover_lang::hcl::vars::Inputs;
use drover_lang::jobspec::parse_api_job;
use drover_model::admission::{Surroundings, canonicalize, complete, validate};

use crate::ledger::{bare, read, through_the_log};

/// What this version says it does not do; everything else about such files is checked.
const NOT_BUILT: [&str; 1] = ["not supported"];

#[test]
fn files_of_every_day_survive_all_their_forms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/jobs");
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 100, "{} files", names.len());
    let mut wrong = Vec::new();
    for path in &names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let job = match read(name, &text, Inputs::default()) {
            Ok(job) => job,
            Err(error) => {
                wrong.push(error);
                continue;
            }
        };
        // The layout does not change the meaning, and is its own layout.
        let formatted = format(&text);
        if format(&formatted) != formatted || read(name, &formatted, Inputs::default()).as_ref() != Ok(&job) {
            wrong.push(format!("{name}: its layout changes it"));
        }
        // As `job run -output` writes it and `job run -json` reads it.
        let json = serde_json::json!({ "Job": serde_json::to_value(&job).unwrap() }).to_string();
        match parse_api_job(&Source::new("job.json", json.as_str())) {
            Ok(again) if again == job => {}
            Ok(_) => wrong.push(format!("{name}: JSON changes it")),
            Err(problems) => wrong.push(format!("{name}: {}", problems[0])),
        }
        let mut admitted = job.clone();
        canonicalize(&mut admitted, &Surroundings { region: "global", namespace: "default" });
        complete(&mut admitted);
        let problems = validate(&admitted);
        wrong.extend(
            problems.texts.iter().filter(|text| !NOT_BUILT.iter().any(|known| text.contains(known))).map(|text| format!("{name}: {text}")),
        );
        // Being admitted twice is being admitted once.
        let mut twice = admitted.clone();
        canonicalize(&mut twice, &Surroundings { region: "global", namespace: "default" });
        complete(&mut twice);
        if twice != admitted {
            wrong.push(format!("{name}: admission is not stable"));
        }
        let (before, after) = through_the_log(job);
        if bare(&before) != bare(&after) {
            wrong.push(format!("{name}: the log changes it"));
        }
    }
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
}
