//! `config validate`: agent configuration, without an agent.

use std::path::{Path, PathBuf};

use drover_lang::config::{Partial, in_order, read as read_config};
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
            let (partial, found) = read_config(&source);
            merged = merged.merge(&partial);
            problems.extend(found);
            sources.push(source);
        }
    }
    let readable = !problems.iter().any(Problem::is_error);
    let (config, found) = merged.examine(&sources, |_| {});
    problems.extend(found);
    if readable {
        problems.extend(config.missing(false));
        // This version refuses a configuration with TLS.
        context.ui.warn("WARNING: mTLS is not configured - Nomad is not secure without mTLS!");
        if config.server.enabled && config.server.bootstrap_expect == 1 {
            context.ui.warn("WARNING: Bootstrap mode enabled! Potentially unsafe operation.");
        }
    }
    for key in merged.without_effect() {
        let detail = format!("Configuration key {key:?} has no effect in this version of Drover.");
        let mut problem = Problem::warning("Key without effect", detail);
        problem.place = sources.iter().rev().find_map(|source| drover_lang::config::place(source, &key));
        problems.push(problem);
    }
    in_order(&mut problems, &sources);
    let broken = problems.iter().any(Problem::is_error);
    if context.flags.on("json") {
        context.ui.output(drover_lang::diag::json(&problems).to_string());
        return Ok(i32::from(broken));
    }
    let all: Vec<&Source> = sources.iter().collect();
    for warning in problems.iter().filter(|problem| !problem.is_error()) {
        context.ui.warn(render(warning, &all));
    }
    if broken {
        let errors = problems.iter().filter(|problem| problem.is_error());
        let told: Vec<String> = errors
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
