//! Templates against recorded outputs.

use std::collections::BTreeMap;

use drover_lang::gotmpl::{Data, DataError, Options, Record, RenderError, Template, Value};
use serde_json::Value as Json;

use crate::golden::{cell, finish, named_differences, records, text};

/// The recorded surroundings.
struct Surroundings {
    context: Json,
    record: Json,
}

impl Surroundings {
    fn part(&self, name: &str) -> &Json {
        match &self.record[name] {
            Json::String(_) => &self.context[name],
            other => other,
        }
    }
}

/// The items of a variable.
#[derive(Debug)]
struct Items(BTreeMap<String, String>, String);

/// One item, which prints as its text.
#[derive(Debug)]
struct Item(String);

impl Record for Item {
    fn get(&self, name: &str, _: &[Value]) -> Option<Result<Value, DataError>> {
        (name == "Value").then(|| Ok(Value::text(&self.0)))
    }

    fn text(&self) -> String {
        self.0.clone()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Record for Items {
    fn get(&self, name: &str, _: &[Value]) -> Option<Result<Value, DataError>> {
        let tuple = |(key, value): (&String, &String)| {
            Value::map([("K".to_owned(), Value::text(key)), ("V".to_owned(), Value::text(value))].into())
        };
        Some(Ok(match name {
            "Keys" => Value::texts(self.0.keys()),
            "Values" => Value::texts(self.0.values()),
            "Tuples" => Value::list(self.0.iter().map(tuple).collect()),
            "Metadata" => Value::map([("Path".to_owned(), Value::text(&self.1))].into()),
            _ => Value::Record(std::sync::Arc::new(Item(self.0.get(name)?.clone()))),
        }))
    }

    fn text(&self) -> String {
        "map".to_owned()
    }

    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        Some(self.0.iter().map(|(key, value)| (Value::text(key), Value::Record(std::sync::Arc::new(Item(value.clone()))))).collect())
    }
}

const WAITING: [&str; 12] = [
    "nomadService",
    "nomadServices",
    "nomadVarExists",
    "nomadVarList",
    "key",
    "keyOrDefault",
    "secret",
    "service",
    "caLeaf",
    "tree",
    "datacenters",
    "pkiCert",
];

impl Data for Surroundings {
    fn environment(&self, name: &str) -> Option<String> {
        self.part("env")[name].as_str().map(str::to_owned)
    }

    fn file(&self, path: &str) -> Result<String, DataError> {
        let inside = path.strip_prefix("<task_dir>/").map(drover_lang::hcl::functions::clean_path);
        let found = inside.and_then(|path| self.part("files")[path].as_str().map(str::to_owned));
        found.ok_or_else(|| DataError::Failed("no such file".to_owned()))
    }

    fn now(&self) -> i64 {
        1_700_000_000
    }

    fn has_function(&self, name: &str) -> bool {
        name == "nomadVar" || WAITING.contains(&name)
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, DataError> {
        if arguments.iter().any(|argument| argument.as_text().is_some_and(|text| text.contains(' '))) && name == "nomadService" {
            return Err(DataError::Failed("invalid format".to_owned()));
        }
        if name != "nomadVar" {
            return Err(DataError::Waits(name.to_owned()));
        }
        let path = arguments[0].as_text().unwrap_or("");
        match self.part("vars")[path].as_object() {
            Some(items) => {
                let items = items.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
                Ok(Value::Record(std::sync::Arc::new(Items(items, path.to_owned()))))
            }
            None if path.is_empty() => Ok(Value::map(BTreeMap::new())),
            None => Err(DataError::Waits(path.to_owned())),
        }
    }
}

#[test]
fn templates_give_the_recorded_output() {
    let context = records("lang-go-templates-context").remove(0);
    let all = records("lang-go-templates");
    let different_here = named_differences("lang-go-templates");
    let mut differences = Vec::new();
    for record in &all {
        let template = cell(record, "template");
        let record_context: Json = serde_json::from_str(text(record, "context")).unwrap_or_default();
        let options = Options {
            left_delimiter: text(&record_context, "left").to_owned(),
            right_delimiter: text(&record_context, "right").to_owned(),
            error_on_missing_key: record_context["strict"].as_bool().unwrap_or(false),
            ..Options::default()
        };
        let data = Surroundings { context: context.clone(), record: record_context };
        let found = match Template::parse(&template, options, &data) {
            Err(error) => Err(format!("parse: {error}")),
            Ok(parsed) => parsed.render(&data).map_err(|error| match error {
                RenderError::Waits(what) => format!("waits: {what}"),
                failed => format!("execute: {failed}"),
            }),
        };
        let wanted = text(record, "output");
        let agree = match &found {
            Ok(output) => serde_json::from_str::<String>(wanted).is_ok_and(|wanted| wanted == *output),
            Err(error) => wanted.starts_with("error:") && wanted.contains("waits for") == error.starts_with("waits"),
        };
        if agree == different_here.contains(text(record, "name")) {
            differences.push(format!("{}: {template:?}: wanted {wanted}, found {found:?}", text(record, "name")));
        }
    }
    finish("templates", all.len(), &differences);
}
