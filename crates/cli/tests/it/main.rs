//! The command line as a user meets it: recorded output, against nothing or against an agent that follows a script.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has to fail")]

mod local;
mod reference;
mod scripted;

use std::collections::BTreeMap;
use std::path::Path;

use drover_cli::ui::Captured;
use drover_cli::{Environment, Invocation, Ui};
use drover_rt::Clock;

/// What a run of the program left behind.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub error: String,
}

/// Runs a command line in a directory.
pub async fn drover(line: &str, directory: &Path, variables: &[(&str, &str)], input: &str) -> Ran {
    let words = split(line);
    let variables: BTreeMap<String, String> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut environment = Environment { variables, directory: directory.to_owned(), ..Environment::default() };
    environment.variables.insert("TZ".to_owned(), "UTC".to_owned());
    let (out, error) = (Captured::default(), Captured::default());
    let input = Box::new(std::io::Cursor::new(input.as_bytes().to_vec()));
    let ui = Ui::new(Box::new(out.clone()), Box::new(error.clone()), input, false);
    let code = Invocation::parse(&words, &environment).run(ui, environment, Clock::system()).await;
    Ran { code, out: out.text(), error: error.text() }
}

/// Words as a shell would split them, with single quotes only.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut started) = (false, false);
    for letter in line.chars() {
        match letter {
            '\'' => (quoted, started) = (!quoted, true),
            ' ' if !quoted => {
                if started || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            other => word.push(other),
        }
    }
    if started || !word.is_empty() {
        words.push(word);
    }
    words
}

/// The records of a packed file by the number that their names start with.
pub fn records(packed: &str) -> BTreeMap<String, serde_json::Value> {
    let parsed = packed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    parsed.map(|record| (record["name"].as_str().unwrap()[..3].to_owned(), record)).collect()
}

/// Recorded text in this program's words.
pub fn ours(text: &str) -> String {
    text.replace("nomad ", "drover ")
}
