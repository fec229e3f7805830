//! From the words of a command line to the command that they name.

use drover_rt::Clock;

use crate::command::{Command, Context, Failure, PROGRAM};
use crate::commands::{AgentArgs, AgentArgsError, DAILY, commands, groups};
use crate::complete;
use crate::environment::Environment;
use crate::flags::{FlagError, Parsed, nearest};
use crate::text::Zone;
use crate::ui::Ui;

/// The exit code of an unknown command.
const UNKNOWN: i32 = 127;

/// What a command line asks for.
pub enum Invocation {
    /// To start an agent.
    Agent(Box<AgentArgs>),
    /// To run a command.
    Command(&'static Command, Parsed),
    /// To print something and leave.
    Say {
        /// For standard output.
        out: String,
        /// For standard error.
        error: String,
        /// The exit code.
        code: i32,
    },
    /// To complete a line.
    Complete {
        /// The line up to the cursor.
        line: String,
        /// What the shell replaces of it, where it says so.
        word: Option<String>,
    },
    /// To install or remove completion.
    Completion {
        /// Whether it is removed.
        remove: bool,
    },
}

impl Invocation {
    /// Reads the words after the program's name.
    pub fn parse(words: &[String], environment: &Environment) -> Self {
        if let Some(line) = environment.get("COMP_LINE") {
            let point = environment.get("COMP_POINT").and_then(|point| point.parse::<usize>().ok());
            let line = point.and_then(|point| line.get(..point)).unwrap_or(line).to_owned();
            return Self::Complete { line, word: words.get(1).cloned() };
        }
        match words.first().map(String::as_str) {
            None => return Self::Say { out: top_help(), error: String::new(), code: UNKNOWN },
            Some("-v" | "-version" | "--version") => return Self::find(&["version".to_owned()]),
            Some("-autocomplete-install") => return Self::Completion { remove: false },
            Some("-autocomplete-uninstall") => return Self::Completion { remove: true },
            Some("-h" | "-help" | "--help" | "help") => return Self::help(&words[1..]),
            Some(_) => {}
        }
        Self::find(words)
    }

    fn help(words: &[String]) -> Self {
        if words.is_empty() {
            return Self::Say { out: top_help(), error: String::new(), code: 0 };
        }
        let mut words = words.to_vec();
        words.push("-help".to_owned());
        Self::find(&words)
    }

    fn find(words: &[String]) -> Self {
        if let Some(flag) = words.first().filter(|word| word.starts_with('-')) {
            let error = format!("flags come after the command: {flag}");
            return Self::Say { out: top_help(), error, code: 1 };
        }
        let mut best: Option<(&'static Command, usize)> = None;
        for command in commands() {
            for name in std::iter::once(&command.path).chain(command.aliases) {
                let parts: Vec<&str> = name.split(' ').collect();
                let fits = parts.len() <= words.len() && parts.iter().zip(words).all(|(part, word)| part == word);
                if fits && best.is_none_or(|(_, length)| parts.len() > length) {
                    best = Some((command, parts.len()));
                }
            }
        }
        match best {
            Some((command, length)) if command.path == "agent" => Self::agent(&words[length..]),
            Some((command, length)) => Self::command(command, &words[length..]),
            None => Self::group(words),
        }
    }

    fn agent(words: &[String]) -> Self {
        match AgentArgs::parse(words) {
            Ok(arguments) => Self::Agent(Box::new(arguments)),
            Err(AgentArgsError::Help) => {
                let command = commands().find(|command| command.path == "agent");
                Self::Say { out: command.map(Command::help).unwrap_or_default(), error: String::new(), code: 0 }
            }
            Err(error) => {
                let hint = format!("For additional help try '{PROGRAM} agent -help'");
                Self::Say { out: String::new(), error: format!("{error}\n==> {hint}"), code: 1 }
            }
        }
    }

    fn command(command: &'static Command, words: &[String]) -> Self {
        let parse = if command.foreign { Parsed::parse_foreign } else { Parsed::parse };
        match parse(&command.known_flags(), words) {
            Ok(parsed) if parsed.help => Self::Say { out: command.help(), error: String::new(), code: 0 },
            Ok(parsed) => Self::Command(command, parsed),
            Err(error) => {
                // Asking for help beats a wrong flag beside it.
                let asked = words.iter().take_while(|word| *word != "--").any(|word| matches!(word.as_str(), "-h" | "-help" | "--help"));
                if asked {
                    return Self::Say { out: command.help(), error: String::new(), code: 0 };
                }
                let out =
                    if matches!(error, FlagError::Unknown { .. }) || command.usage_code == 1 { command.help() } else { String::new() };
                Self::Say { out, error: error.to_string(), code: command.usage_code }
            }
        }
    }

    /// A group alone, an unknown command in one, or an unknown command.
    fn group(words: &[String]) -> Self {
        let mut depth = 0;
        while depth < words.len() && is_group(&words[..=depth]) {
            depth += 1;
        }
        let rest = words.get(depth).filter(|word| !word.starts_with('-'));
        let near = rest.and_then(|word| nearest(word, next_words(&words[..depth]).into_iter()));
        let error = match (rest, near) {
            (Some(word), Some(near)) => {
                let group = words[..depth].iter().map(|word| format!("{word} ")).collect::<String>();
                format!("Unknown command {word:?}. Did you mean \"{PROGRAM} {group}{near}\"?")
            }
            _ => String::new(),
        };
        if depth == 0 {
            return Self::Say { out: top_help(), error, code: UNKNOWN };
        }
        let asked = words.iter().any(|word| matches!(word.as_str(), "-h" | "-help" | "--help"));
        Self::Say { out: group_help(&words[..depth]), error, code: i32::from(!asked) }
    }

    /// Does what is asked for, except to start an agent. Returns the exit code.
    pub async fn run(self, ui: Ui, environment: Environment, clock: Clock) -> i32 {
        match self {
            Self::Agent(_) => 1,
            Self::Say { out, error, code } => {
                if !out.is_empty() {
                    ui.output(out);
                }
                if !error.is_empty() {
                    ui.error(error);
                }
                code
            }
            Self::Completion { remove } => {
                let home = environment.get("HOME").unwrap_or("/").to_owned();
                let program = std::env::current_exe().unwrap_or_else(|_| PROGRAM.into());
                match complete::install(home.as_ref(), &program, remove) {
                    Ok(changed) => {
                        changed.iter().for_each(|path| ui.output(path.display().to_string()));
                        0
                    }
                    Err(error) => {
                        ui.error(error);
                        1
                    }
                }
            }
            Self::Complete { line, word } => {
                if let Some(command) = commands().next() {
                    let mut context = context(command, Parsed::default(), ui.clone(), environment, clock);
                    let found = complete::Line::read(&line).candidates(&mut context, word.as_deref()).await;
                    found.iter().for_each(|word| ui.output(word));
                }
                0
            }
            Self::Command(command, parsed) => {
                let mut context = context(command, parsed, ui, environment, clock);
                match (command.run)(&mut context).await {
                    Ok(code) => code,
                    Err(failure) => report(&context, &failure),
                }
            }
        }
    }
}

fn context(command: &'static Command, flags: Parsed, ui: Ui, environment: Environment, clock: Clock) -> Context {
    let plain = flags.on("no-color") || environment.setting("CLI_NO_COLOR").is_some() || environment.get("NO_COLOR").is_some();
    if let Some(columns) = environment.columns {
        crate::text::fit_tables(columns);
    }
    let forced = flags.on("force-color") || environment.setting("CLI_FORCE_COLOR").is_some();
    let ui = ui.with_colours(!plain && (forced || environment.stdout_terminal));
    let zone = Zone::local(environment.get("TZ"));
    Context { ui, environment, flags, clock, zone, command }
}

/// Whether a text says that no connection came to be.
fn lost(text: &str) -> bool {
    let reached = [": dial tcp ", ": connect: ", "tcp connect error", "failed to lookup address"].iter().any(|part| text.contains(part));
    (reached && text.contains("://")) || text.starts_with("Error initializing client: failed to look up ")
}

/// What helps where two ends do not agree on TLS.
fn tls_hint(text: &str) -> Option<&'static str> {
    let hints = [
        ("certificate: UnknownIssuer", "Name the authority that signed the agent's certificate with -ca-cert or NOMAD_CACERT."),
        ("certificate not valid for name", "Say which name the certificate is for with -tls-server-name or NOMAD_TLS_SERVER_NAME."),
        (
            "alert: CertificateRequired",
            "The agent wants to see a certificate: -client-cert and -client-key, or NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY.",
        ),
        ("sent an HTTP request to an HTTPS server", "The agent speaks TLS: begin the address with https:// in -address or NOMAD_ADDR."),
        ("message of type InvalidContentType", "The agent speaks no TLS: begin the address with http:// in -address or NOMAD_ADDR."),
    ];
    hints.into_iter().find(|(part, _)| text.contains(part)).map(|(_, hint)| hint)
}

/// Prints what went wrong and returns the exit code.
fn report(context: &Context, failure: &Failure) -> i32 {
    // The log monitor marks its own words, since log lines surround them.
    let mark = if context.command.path.starts_with("monitor") && failure.usage { "==> " } else { "" };
    context.ui.error(format!("{mark}{}", failure.text));
    if lost(&failure.text) {
        context.ui.note(context.client_config().unreachable());
    } else if let Some(hint) = tls_hint(&failure.text) {
        context.ui.note(hint);
    }
    if failure.usage {
        let path = if context.command.path == "job status" { "status" } else { context.command.path };
        context.ui.note(format!("{mark}For additional help try '{PROGRAM} {path} -help'"));
    }
    match failure.code {
        // Too many arguments are not an error there.
        0 if context.command.path == "system gc" => 0,
        0 => context.command.usage_code,
        code => code,
    }
}

fn is_group(words: &[String]) -> bool {
    let name = words.join(" ");
    groups().any(|(group, _)| group == name)
}

/// The words that may follow these.
fn next_words(words: &[String]) -> Vec<&'static str> {
    let mut next: Vec<&'static str> = Vec::new();
    for command in commands() {
        for name in std::iter::once(&command.path).chain(command.aliases) {
            let parts: Vec<&'static str> = name.split(' ').collect();
            if parts.len() > words.len() && parts.iter().zip(words).all(|(part, word)| part == word) {
                next.push(parts[words.len()]);
            }
        }
    }
    next
}

fn top_help() -> String {
    let mut out = format!("Usage: {PROGRAM} [-version] [-help] [-autocomplete-(un)install] <command> [args]\n\nCommon commands:\n");
    for name in DAILY {
        out.push_str(&help_line(name, about(name)));
    }
    out.push_str("\nOther commands:\n");
    let mut others: Vec<&str> = commands().filter(|command| !command.hidden).filter_map(|command| command.path.split(' ').next()).collect();
    others.sort_unstable();
    others.dedup();
    for name in others.into_iter().filter(|name| !DAILY.contains(name)) {
        out.push_str(&help_line(name, about(name)));
    }
    out.push_str(&format!("\nNew here? \"{PROGRAM} agent -dev\" starts an agent to try things with, \"{PROGRAM} job init\" writes an\nexample job file, \"{PROGRAM} run example.nomad.hcl\" runs it."));
    out
}

fn about(name: &str) -> &'static str {
    let group = groups().find(|(group, _)| *group == name).map(|(_, about)| about);
    let command = || commands().find(|command| command.path == name || command.aliases.contains(&name)).map(|command| command.about);
    group.or_else(command).unwrap_or("")
}

fn help_line(name: &str, about: &str) -> String {
    format!("    {name:<12}  {about}\n")
}

fn group_help(words: &[String]) -> String {
    let name = words.join(" ");
    let mut out = format!("Usage: {PROGRAM} {name} <subcommand> [options] [args]\n\n  {}\n\nSubcommands:\n", about(&name));
    let mut next = next_words(words);
    next.sort_unstable();
    next.dedup();
    for word in next {
        out.push_str(&help_line(word, about(&format!("{name} {word}"))));
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> (String, String, i32) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match Invocation::parse(&words, &Environment::default()) {
            Invocation::Say { out, error, code } => (out.lines().next().unwrap_or("").to_owned(), error, code),
            Invocation::Command(command, parsed) => (command.path.to_owned(), parsed.arguments.join(" "), -1),
            Invocation::Agent(_) => ("agent".to_owned(), String::new(), -1),
            _ => panic!("unexpected"),
        }
    }

    #[test]
    fn commands_are_found_by_path_and_alias() {
        assert_eq!(said("run x.hcl -detach"), ("job run".into(), "x.hcl".into(), -1));
        assert_eq!(said("job status web"), ("job status".into(), "web".into(), -1));
        assert_eq!(said("job tag apply web"), ("job tag apply".into(), "web".into(), -1));
        assert_eq!(said("agent -dev").0, "agent");
        assert_eq!(said("-version").0, "version");
    }

    #[test]
    fn unknown_commands_and_groups_show_the_nearest_help() {
        let usage = "Usage: drover [-version] [-help] [-autocomplete-(un)install] <command> [args]";
        assert_eq!(said(""), (usage.into(), String::new(), 127));
        assert_eq!(said("nosuchcommand"), (usage.into(), String::new(), 127));
        assert_eq!(said("stats").1, "Unknown command \"stats\". Did you mean \"drover status\"?");
        assert_eq!(said("job"), ("Usage: drover job <subcommand> [options] [args]".into(), String::new(), 1));
        assert_eq!(said("job runn x").1, "Unknown command \"runn\". Did you mean \"drover job run\"?");
        assert_eq!(said("job tag").2, 1);
        assert_eq!(said("-address=x job status").2, 1);
    }

    #[test]
    fn help_is_everywhere() {
        for line in ["-h", "job -help", "job run -h", "job run x -bogus -help", "agent -help"] {
            let (out, error, code) = said(line);
            assert!(out.starts_with("Usage: drover") && error.is_empty() && code == 0, "{line}");
        }
        for command in commands() {
            assert!(command.help().contains(command.about) && !command.about.is_empty(), "{}", command.path);
        }
    }

    #[test]
    fn the_top_help_starts_with_the_commands_of_every_day() {
        let help = top_help();
        let at = |text: &str| help.find(&format!("    {text} ")).unwrap();
        assert!(at("run") < at("stop") && at("agent") < at("deployment"));
    }
}
