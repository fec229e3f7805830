//! What the process was given from outside: environment variables, the directory, and what its streams are.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

/// The surroundings of one invocation; tests make their own.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// Where relative paths start.
    pub directory: PathBuf,
    /// Whether standard input is a terminal.
    pub stdin_terminal: bool,
    /// Whether standard output is a terminal.
    pub stdout_terminal: bool,
    /// The width of the terminal that standard output is, if it is one.
    pub columns: Option<u16>,
    /// Who can tell what agents leave in files.
    pub files: crate::files::KnownFiles,
}

impl Environment {
    /// The process's own.
    pub fn system() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            directory: std::env::current_dir().unwrap_or_default(),
            stdin_terminal: std::io::stdin().is_terminal(),
            stdout_terminal: std::io::stdout().is_terminal(),
            columns: drover_linux::terminal::size(&std::io::stdout()).map(|(_, columns)| columns).filter(|columns| *columns > 0),
            files: crate::files::KnownFiles::default(),
        }
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A setting by its own name, or by the name that existing scripts use: `DROVER_X`, else `NOMAD_X`.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.get(&format!("DROVER_{name}")).or_else(|| self.get(&format!("NOMAD_{name}")))
    }

    /// Every job variable `DROVER_VAR_x` or `NOMAD_VAR_x`, by its name.
    pub fn job_variables(&self) -> BTreeMap<String, String> {
        let prefixed = |prefix: &'static str| {
            self.variables.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone())))
        };
        prefixed("NOMAD_VAR_").chain(prefixed("DROVER_VAR_")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_name_of_a_setting_wins() {
        let pairs = [("NOMAD_ADDR", "a"), ("DROVER_ADDR", "b"), ("NOMAD_REGION", "c"), ("DROVER_TOKEN", ""), ("NOMAD_VAR_n", "1")];
        let environment = Environment {
            variables: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Environment::default()
        };
        assert_eq!(environment.setting("ADDR"), Some("b"));
        assert_eq!(environment.setting("REGION"), Some("c"));
        assert_eq!(environment.setting("TOKEN"), None);
        assert_eq!(environment.job_variables(), BTreeMap::from([("n".to_owned(), "1".to_owned())]));
    }
}
