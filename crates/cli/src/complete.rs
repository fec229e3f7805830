//! Completion of command lines in shells, and its installation.
//!
//! The shell runs the program with the line typed so far in `COMP_LINE`; it answers with candidates, one per line.

use std::path::{Path, PathBuf};

use drover_api::{SearchRequest, SearchResponse};

use crate::command::{Context, PROGRAM};
use crate::commands::commands;
use crate::flags::Takes;
use crate::sdk::Query;

/// The words that may come next in a line.
pub fn candidates(line: &str) -> Vec<String> {
    let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let typed = if line.ends_with(' ') { "" } else { words.pop().unwrap_or("") };
    let plain: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with('-')).collect();
    let mut found = Vec::new();
    let command = commands().find(|command| {
        let names = std::iter::once(command.path).chain(command.aliases.iter().copied());
        names.into_iter().any(|name| plain.join(" ").starts_with(name))
    });
    if let Some(command) = command.filter(|_| typed.starts_with('-')) {
        for flag in command.known_flags().into_iter().flatten().filter(|flag| !flag.help.is_empty()) {
            let suffix = if flag.takes == Takes::Nothing { "" } else { "=" };
            found.push(format!("-{}{suffix}", flag.name));
        }
    } else {
        for command in commands().filter(|command| !command.hidden) {
            for name in std::iter::once(&command.path).chain(command.aliases) {
                let parts: Vec<&str> = name.split(' ').collect();
                if parts.len() > plain.len() && parts[..plain.len()] == plain[..] {
                    found.push(parts[plain.len()].to_owned());
                }
            }
        }
    }
    found.retain(|word| word.starts_with(typed));
    found.sort();
    found.dedup();
    found
}

/// Ids of live objects for a command that takes one.
pub async fn ids(context: &Context, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let typed = if line.ends_with(' ') { "" } else { words.last().copied().unwrap_or("") };
    let kind = match words.first().copied().unwrap_or("") {
        "alloc" | "logs" | "fs" => "allocs",
        "deployment" => "deployment",
        "eval" => "evals",
        "node" => "nodes",
        "job" | "stop" | "inspect" | "start" => "jobs",
        "status" => "all",
        _ => return Vec::new(),
    };
    if typed.starts_with('-') {
        return Vec::new();
    }
    let Ok(client) = context.client() else { return Vec::new() };
    let request = SearchRequest { prefix: typed.to_owned(), context: kind.to_owned(), ..SearchRequest::default() };
    let Ok(answer) = client.put::<_, SearchResponse>("/v1/search", &Query::new(), &request).await else { return Vec::new() };
    answer.value.matches.into_iter().flatten().flat_map(|(_, found)| found.unwrap_or_default()).collect()
}

/// Where each shell reads its settings, and the line that turns completion on there.
fn settings(home: &Path, program: &Path) -> Vec<(PathBuf, String)> {
    let program = program.display();
    let bash = format!("complete -C {program} {PROGRAM}");
    let zsh = format!("autoload -U +X bashcompinit && bashcompinit\ncomplete -o nospace -C {program} {PROGRAM}");
    let fish = format!(
        "function __complete_{PROGRAM}\n    set -lx COMP_LINE (commandline -cp)\n    {program}\nend\ncomplete -f -c {PROGRAM} -a \"(__complete_{PROGRAM})\""
    );
    vec![(home.join(".bashrc"), bash), (home.join(".zshrc"), zsh), (home.join(format!(".config/fish/completions/{PROGRAM}.fish")), fish)]
}

/// Adds completion to (or removes it from) the settings of the shells whose files exist; returns the files changed.
///
/// # Errors
/// When a file cannot be written.
pub fn install(home: &Path, program: &Path, remove: bool) -> Result<Vec<PathBuf>, String> {
    let mut changed = Vec::new();
    for (path, text) in settings(home, program) {
        let is_fish = path.extension().is_some_and(|end| end == "fish");
        let before = match std::fs::read_to_string(&path) {
            Ok(before) => before,
            Err(_) if is_fish && home.join(".config/fish").is_dir() && !remove => String::new(),
            Err(_) => continue,
        };
        let after = match (remove, before.contains(&text)) {
            (false, false) => format!("{before}{}{text}\n", if before.is_empty() || before.ends_with('\n') { "" } else { "\n" }),
            (true, true) => before.replace(&format!("{text}\n"), ""),
            _ => continue,
        };
        let wrong = |error: std::io::Error| format!("write {}: {error}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(wrong)?;
        }
        std::fs::write(&path, after).map_err(wrong)?;
        changed.push(path);
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_flags_are_completed() {
        assert_eq!(candidates("drover job ru"), ["run"]);
        assert!(candidates("drover ").contains(&"job".to_owned()));
        assert_eq!(candidates("drover job run -det"), ["-detach"]);
        assert_eq!(candidates("drover node -x"), Vec::<String>::new());
        assert_eq!(candidates("drover node status -per"), ["-per-page="]);
    }

    #[test]
    fn installing_twice_adds_one_line_and_removing_restores() {
        let home = tempfile::tempdir().unwrap();
        let bashrc = home.path().join(".bashrc");
        std::fs::write(&bashrc, "alias x=y").unwrap();
        let program = Path::new("/usr/bin/drover");
        assert_eq!(install(home.path(), program, false).unwrap(), std::slice::from_ref(&bashrc));
        assert!(install(home.path(), program, false).unwrap().is_empty());
        assert_eq!(std::fs::read_to_string(&bashrc).unwrap(), "alias x=y\ncomplete -C /usr/bin/drover drover\n");
        install(home.path(), program, true).unwrap();
        assert_eq!(std::fs::read_to_string(&bashrc).unwrap(), "alias x=y\n");
    }
}
