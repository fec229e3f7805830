//! Templates of tasks: Go's `text/template` language with the functions that job files use.
//!
//! [`Template::parse`] reads a text, [`Template::render`] runs it. Everything from outside, the environment, files,
//! variables, services, comes from the caller through [`Data`]; a value that is not there yet makes the result
//! [`RenderError::Waits`]. Rendering is bounded in steps, output and nesting.
//!
//! # Compatibility
//!
//! Actions, pipelines, variables, comparison and formatting follow Go 1.24, `range` over numbers included; texts of
//! errors are our own.

mod builtins;
mod execute;
mod format;
mod functions;
mod output;
mod parse;
mod sprig;
pub mod value;

use std::collections::BTreeMap;

pub use value::{Record, Value};

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Why a template gives no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// It fails.
    #[error("line {line}: {message}")]
    Failed {
        /// Line, from 1.
        line: usize,
        /// What went wrong.
        message: String,
    },
    /// Something is not there yet.
    #[error("waits for {0}")]
    Waits(String),
}

/// Why a call of the caller's data gives no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataError {
    /// It fails.
    Failed(String),
    /// The data is not there yet; the text names it.
    Waits(String),
}

/// What templates may see.
pub trait Data {
    /// The value of an environment variable or node attribute.
    fn environment(&self, name: &str) -> Option<String>;

    /// The content of a file.
    fn file(&self, path: &str) -> Result<String, DataError> {
        Err(DataError::Failed(format!("there is no file {path}")))
    }

    /// Seconds since 1970.
    fn now(&self) -> i64;

    /// The network interfaces of the host.
    fn interfaces(&self) -> Vec<crate::sockaddr::Interface> {
        Vec::new()
    }

    /// Whether the caller has a function of this name.
    fn has_function(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The value of such a function.
    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, DataError> {
        let _ = arguments;
        Err(DataError::Failed(format!("there is no function {name}")))
    }

    /// Whether templates see Go's functions and the caller's alone, the caller's first.
    fn only_own_functions(&self) -> bool {
        false
    }

    /// Whether a function must not be used.
    fn is_denied(&self, name: &str) -> bool {
        matches!(name, "executeTemplate" | "plugin" | "writeToFile")
    }
}

/// How a text is read and run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What opens an action; `{{` when empty.
    pub left_delimiter: String,
    /// What closes an action; `}}` when empty.
    pub right_delimiter: String,
    /// Whether a missing key of a map is an error.
    pub error_on_missing_key: bool,
    /// Steps that rendering may take.
    pub max_steps: u64,
    /// Bytes that rendering may produce.
    pub max_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            left_delimiter: String::new(),
            right_delimiter: String::new(),
            error_on_missing_key: false,
            max_steps: 2_000_000,
            max_bytes: 32 << 20,
        }
    }
}

/// A template that can be rendered.
#[derive(Clone, Debug)]
pub struct Template {
    root: Vec<parse::Node>,
    defined: BTreeMap<String, Vec<parse::Node>>,
    options: Options,
}

impl Template {
    /// Reads a text; every function that it names must exist, here or in `data`.
    pub fn parse(text: &str, options: Options, data: &dyn Data) -> Result<Self, ParseError> {
        let own = data.only_own_functions();
        let knows = |name: &str| data.has_function(name) || if own { functions::is_go(name) } else { functions::exists(name) };
        let (root, defined) = parse::parse(text, &options, &knows)?;
        Ok(Self { root, defined, options })
    }

    /// The text that the template gives.
    pub fn render(&self, data: &dyn Data) -> Result<String, RenderError> {
        self.render_over(&Value::Nil, data)
    }

    /// The text that the template gives over a value, which is its dot.
    pub fn render_over(&self, dot: &Value, data: &dyn Data) -> Result<String, RenderError> {
        execute::render(&self.root, &self.defined, &self.options, data, dot)
    }
}
