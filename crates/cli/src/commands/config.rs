//! `config validate`: agent configuration, without an agent.

use std::path::{Path, PathBuf};

use drover_lang::config::{Partial, parse};
use drover_lang::diag::render;
use drover_lang::{Problem, Source};

use crate::command::{Context, Failure, Outcome};
use crate::flags::Flag;
use crate::ui::Paint;

pub(super) const FLAGS: &[Flag] = &[Flag::switch("json", "Print the problems as JSON, each with its place.")];

/// The largest configuration file that is read, in bytes.
const FILE_MAX: u64 = 4 << 20;

pub(super) async fn validate(context: &mut Context) -> Outcome {
    let paths = context.arguments().to_vec();
    if paths.is_empty() {
        return Err(Failure::usage("Must specify at least one config file or directory"));
    }
    let mut merged = Partial::default();
    let mut problems: Vec<Problem> = Vec::new();
    let mut sources = Vec::new();
    for path in &paths {
        let full = context.environment.directory.join(path);
        let files = config_files(&full).map_err(|error| Failure::new(format!("Error loading configuration from {path}: {error}")))?;
        if files.is_empty() {
            context.ui.warn(format!("No configuration loaded from {path}"));
        }
        for file in files {
            let name = file.display().to_string();
            let text = read(&file).map_err(|error| Failure::new(format!("Error loading configuration from {name}: {error}")))?;
            let source = Source::new(name, text);
            match parse(&source) {
                Ok(parsed) if context.flags.on("json") => {
                    problems.extend(parsed.warnings);
                    merged = merged.merge(&parsed.partial);
                }
                Ok(parsed) => {
                    for warning in &parsed.warnings {
                        context.ui.warn(render(warning, &[&source]));
                    }
                    merged = merged.merge(&parsed.partial);
                }
                Err(found) => problems.extend(found.into_iter().filter(Problem::is_error)),
            }
            sources.push(source);
        }
    }
    if !problems.iter().any(Problem::is_error) {
        let (config, found) = merged.examine(&sources);
        // This version refuses a configuration with TLS.
        context.ui.warn("WARNING: mTLS is not configured - Nomad is not secure without mTLS!");
        if config.server.enabled && config.server.bootstrap_expect == 1 {
            context.ui.warn("WARNING: Bootstrap mode enabled! Potentially unsafe operation.");
        }
        problems.extend(found);
    }
    let broken = problems.iter().any(Problem::is_error);
    if context.flags.on("json") {
        context.ui.output(drover_lang::diag::json(&problems).to_string());
        return Ok(i32::from(broken));
    }
    if broken {
        let all: Vec<&Source> = sources.iter().collect();
        let told: Vec<String> = problems
            .iter()
            .map(|problem| match problem.place {
                Some(_) => render(problem, &all),
                None => problem.detail.clone(),
            })
            .collect();
        return Err(Failure::new(format!("{}\nConfiguration is invalid", told.join("\n"))));
    }
    context.ui.output(context.ui.paint(Paint::Green, "Configuration is valid!"));
    Ok(0)
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > FILE_MAX {
        return Err(std::io::Error::other("the file is too large"));
    }
    std::fs::read_to_string(path)
}

/// The files that a path names: itself, or the `.hcl` and `.json` files of a directory in the order of their names.
fn config_files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let leftover = name.starts_with('.') || name.ends_with('~') || name.starts_with('#');
        let known = file.extension().is_some_and(|extension| extension == "hcl" || extension == "json");
        if known && !leftover && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
