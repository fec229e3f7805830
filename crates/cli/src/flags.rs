//! Flags with a single dash and a long name, before or after positional arguments.
//!
//! `-name value`, `-name=value` and `--name` are the same flag; a switch is set by its bare name and cleared by
//! `-name=false`; `--` ends the flags; `-` alone is an argument.

use std::collections::BTreeMap;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is on or off.
    Nothing,
    /// A value; the last one wins.
    Value(&'static str),
    /// A value that may be given again.
    Values(&'static str),
}

/// A flag that a command knows.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// The name without dash.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it does, for the help; empty for one that is accepted without being shown.
    pub help: &'static str,
}

impl Flag {
    /// An on-off flag.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { name, takes: Takes::Nothing, help }
    }

    /// A flag with a value.
    pub const fn value(name: &'static str, placeholder: &'static str, help: &'static str) -> Self {
        Self { name, takes: Takes::Value(placeholder), help }
    }

    /// A flag that may be repeated.
    pub const fn values(name: &'static str, placeholder: &'static str, help: &'static str) -> Self {
        Self { name, takes: Takes::Values(placeholder), help }
    }
}

/// The flags that every command which talks to an agent takes.
pub const GENERAL: &[Flag] = &[
    Flag::value("address", "addr", "Address of the agent. Default http://127.0.0.1:4646, or DROVER_ADDR or NOMAD_ADDR."),
    Flag::value("region", "region", "Region to send the request to. Default the agent's own, or DROVER_REGION or NOMAD_REGION."),
    Flag::value(
        "namespace",
        "namespace",
        "Namespace to act in; \"*\" for all that may be read. Default \"default\", or DROVER_NAMESPACE or NOMAD_NAMESPACE.",
    ),
    Flag::switch("no-color", "Print without colours. Also DROVER_CLI_NO_COLOR or NOMAD_CLI_NO_COLOR."),
    Flag::switch(
        "force-color",
        "Print with colours even when the output is no terminal. Also DROVER_CLI_FORCE_COLOR or NOMAD_CLI_FORCE_COLOR.",
    ),
    Flag::value("ca-cert", "path", "PEM file of the certificate authority that signed the agent's certificate. Also NOMAD_CACERT."),
    Flag::value("ca-path", "path", "Directory of PEM files of certificate authorities. Also NOMAD_CAPATH."),
    Flag::value("client-cert", "path", "PEM file of the certificate to show to the agent; needs -client-key. Also NOMAD_CLIENT_CERT."),
    Flag::value("client-key", "path", "PEM file of the key of -client-cert, not encrypted. Also NOMAD_CLIENT_KEY."),
    Flag::value("tls-server-name", "name", "Server name to expect in the agent's certificate. Also NOMAD_TLS_SERVER_NAME."),
    Flag::switch("tls-skip-verify", "Accept any certificate of the agent. Also NOMAD_SKIP_VERIFY."),
    Flag::switch("insecure", ""),
    Flag::value("token", "token", "Secret of the ACL token to use. Also DROVER_TOKEN or NOMAD_TOKEN."),
];

/// Flags and arguments as given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    values: BTreeMap<&'static str, Vec<String>>,
    /// What is not a flag, in order.
    pub arguments: Vec<String>,
    /// Whether help was asked for.
    pub help: bool,
}

/// A flag that cannot be used as given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// No such flag, with the name of one that is spelled alike.
    #[error("flag provided but not defined: -{given}{}", near.map(|name| format!("\nDid you mean -{name}?")).unwrap_or_default())]
    Unknown {
        /// What was given.
        given: String,
        /// What was probably meant.
        near: Option<&'static str>,
    },
    /// The value is missing.
    #[error("flag needs an argument: -{0}")]
    NoValue(&'static str),
    /// A switch was given something that is neither true nor false.
    #[error("invalid boolean value {value:?} for -{name}: parse error")]
    NotBoolean {
        /// The flag.
        name: &'static str,
        /// What was given.
        value: String,
    },
}

/// The boolean that a text stands for.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

impl Parsed {
    /// Splits a command line.
    ///
    /// # Errors
    /// At the first flag that is unknown or has no usable value.
    pub fn parse(known: &[&'static [Flag]], line: &[String]) -> Result<Self, FlagError> {
        Self::split(known, line, false)
    }

    /// The same for a line whose arguments are a command of somebody else's: flags end at the first argument.
    ///
    /// # Errors
    /// At the first flag that is unknown or has no usable value.
    pub fn parse_foreign(known: &[&'static [Flag]], line: &[String]) -> Result<Self, FlagError> {
        Self::split(known, line, true)
    }

    fn split(known: &[&'static [Flag]], line: &[String], foreign: bool) -> Result<Self, FlagError> {
        let mut parsed = Self::default();
        let mut rest = line.iter();
        while let Some(word) = rest.next() {
            let dashed = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let Some(flag) = dashed.filter(|flag| !flag.is_empty()) else {
                if word == "--" {
                    parsed.arguments.extend(rest.cloned());
                    break;
                }
                parsed.arguments.push(word.clone());
                if foreign {
                    parsed.arguments.extend(rest.cloned());
                    break;
                }
                continue;
            };
            let (name, given) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            if matches!(name, "h" | "help") {
                parsed.help = true;
                continue;
            }
            let all = || known.iter().flat_map(|flags| flags.iter());
            let Some(flag) = all().find(|flag| flag.name == name) else {
                let near = nearest(name, all().filter(|flag| !flag.help.is_empty()).map(|flag| flag.name));
                return Err(FlagError::Unknown { given: name.to_owned(), near });
            };
            let value = match (flag.takes, given) {
                (Takes::Nothing, None) => "true".to_owned(),
                (Takes::Nothing, Some(value)) => {
                    let on = boolean(value).ok_or_else(|| FlagError::NotBoolean { name: flag.name, value: value.to_owned() })?;
                    on.to_string()
                }
                (_, Some(value)) => value.to_owned(),
                (_, None) => rest.next().cloned().ok_or(FlagError::NoValue(flag.name))?,
            };
            parsed.values.entry(flag.name).or_default().push(value);
        }
        Ok(parsed)
    }

    /// Whether a switch is on.
    pub fn on(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// Whether a flag was given at all.
    pub fn given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The last value of a flag.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|values| values.last()).map(String::as_str)
    }

    /// The last value of a flag unless it is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// Every value of a flag.
    pub fn values(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The name that is spelled most alike, if one is near enough to be meant.
pub fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = |name: &&str| strsim::damerau_levenshtein(given, name);
    let bound = if given.len() <= 3 { 1 } else { 2 };
    names.filter(|name| near(name) <= bound && near(name) < name.len()).min_by_key(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag::switch("detach", "x"),
        Flag::switch("verbose", "x"),
        Flag::value("n", "count", "x"),
        Flag::values("var", "name=value", "x"),
    ];

    fn parse(line: &str) -> Result<Parsed, FlagError> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Parsed::parse(&[FLAGS, GENERAL], &words)
    }

    #[test]
    fn flags_may_come_after_arguments_and_in_every_spelling() {
        let parsed = parse("job.hcl -detach --n 3 -var a=1 - -var=b=2 -namespace=x -- -verbose").unwrap();
        assert_eq!(parsed.arguments, ["job.hcl", "-", "-verbose"]);
        assert!(parsed.on("detach") && !parsed.on("verbose"));
        assert_eq!(
            (parsed.value("n"), parsed.values("var"), parsed.text("namespace")),
            (Some("3"), &["a=1".to_owned(), "b=2".to_owned()][..], Some("x"))
        );
        assert!(!parse("-detach -detach=false").unwrap().on("detach"));
        assert!(parse("x -h").unwrap().help && parse("--help").unwrap().help && !parse("-- -h").unwrap().help);
    }

    #[test]
    fn a_wrong_flag_names_the_one_that_was_meant() {
        assert_eq!(parse("-bogus").unwrap_err().to_string(), "flag provided but not defined: -bogus");
        assert_eq!(parse("-detatch").unwrap_err().to_string(), "flag provided but not defined: -detatch\nDid you mean -detach?");
        assert_eq!(parse("-n").unwrap_err().to_string(), "flag needs an argument: -n");
        assert_eq!(parse("-detach=x").unwrap_err().to_string(), "invalid boolean value \"x\" for -detach: parse error");
    }
}
