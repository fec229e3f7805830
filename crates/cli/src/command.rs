//! What a command is: its path, flags and help, and the context it runs in.

use std::future::Future;
use std::pin::Pin;

use drover_rt::Clock;
use serde::Serialize;
use serde_json::Value;

use crate::environment::Environment;
use crate::flags::{Flag, GENERAL, Parsed, Takes};
use crate::sdk::{Client, Config, Origin, Retry, SdkError};
use crate::text::Zone;
use crate::ui::{Paint, Ui};

/// The program's name in help and hints.
pub const PROGRAM: &str = "drover";

/// How a command ended.
pub type Outcome = Result<i32, Failure>;
/// A running command.
pub type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// One command.
pub struct Command {
    /// Its words, as `job run`.
    pub path: &'static str,
    /// Other ways to call it.
    pub aliases: &'static [&'static str],
    /// Whether lists of commands leave it out.
    pub hidden: bool,
    /// Its arguments, as `[options] <path>`.
    pub arguments: &'static str,
    /// One line.
    pub about: &'static str,
    /// More, for its own help.
    pub details: &'static str,
    /// Its own flags.
    pub flags: &'static [Flag],
    /// Whether it takes the general flags.
    pub general: bool,
    /// Whether its arguments are a command of somebody else's, so that no flags come after the first.
    pub foreign: bool,
    /// The exit code of errors in its usage.
    pub usage_code: i32,
    /// What it does.
    pub run: for<'a> fn(&'a mut Context) -> Running<'a>,
}

impl Command {
    /// The sets of flags it knows.
    pub fn known_flags(&self) -> Vec<&'static [Flag]> {
        if self.general { vec![self.flags, GENERAL] } else { vec![self.flags] }
    }

    /// Its help page.
    pub fn help(&self) -> String {
        let mut out = format!("Usage: {PROGRAM} {} {}\n\n", self.path, self.arguments);
        if !self.aliases.is_empty() {
            let names: Vec<String> = self.aliases.iter().map(|alias| format!("{PROGRAM} {alias}")).collect();
            out.push_str(&format!("Alias: {}\n\n", names.join(", ")));
        }
        out.push_str(&indented(&format!("{}\n\n{}", self.about, self.details), 2));
        if self.flags.iter().any(|flag| !flag.help.is_empty()) {
            out.push_str("\nOptions:\n\n");
            out.push_str(&flag_help(self.flags));
        }
        if self.general {
            out.push_str("\nGeneral options:\n\n");
            out.push_str(&flag_help(GENERAL));
        }
        out.trim_end().to_owned()
    }
}

fn flag_help(flags: &[Flag]) -> String {
    let mut out = String::new();
    for flag in flags.iter().filter(|flag| !flag.help.is_empty()) {
        match flag.takes {
            Takes::Nothing => out.push_str(&format!("  -{}\n", flag.name)),
            Takes::Value(placeholder) | Takes::Values(placeholder) => out.push_str(&format!("  -{}=<{placeholder}>\n", flag.name)),
        }
        out.push_str(&indented(flag.help, 4));
        out.push('\n');
    }
    out
}

/// Paragraphs wrapped at 78 columns.
fn indented(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut out = String::new();
    for paragraph in text.trim().split("\n") {
        let mut line = margin.clone();
        for word in paragraph.split_whitespace() {
            if line.len() + word.len() + 1 > 78 && line.len() > indent {
                out.push_str(line.trim_end());
                out.push('\n');
                line.clone_from(&margin);
            }
            if line.len() > indent {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Why a command failed.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: i32,
    /// What is said about it.
    pub text: String,
    /// Whether the help page is pointed to.
    pub usage: bool,
}

impl Failure {
    /// An error with exit code 1.
    pub fn new(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into(), usage: false }
    }

    /// An error in how the command was called.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { code: 0, text: text.into(), usage: true }
    }

    /// With another exit code.
    #[must_use]
    pub fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }
}

/// Puts what was attempted before an error of the API.
pub trait Attempt<T> {
    /// `attempt: error`.
    fn attempt(self, attempt: &str) -> Result<T, Failure>;
}

impl<T> Attempt<T> for Result<T, SdkError> {
    fn attempt(self, attempt: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{attempt}: {error}")))
    }
}

/// What a command works with.
pub struct Context {
    /// Its output.
    pub ui: Ui,
    /// The surroundings.
    pub environment: Environment,
    /// Flags and arguments.
    pub flags: Parsed,
    /// Time.
    pub clock: Clock,
    /// The zone of shown times.
    pub zone: Zone,
    /// The command itself.
    pub command: &'static Command,
}

impl Context {
    /// The arguments.
    pub fn arguments(&self) -> &[String] {
        &self.flags.arguments
    }

    /// The one argument there must be.
    ///
    /// # Errors
    /// A usage error that names it.
    pub fn one_argument(&self, name: &str) -> Result<String, Failure> {
        match self.arguments() {
            [one] => Ok(one.clone()),
            _ => Err(Failure::usage(format!("This command takes one argument: {name}"))),
        }
    }

    /// Fails if there are arguments.
    ///
    /// # Errors
    /// A usage error.
    pub fn no_arguments(&self) -> Result<(), Failure> {
        if self.arguments().is_empty() { Ok(()) } else { Err(Failure::usage("This command takes no arguments")) }
    }

    /// Whether full ids and absolute times are shown.
    pub fn verbose(&self) -> bool {
        self.flags.on("verbose")
    }

    /// The settings of the API client, flags before environment.
    pub fn client_config(&self) -> Config {
        let text =
            |flag: &str, setting: &str| self.flags.value(flag).or_else(|| self.environment.setting(setting)).unwrap_or("").to_owned();
        let variable = ["DROVER_ADDR", "NOMAD_ADDR"].into_iter().find(|name| self.environment.get(name).is_some());
        let origin = match (self.flags.value("address"), variable) {
            (Some(_), _) => Origin::Flag("-address"),
            (None, Some(name)) => Origin::Variable(name.to_owned()),
            (None, None) => Origin::Default,
        };
        Config {
            address: text("address", "ADDR"),
            origin,
            // Somebody waits for the word that there is no agent.
            retry: Retry::NEVER,
            region: text("region", "REGION"),
            namespace: text("namespace", "NAMESPACE"),
            token: text("token", "TOKEN"),
            basic_auth: self.environment.setting("HTTP_AUTH").unwrap_or("").to_owned(),
            ca_cert: text("ca-cert", "CACERT"),
            ca_path: text("ca-path", "CAPATH"),
            client_cert: text("client-cert", "CLIENT_CERT"),
            client_key: text("client-key", "CLIENT_KEY"),
            tls_server_name: text("tls-server-name", "TLS_SERVER_NAME"),
            tls_skip_verify: self.flags.on("tls-skip-verify")
                || self.flags.on("insecure")
                || self.environment.setting("SKIP_VERIFY").and_then(crate::flags::boolean).unwrap_or(false),
        }
    }

    /// The API client.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn client(&self) -> Result<Client, Failure> {
        Client::new(self.client_config()).attempt("Error initializing client")
    }

    /// Who can tell what agents leave in files.
    ///
    /// # Errors
    /// When nobody can.
    pub fn files(&self) -> Result<&dyn crate::files::Files, Failure> {
        self.environment.files.0.as_deref().ok_or_else(|| Failure::new("This program does not know the files of agents"))
    }

    /// A title.
    pub fn title(&self, text: &str) -> String {
        self.ui.title(text)
    }

    /// A time, absolute when verbose and relative otherwise.
    pub fn when(&self, nanoseconds: i64) -> String {
        if self.verbose() {
            self.zone.nanoseconds(nanoseconds)
        } else {
            crate::text::ago(self.clock.now(), drover_base::WallTime(nanoseconds))
        }
    }

    /// A time of the API, absolute.
    pub fn at(&self, time: Option<&str>) -> String {
        crate::text::parse_time(time).map(|time| self.zone.time(time)).unwrap_or_default()
    }

    /// Whether `-json` or `-t` was given.
    pub fn formatted(&self) -> bool {
        self.flags.on("json") || self.flags.text("t").is_some()
    }

    /// Fails if both `-json` and `-t` were given.
    ///
    /// # Errors
    /// With the text that scripts know.
    pub fn one_format(&self) -> Result<(), Failure> {
        if self.flags.on("json") && self.flags.text("t").is_some() {
            return Err(Failure::new("Both json and template formatting are not allowed"));
        }
        Ok(())
    }

    /// Prints a value as `-json` or `-t` ask.
    ///
    /// # Errors
    /// When the template fails.
    pub fn print_formatted<T: Serialize>(&self, value: &T) -> Outcome {
        self.one_format()?;
        let value = serde_json::to_value(value).map_err(|error| Failure::new(format!("Error formatting the data: {error}")))?;
        self.ui.output(format_value(&value, self.flags.text("t"))?);
        Ok(0)
    }

    /// Points to the page of the web UI, if there is one and hints are wanted. `path` comes after `/ui/`.
    pub async fn hint(&self, client: &Client, label: &str, path: &str) {
        let wanted = self.environment.setting("CLI_SHOW_HINTS").and_then(crate::flags::boolean);
        if wanted == Some(false) {
            return;
        }
        let Ok(agent) = client.get::<Value>("/v1/agent/self", &crate::sdk::Query::new()).await else { return };
        let settings = &agent.value["config"]["UI"];
        let enabled = settings["Enabled"].as_bool().unwrap_or(false);
        let shown = wanted.or_else(|| settings["ShowCLIHints"].as_bool()).unwrap_or(true);
        if enabled && shown {
            let url = format!("{}/ui/{path}", client.address());
            // The colour begins on the line before.
            let begun = if self.ui.colours() { "\x1b[1m\x1b[35m" } else { "" };
            let ended = if self.ui.colours() { "\x1b[0m" } else { "" };
            self.ui.note(format!("\n{begun}\n==> {label} in the Web UI:{ended} {}", self.ui.paint(Paint::Blue, &url)));
        }
    }
}

/// A value as indented JSON, or through a template.
///
/// # Errors
/// When the template fails.
pub fn format_value(value: &Value, template: Option<&str>) -> Result<String, Failure> {
    match template {
        None => Ok(crate::text::json(value)),
        Some(template) => {
            crate::template::render(template, value).map_err(|error| Failure::new(format!("Error formatting the data: {error}")))
        }
    }
}
