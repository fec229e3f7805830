//! `fmt`: the canonical layout of HCL files.

use std::path::{Path, PathBuf};

use drover_lang::diag::render;
use drover_lang::hcl::format::format;
use drover_lang::hcl::parse::parse_file;
use drover_lang::{Problem, Source};

use crate::command::{Context, Failure, Outcome};
use crate::flags::Flag;

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("json", "Print the problems of the files as JSON, each with its place."),
    Flag::switch("check", "Write nothing; fail when a file is not in its canonical layout."),
    Flag::switch("list", "Name the files whose layout differs. Default true."),
    Flag::switch("recursive", "Go through directories below those that are named, too."),
    Flag::switch("write", "Write the files. Default true; not with -check nor for the input."),
];

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 16 << 20;
/// The most files that one call goes through.
const FILES_MAX: usize = 100_000;

pub(super) async fn run(context: &mut Context) -> Outcome {
    let check = context.flags.on("check");
    let list = context.flags.value("list") != Some("false");
    let write = context.flags.value("write") != Some("false") && !check;
    let paths: Vec<String> = match context.arguments() {
        [] => vec![".".to_owned()],
        given => given.to_vec(),
    };
    if paths == ["-"] {
        return input(context, check);
    }
    let mut files = Vec::new();
    for path in &paths {
        if path == "-" {
            return Err(Failure::new("Option - must be the only argument"));
        }
        let full = context.environment.directory.join(path);
        collect(&full, Path::new(path), context.flags.on("recursive"), &mut files)
            .map_err(|error| Failure::new(format!("No file or directory at {path}: {error}")))?;
    }
    let (mut differ, mut broken, mut told) = (false, false, Vec::new());
    for (full, given) in files {
        let name = given.display().to_string();
        let text = match std::fs::read_to_string(&full) {
            Ok(text) => text,
            Err(error) => {
                context.ui.error(format!("Failed to read file {name}: {error}"));
                broken = true;
                continue;
            }
        };
        match formatted(&name, &text) {
            Err(problems) => {
                if !context.flags.on("json") {
                    context.ui.error(shown(&name, &text, &problems));
                }
                told.extend(problems);
                broken = true;
            }
            Ok(new) if new == text => {}
            Ok(new) => {
                differ = true;
                // As JSON the problems stand alone.
                if list && !context.flags.on("json") {
                    context.ui.output(&name);
                }
                if write {
                    std::fs::write(&full, new).map_err(|error| Failure::new(format!("Failed to write file {name}: {error}")))?;
                }
            }
        }
    }
    if context.flags.on("json") {
        context.ui.output(drover_lang::diag::json(&told).to_string());
    }
    Ok(i32::from(broken || check && differ))
}

fn input(context: &mut Context, check: bool) -> Outcome {
    let bytes = context
        .ui
        .read_input(usize::try_from(FILE_MAX).unwrap_or(usize::MAX))
        .map_err(|error| Failure::new(format!("Failed to read the input: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::new("The input is not UTF-8 text"))?;
    let new = match formatted("<stdin>", &text) {
        Ok(new) => new,
        Err(problems) if context.flags.on("json") => {
            context.ui.output(drover_lang::diag::json(&problems).to_string());
            return Ok(1);
        }
        Err(problems) => return Err(Failure::new(shown("<stdin>", &text, &problems))),
    };
    if check {
        return Ok(i32::from(new != text));
    }
    context.ui.output(new.strip_suffix('\n').unwrap_or(&new));
    Ok(0)
}

/// The canonical layout, or every problem of the text.
fn formatted(name: &str, text: &str) -> Result<String, Vec<Problem>> {
    let (_, problems) = parse_file(&Source::new(name, text));
    let errors: Vec<Problem> = problems.into_iter().filter(Problem::is_error).collect();
    if errors.is_empty() { Ok(format(text)) } else { Err(errors) }
}

fn shown(name: &str, text: &str, problems: &[Problem]) -> String {
    let source = Source::new(name, text);
    problems.iter().map(|problem| render(problem, &[&source])).collect::<Vec<_>>().join("\n")
}

fn is_hcl(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "hcl" || extension == "nomad")
}

/// The files that a path stands for: itself, or those of a directory that are HCL.
fn collect(full: &Path, shown: &Path, recursive: bool, out: &mut Vec<(PathBuf, PathBuf)>) -> std::io::Result<()> {
    let found = std::fs::metadata(full)?;
    if !found.is_dir() {
        if found.len() > FILE_MAX {
            return Err(std::io::Error::other("the file is too large"));
        }
        if is_hcl(full) {
            out.push((full.to_owned(), shown.to_owned()));
            return Ok(());
        }
        return Err(std::io::Error::other("only .nomad and .hcl files can be formatted"));
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(full)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().map(PathBuf::from).unwrap_or_default();
        let below = if shown == Path::new(".") { name.clone() } else { shown.join(&name) };
        let kind = std::fs::symlink_metadata(&entry)?;
        if kind.is_dir() {
            if recursive && !name.to_string_lossy().starts_with('.') {
                collect(&entry, &below, recursive, out)?;
            }
        } else if kind.is_file() && is_hcl(&entry) && kind.len() <= FILE_MAX {
            out.push((entry, below));
        }
        if out.len() > FILES_MAX {
            return Err(std::io::Error::other("there are too many files"));
        }
    }
    Ok(())
}
