//! `-t`: a value through a Go template.

use serde_json::Value;

/// Renders a template over a value.
///
/// # Errors
/// The place in the template and what is wrong there.
pub fn render(template: &str, value: &Value) -> Result<String, String> {
    // The language itself lives in `drover_lang`.
    simple::render(template, value)
}

mod simple {
    //! Field access and plain text.

    use serde_json::Value;

    pub(super) fn render(template: &str, value: &Value) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let (action, after) = after.split_once("}}").ok_or("template: :1: unclosed action")?;
            let path = action.trim().strip_prefix('.').ok_or_else(|| format!("template: :1: unsupported action {action:?}"))?;
            let mut found = value;
            for name in path.split('.').filter(|name| !name.is_empty()) {
                found = found.get(name).ok_or_else(|| format!("template: :1: can't evaluate field {name}"))?;
            }
            match found {
                Value::String(text) => out.push_str(text),
                other => out.push_str(&other.to_string()),
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}
