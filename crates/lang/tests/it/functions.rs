//! Functions whose results are random or need a key.

use drover_lang::Source;
use drover_lang::hcl::eval::Budget;
use drover_lang::hcl::parse::parse_file;
use drover_lang::hcl::value::Value;
use drover_lang::hcl::vars::{Inputs, resolve};

use crate::expressions::Folder;

fn evaluate(expression: &str) -> Result<Value, String> {
    let source = Source::new("job.nomad.hcl", format!("locals {{\n  result = {expression}\n}}\n"));
    let (file, problems) = parse_file(&source);
    if let Some(problem) = problems.first() {
        return Err(problem.to_string());
    }
    let host = Folder::new(std::collections::BTreeMap::new(), true);
    let scope = resolve(&source, &file.body, &Inputs::default(), &host, Budget::default());
    match scope.problems.first() {
        Some(problem) => Err(problem.to_string()),
        None => Ok(scope.locals.members().unwrap()["result"].clone()),
    }
}

fn text(expression: &str) -> String {
    match evaluate(expression) {
        Ok(Value::String(text)) => text.to_string(),
        other => panic!("{expression}: {other:?}"),
    }
}

/// Whether the function does what its name says.
pub(crate) fn works(name: &str) -> bool {
    match name {
        "bcrypt" => text("bcrypt(\"secret\")").starts_with("$2a$10$") && text("bcrypt(\"secret\", 4)").starts_with("$2a$04$"),
        "uuidv4" => {
            let (one, other) = (text("uuidv4()"), text("uuidv4()"));
            one.len() == 36 && one.as_bytes()[14] == b'4' && other.len() == 36
        }
        // There is no key at hand: what is refused must be said.
        "rsadecrypt" => evaluate("rsadecrypt(\"AAAA\", \"no key\")").is_err(),
        _ => false,
    }
}
