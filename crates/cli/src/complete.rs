//! Completion of command lines in shells, and its installation.
//!
//! The shell runs the program with the line typed so far in `COMP_LINE`; it answers with candidates, one per line, or with nothing
//! where the shell knows better: files. What is alive is asked of the agent that the line itself would speak to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use drover_api::{SearchRequest, SearchResponse};
use serde_json::Value;

use crate::command::{Command, Context, PROGRAM};
use crate::commands::commands;
use crate::flags::{Flag, Parsed, Takes};
use crate::sdk::{Client, Query};

/// How long the agent may take to name what is alive: somebody holds the tab key.
const ASKING: Duration = Duration::from_secs(2);

/// Names that work and that nobody has to learn any more.
const LEGACY: &[&str] = &["alloc-status", "debug", "eval-status", "node-drain", "node-status", "server-members"];

/// What the next word of a line may be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// One of these.
    Words(Vec<String>),
    /// A path, or something that only the user knows: the shell offers its files.
    Files,
    /// The id of something alive, by its kind in searches.
    Search(&'static str),
    /// What this key holds in each object that a list answers.
    List(&'static str, &'static str),
    /// A task of the allocation with this id.
    TaskOf(String),
}

/// A line up to the cursor, understood as far as it goes.
pub struct Line {
    /// The words before the one that is typed, of the command alone.
    words: Vec<String>,
    command: Option<&'static Command>,
    /// The beginning of what is wanted.
    typed: String,
    /// What stands before it in the same word, as `-namespace=`.
    before: String,
    wanted: Wanted,
}

impl Line {
    /// Reads a line that begins with the program.
    pub fn read(line: &str) -> Self {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let typed = if line.ends_with(char::is_whitespace) { "" } else { words.pop().unwrap_or("") };
        // Variables may be set before the program is named.
        let program = words.iter().position(|word| !word.contains('=')).map_or(words.len(), |at| at + 1);
        let words = &words[program..];
        let mut longest: Option<(&'static Command, usize)> = None;
        for command in commands() {
            for name in names(command) {
                let length = name.split(' ').count();
                let fits = length <= words.len() && name.split(' ').zip(words).all(|(part, word)| part == *word);
                if fits && longest.is_none_or(|(_, before)| length > before) {
                    longest = Some((command, length));
                }
            }
        }
        let (typed, own) = (typed.to_owned(), |from: usize| words[from..].iter().map(|word| (*word).to_owned()).collect());
        let Some((command, length)) = longest else {
            return Self { words: own(0), command: None, typed, before: String::new(), wanted: Wanted::Words(subcommands(words)) };
        };
        let mut line = Self { words: own(length), command: Some(command), typed, before: String::new(), wanted: Wanted::Files };
        line.wanted = line.after(command);
        if let Wanted::Words(found) = &mut line.wanted
            && line.words.is_empty()
        {
            found.extend(subcommands(words));
        } else if line.words.is_empty() && subcommands(words).iter().any(|word| word.starts_with(&line.typed)) {
            line.wanted = Wanted::Words(subcommands(words));
        }
        line
    }

    /// What comes after the words of a command.
    fn after(&mut self, command: &'static Command) -> Wanted {
        let known = command.known_flags();
        let find = |name: &str| known.iter().flat_map(|flags| flags.iter()).find(|flag| flag.name == name);
        let (mut arguments, mut flags, mut open): (Vec<&str>, bool, Option<&Flag>) = (Vec::new(), true, None);
        let mut switched = Vec::new();
        for word in &self.words {
            let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|_| flags);
            match (open.take(), name) {
                (Some(_), _) => {}
                (None, Some("")) => flags = *word != "--",
                (None, Some(name)) => {
                    open = find(name).filter(|flag| flag.takes != Takes::Nothing);
                    switched.push(name);
                }
                (None, None) => {
                    arguments.push(word);
                    flags &= !command.foreign;
                }
            }
        }
        if let Some(flag) = open {
            return value_of(flag);
        }
        if flags && self.typed.starts_with('-') {
            let dashes = if self.typed.starts_with("--") { "--" } else { "-" };
            if let Some((name, value)) = self.typed.trim_start_matches('-').split_once('=') {
                let wanted = find(name).map_or(Wanted::Files, value_of);
                (self.before, self.typed) = (format!("{dashes}{name}="), value.to_owned());
                return wanted;
            }
            let shown = known.iter().flat_map(|flags| flags.iter()).filter(|flag| !flag.help.is_empty());
            return Wanted::Words(shown.map(|flag| format!("{dashes}{}", flag.name)).collect());
        }
        argument(command, &arguments, switched.contains(&"job"))
    }

    /// The words that may stand where the cursor is. `word` is the part of the line that the shell replaces, if it says so.
    pub async fn candidates(&self, context: &mut Context, word: Option<&str>) -> Vec<String> {
        if let Some(command) = self.command {
            context.flags = Parsed::parse(&command.known_flags(), &self.words).unwrap_or_default();
            context.command = command;
        }
        let found = match &self.wanted {
            Wanted::Words(words) => words.clone(),
            Wanted::Files => Vec::new(),
            alive => match context.client() {
                Ok(client) => context.clock.timeout(ASKING, self.alive(&client, alive)).await.flatten().unwrap_or_default(),
                Err(_) => Vec::new(),
            },
        };
        // Some shells take the `=` of a flag for the end of a word, and replace only what comes after it.
        let whole = format!("{}{}", self.before, self.typed);
        let before = match word.and_then(|word| whole.strip_suffix(word)) {
            Some(kept) => self.before.strip_prefix(kept).unwrap_or(""),
            None => &self.before,
        };
        let mut found: Vec<String> =
            found.into_iter().filter(|word| word.starts_with(&self.typed)).map(|word| format!("{before}{word}")).collect();
        found.sort();
        found.dedup();
        found
    }

    async fn alive(&self, client: &Client, wanted: &Wanted) -> Option<Vec<String>> {
        let texts = |value: Value, key: &str| -> Vec<String> {
            let items = value.as_array().cloned().unwrap_or_default();
            items.iter().filter_map(|item| if key.is_empty() { item.as_str() } else { item[key].as_str() }).map(str::to_owned).collect()
        };
        match wanted {
            Wanted::Words(_) | Wanted::Files => None,
            Wanted::Search(kind) => {
                let request = SearchRequest { prefix: self.typed.clone(), context: (*kind).to_owned(), ..SearchRequest::default() };
                let answer = client.put::<_, SearchResponse>("/v1/search", &Query::new(), &request).await.ok()?;
                Some(answer.value.matches.into_iter().flatten().flat_map(|(_, found)| found.unwrap_or_default()).collect())
            }
            Wanted::List("/v1/services", key) => {
                let answer = client.get::<Vec<Value>>("/v1/services", &Query::new()).await.ok()?;
                Some(answer.value.into_iter().flat_map(|namespace| texts(namespace["Services"].clone(), key)).collect())
            }
            Wanted::List(path, key) => Some(texts(client.get::<Value>(path, &Query::new()).await.ok()?.value, key)),
            Wanted::TaskOf(alloc) => {
                let answer = client.get::<Vec<Value>>("/v1/allocations", &Query::new().set("prefix", alloc)).await.ok()?;
                let states = answer.value.first()?["TaskStates"].as_object()?.clone();
                Some(states.into_iter().map(|(task, _)| task).collect())
            }
        }
    }
}

/// The names of a command that lists show.
fn names(command: &'static Command) -> impl Iterator<Item = &'static str> {
    std::iter::once(command.path).chain(command.aliases.iter().copied())
}

/// The words that may follow these in the name of a command.
fn subcommands(words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for command in commands().filter(|command| !command.hidden) {
        for name in names(command).filter(|name| !LEGACY.contains(name)) {
            let parts: Vec<&str> = name.split(' ').collect();
            if parts.len() > words.len() && parts[..words.len()] == *words {
                found.push(parts[words.len()].to_owned());
            }
        }
    }
    found
}

/// What an argument of a command is, from its place in the usage line.
fn argument(command: &Command, before: &[&str], of_job: bool) -> Wanted {
    let mut places = command.arguments.split_whitespace().filter(|place| *place != "[options]");
    let place = places.clone().nth(before.len()).or_else(|| places.next_back().filter(|place| place.contains("..."))).unwrap_or("");
    let place = place.trim_matches(['[', ']', '.']).trim_start_matches('<').split(['>', ']']).next().unwrap_or("");
    let group = command.path.rsplit_once(' ').map_or("", |(group, _)| group);
    match (place, group) {
        ("alloc", _) if of_job => Wanted::Search("jobs"),
        ("job", _) => Wanted::Search("jobs"),
        ("alloc", _) => Wanted::Search("allocs"),
        ("task", _) => before.first().map_or(Wanted::Files, |alloc| Wanted::TaskOf((*alloc).to_owned())),
        ("node", _) => Wanted::Search("nodes"),
        ("deployment", _) => Wanted::Search("deployment"),
        ("evaluation", _) => Wanted::Search("evals"),
        ("namespace", _) | ("name|path|-", "namespace") => Wanted::Search("namespaces"),
        ("pool", _) => Wanted::Search("node_pools"),
        ("id" | "job|alloc|node", "") => Wanted::Search("all"),
        ("path" | "prefix" | "path|@spec|-", "var") => Wanted::Search("vars"),
        ("name", "service") => Wanted::List("/v1/services", "ServiceName"),
        ("name", "acl policy") => Wanted::List("/v1/acl/policies", "Name"),
        ("name", "acl auth-method") => Wanted::List("/v1/acl/auth-methods", "Name"),
        ("id" | "id|name", "acl role") => Wanted::List("/v1/acl/roles", "ID"),
        ("id", "acl binding-rule") => Wanted::List("/v1/acl/binding-rules", "ID"),
        ("accessor", _) => Wanted::List("/v1/acl/tokens", "AccessorID"),
        ("policy", "scaling policy") => Wanted::List("/v1/scaling/policies", "ID"),
        _ => Wanted::Files,
    }
}

/// What the value of a flag is, from its name and what the help says in its place.
fn value_of(flag: &Flag) -> Wanted {
    let (Takes::Value(place) | Takes::Values(place)) = flag.takes else {
        return Wanted::Words(vec!["true".to_owned(), "false".to_owned()]);
    };
    match flag.name {
        "namespace" => Wanted::Search("namespaces"),
        "region" => Wanted::List("/v1/regions", ""),
        "job" => Wanted::Search("jobs"),
        "alloc" => Wanted::Search("allocs"),
        "node" | "node-id" => Wanted::Search("nodes"),
        "node-pool" => Wanted::Search("node_pools"),
        "policy" => Wanted::List("/v1/acl/policies", "Name"),
        "auth-method" => Wanted::List("/v1/acl/auth-methods", "Name"),
        _ if place.contains('|') && !place.contains(['@', '-']) => Wanted::Words(place.split('|').map(str::to_owned).collect()),
        _ => Wanted::Files,
    }
}

/// Where each shell reads its settings, and the line that turns completion on there.
fn settings(home: &Path, program: &Path) -> Vec<(PathBuf, String)> {
    let program = program.display();
    // Where the program names nothing, the shell offers files.
    let bash = format!("complete -o default -C {program} {PROGRAM}");
    let zsh = format!(
        "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\ncomplete -o default -C {program} {PROGRAM}"
    );
    let fish = format!(
        "function __complete_{PROGRAM}\n    set -lx COMP_LINE (commandline -cp)\n    set -l found ({program})\n    if test (count $found) -gt 0\n        \
         printf '%s\\n' $found\n    else\n        __fish_complete_path (commandline -ct)\n    end\nend\n\
         complete -f -c {PROGRAM} -a \"(__complete_{PROGRAM})\""
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

    fn wanted(line: &str) -> (Wanted, String) {
        let line = Line::read(line);
        (line.wanted, line.typed)
    }

    fn words(line: &str) -> Vec<String> {
        match wanted(line) {
            (Wanted::Words(mut found), typed) => {
                found.retain(|word| word.starts_with(&typed));
                found.sort();
                found
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn commands_and_flags_are_completed() {
        assert_eq!(words("drover job ru"), ["run"]);
        assert!(words("drover ").contains(&"job".to_owned()) && !words("drover ").contains(&"alloc-status".to_owned()));
        assert_eq!(words("drover job run -det"), ["-detach"]);
        assert_eq!(words("drover job run x.hcl --det"), ["--detach"]);
        assert_eq!(words("drover node -x"), Vec::<String>::new());
        assert_eq!(words("drover node status -per"), ["-per-page"]);
        assert_eq!(words("drover node st"), ["status"]);
        assert!(!words("drover agent-info -").contains(&"-dev".to_owned()), "another command begins with the same letters");
        assert_eq!(words("A=b drover operator scheduler set-config -preempt-batch-scheduler=t"), ["true"]);
        assert_eq!(words("drover job restart -on-error "), ["ask", "fail"]);
    }

    #[test]
    fn what_an_argument_is_follows_from_its_place() {
        let search = |kind| Wanted::Search(kind);
        for (line, expected) in [
            ("drover job status ", search("jobs")),
            ("drover job stop web ", search("jobs")),
            ("drover status ", search("all")),
            ("drover job status -json -namespace prod w", search("jobs")),
            ("drover job status -namespace ", search("namespaces")),
            ("drover job status -namespace=pr", search("namespaces")),
            ("drover job status hello ", Wanted::Files),
            ("drover job run ", Wanted::Files),
            ("drover run web", Wanted::Files),
            ("drover job plan -var-file ", Wanted::Files),
            ("drover job dispatch ", search("jobs")),
            ("drover job dispatch web ", Wanted::Files),
            ("drover alloc logs ", search("allocs")),
            ("drover alloc logs -job ", search("jobs")),
            ("drover logs 5a01 ", Wanted::TaskOf("5a01".to_owned())),
            ("drover alloc exec -task web ", search("allocs")),
            ("drover alloc exec 5a01 ls -", Wanted::Files),
            ("drover node drain -enable ", search("nodes")),
            ("drover node pool nodes ", search("node_pools")),
            ("drover deployment promote ", search("deployment")),
            ("drover eval status ", search("evals")),
            ("drover namespace status ", search("namespaces")),
            ("drover var get no", search("vars")),
            ("drover service info ", Wanted::List("/v1/services", "ServiceName")),
            ("drover acl policy info ", Wanted::List("/v1/acl/policies", "Name")),
            ("drover acl policy apply dev ", Wanted::Files),
            ("drover acl token create -policy ", Wanted::List("/v1/acl/policies", "Name")),
        ] {
            assert_eq!(wanted(line).0, expected, "{line}");
        }
        let line = Line::read("drover job status -namespace=pr");
        assert_eq!((line.before.as_str(), line.typed.as_str()), ("-namespace=", "pr"));
    }

    #[test]
    fn installing_twice_adds_one_line_and_removing_restores() {
        let home = tempfile::tempdir().unwrap();
        let bashrc = home.path().join(".bashrc");
        std::fs::write(&bashrc, "alias x=y").unwrap();
        let program = Path::new("/usr/bin/drover");
        assert_eq!(install(home.path(), program, false).unwrap(), std::slice::from_ref(&bashrc));
        assert!(install(home.path(), program, false).unwrap().is_empty());
        assert_eq!(std::fs::read_to_string(&bashrc).unwrap(), "alias x=y\ncomplete -o default -C /usr/bin/drover drover\n");
        install(home.path(), program, true).unwrap();
        assert_eq!(std::fs::read_to_string(&bashrc).unwrap(), "alias x=y\n");
    }
}
