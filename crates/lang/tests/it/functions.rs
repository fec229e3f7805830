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

#[test]
fn values_of_several_types_become_one_as_other_readers_have_it() {
    for (expression, wanted, kind) in [
        ("true ? convert([\"b\", \"a\"], list(string)) : convert([1], set(number))", "[\"b\",\"a\"]", "list(string)"),
        ("true ? convert([1], list(number)) : convert([\"z\"], set(string))", "[1]", "list(number)"),
        ("true ? convert([\"b\"], set(string)) : [\"z\", \"a\"]", "[\"b\"]", "set(string)"),
        ("coalesce(null, 1, \"a\")", "\"1\"", "string"),
        ("coalesce(null, 1, true)", "1", "number"),
        ("coalesce(\"a\", null, [1])", "\"a\"", "string"),
        ("coalesce(convert({ a = 1 }, map(number)), null, 1.5)", "{\"a\":1}", "map(number)"),
        ("merge(convert({ a = 1 }, map(number)), null)", "{\"a\":1}", "object({a=number})"),
        ("merge(convert({ a = 1 }, map(number)), convert(null, map(number)))", "{\"a\":1}", "map(number)"),
        ("pow(2, 64)", "18446744073709550000", "number"),
    ] {
        let value = evaluate(expression).unwrap_or_else(|problem| panic!("{expression}: {problem}"));
        assert_eq!((value.to_json_text().unwrap().as_str(), value.kind().to_string().as_str()), (wanted, kind), "{expression}");
    }
    assert!(evaluate("convert(convert([\"a\"], list(string)), tuple([string]))").is_err());
}

#[test]
fn documents_are_read_as_other_readers_read_them() {
    for (document, wanted) in [
        ("---", "null"),
        ("---\n# nothing\n", "null"),
        ("? k", "{\"k\":null}"),
        ("? k\n: v", "{\"k\":\"v\"}"),
        ("a: 1\n? k\n: - v\n  - w\nb: 2", "{\"a\":1,\"b\":2,\"k\":[\"v\",\"w\"]}"),
        ("a: 1\n&m k: 2", "{\"a\":1,\"k\":2}"),
        ("- &x\n  a: 1\n- *x", "[{\"a\":1},{\"a\":1}]"),
        ("0b11", "\"0b11\""),
        ("2001-12-14", "\"2001-12-14T00:00:00Z\""),
        ("2001-13-14", "\"2001-13-14\""),
        ("2001-12-14t21:59:43.10-05:00", "\"2001-12-14T21:59:43-05:00\""),
        ("2001-1-1 1:02:03", "\"2001-01-01T01:02:03Z\""),
    ] {
        let value = evaluate(&format!("yamldecode({})", serde_json::Value::from(document)));
        let value = value.unwrap_or_else(|problem| panic!("{document}: {problem}"));
        assert_eq!(value.to_json_text().unwrap(), wanted, "{document}");
    }
    assert!(evaluate("yamldecode(\"\")").is_err());
    assert_eq!(text("substr(\"abc\", -2, 0)"), "bc");
    assert_eq!(text("format(\"%.0s|%5.s|%.1s\", \"abc\", \"abc\", \"abc\")"), "abc|  abc|a");
}
