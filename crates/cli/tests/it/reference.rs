//! The pages of commands are what their definitions say. `cargo xtask reference` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use drover_cli::command::Command;
use drover_cli::commands::{commands, groups};
use drover_cli::flags::{Flag, GENERAL, Takes};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/commands")
}

fn flags(flags: &[Flag]) -> String {
    let mut text = String::new();
    for flag in flags.iter().filter(|flag| !flag.help.is_empty()) {
        let value = match flag.takes {
            Takes::Nothing => String::new(),
            Takes::Value(value) => format!(" <{value}>"),
            Takes::Values(value) => format!(" <{value}> …"),
        };
        writeln!(text, "- `-{}{value}`: {}", flag.name, flag.help).unwrap();
    }
    text
}

fn page(command: &Command) -> String {
    let mut text = format!("# drover {}\n\n{}.\n\n```\ndrover {} {}\n```\n", command.path, command.about, command.path, command.arguments);
    if !command.details.is_empty() {
        write!(text, "\n{}\n", command.details).unwrap();
    }
    if !command.aliases.is_empty() {
        let names: Vec<String> = command.aliases.iter().map(|alias| format!("`drover {alias}`")).collect();
        write!(text, "\nAlso: {}\n", names.join(", ")).unwrap();
    }
    let own = flags(command.flags);
    if !own.is_empty() {
        write!(text, "\n## Options\n\n{own}").unwrap();
    }
    if command.general {
        text.push_str("\nBeside these it takes the [general options](README.md#general-options).\n");
    }
    text
}

/// The pages by their file's name.
fn pages() -> BTreeMap<String, String> {
    let file = |path: &str| format!("{}.md", path.replace(' ', "-"));
    let mut shown: Vec<&Command> = commands().filter(|command| !command.hidden).collect();
    shown.sort_by_key(|command| command.path);
    let mut index = "# Commands\n\nMade from the definitions of the commands.\n".to_owned();
    let mut group = "";
    for command in &shown {
        let first = command.path.split(' ').next().unwrap_or("");
        if first != group {
            group = first;
            let about = groups().find(|(name, _)| *name == first).map_or("", |(_, about)| about);
            write!(index, "\n## {first}\n\n").unwrap();
            if !about.is_empty() {
                write!(index, "{about}.\n\n").unwrap();
            }
        }
        writeln!(index, "- [{}]({}): {}", command.path, file(command.path), command.about).unwrap();
    }
    write!(index, "\n## General options\n\n{}", flags(GENERAL)).unwrap();
    let mut out: BTreeMap<String, String> = shown.iter().map(|command| (file(command.path), page(command))).collect();
    out.insert("README.md".to_owned(), index);
    out
}

#[test]
fn every_command_has_a_page_that_says_what_its_definition_says() {
    let (folder, pages) = (folder(), pages());
    if std::env::var_os("DROVER_WRITE_REFERENCE").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, text) in &pages {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let found: BTreeMap<String, String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect();
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&pages), "docs/reference/commands: cargo xtask reference");
    for (name, text) in &pages {
        assert!(found[name] == *text, "docs/reference/commands/{name} is not what the definition says: cargo xtask reference");
    }
}
