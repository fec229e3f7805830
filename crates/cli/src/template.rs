//! `-t`: a value through a template.

use std::collections::BTreeMap;

use drover_lang::gotmpl::{Data, Options, Template, Value};
use serde_json::Value as Json;

/// Templates of the command line see the value and nothing else.
struct Nothing;

impl Data for Nothing {
    fn environment(&self, _: &str) -> Option<String> {
        None
    }

    fn now(&self) -> i64 {
        0
    }
}

/// Renders a template over a value.
///
/// # Errors
/// The place in the template and what is wrong there.
pub fn render(template: &str, value: &Json) -> Result<String, String> {
    let options = Options { error_on_missing_key: true, ..Options::default() };
    let parsed = Template::parse(template, options, &Nothing).map_err(|error| format!("template: {error}"))?;
    parsed.render_over(&convert(value), &Nothing).map_err(|error| format!("template: {error}"))
}

fn convert(value: &Json) -> Value {
    match value {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Uint(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::text(text),
        Json::Array(values) => Value::list(values.iter().map(convert).collect()),
        Json::Object(members) => {
            let members: BTreeMap<String, Value> = members.iter().map(|(key, value)| (key.clone(), convert(value))).collect();
            Value::map(members)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_ranges_and_conditions_work_over_a_value() {
        let jobs = json!([{"ID": "a", "Status": "running"}, {"ID": "b", "Status": "dead"}]);
        let text = r#"{{range .}}{{if eq .Status "running"}}{{.ID}} {{end}}{{end}}{{len .}}"#;
        assert_eq!(render(text, &jobs).unwrap(), "a 2");
        assert!(render("{{.ID", &jobs).unwrap_err().starts_with("template: line 1: "));
        assert!(render("{{range .}}{{.Nope}}{{end}}", &jobs).is_err());
    }
}
