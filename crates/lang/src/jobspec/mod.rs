//! Job files: text in, the API's job out, with everything that is wrong.
//!
//! The tables of `schema` say what may stand where; `decode` applies them to the syntax tree. What a job means beyond
//! its form (names that must exist, limits, defaults) is checked where jobs are registered.

mod decode;
mod origin;
mod places;
mod reference;
mod schema;

pub use places::Places;
pub use reference::{Entry, reference, stale_sentences};

use serde_json::Value as Json;

use crate::diag::{Problem, Source, Span};
use crate::hcl::ast::{Attribute, Block, Body, Expr, ExprKind, JsonKind, JsonMember, JsonNode, Name};
use crate::hcl::eval::{Budget, Evaluator, Host, Mode};
use crate::hcl::json::parse_json;
use crate::hcl::parse::{parse_expression, parse_file, parse_string_template};
use crate::hcl::value::Value;
use crate::hcl::vars::{Inputs, resolve};
use places::Marks;

/// What a job file is read with.
pub struct Options<'a> {
    /// Values for input variables.
    pub inputs: Inputs,
    /// Files and randomness for functions.
    pub host: &'a dyn Host,
    /// What the expressions may use up.
    pub budget: Budget,
}

/// A job file that could be read.
#[derive(Debug)]
pub struct Parsed {
    /// The job.
    pub job: drover_api::Job,
    /// What is probably not meant as it is written.
    pub warnings: Vec<Problem>,
}

/// Reads a job file in native or JSON syntax.
///
/// # Errors
///
/// All problems found, warnings included, in source order.
pub fn parse_job(source: &Source, options: &Options<'_>) -> Result<Parsed, Vec<Problem>> {
    let decoded = decode_job(source, options, None)?;
    let mut problems = decoded.warnings;
    match serde_json::from_value::<drover_api::Job>(decoded.json) {
        Ok(job) => Ok(Parsed { job, warnings: sorted(problems) }),
        Err(error) => {
            problems.push(Problem::error("Invalid job", error.to_string()).at(source, decoded.place));
            Err(sorted(problems))
        }
    }
}

/// Where the parts of the job stand that [`parse_job`] reads from the file; nowhere when it cannot be read.
pub fn places(source: &Source, options: &Options<'_>) -> Places {
    let marked = decode_job(source, options, Some(Marks::default()));
    marked.map(|decoded| decoded.marks.unwrap_or_default().places(source, &decoded.json)).unwrap_or_default()
}

/// A job in the API's shape, not yet held against its types.
struct Decoded {
    json: Json,
    warnings: Vec<Problem>,
    place: Span,
    marks: Option<Marks>,
}

fn decode_job(source: &Source, options: &Options<'_>, marks: Option<Marks>) -> Result<Decoded, Vec<Problem>> {
    let (mut body, mut problems) = read(source);
    if problems.iter().any(Problem::is_error) {
        return Err(sorted(problems));
    }
    if let Some(members) = body.json.take() {
        problems.append(&mut json_file(source, &members, &mut body));
    }
    let Some(job) = top_level(source, &body, &mut problems) else {
        return Err(sorted(problems));
    };
    let scope = resolve(source, &body, &options.inputs, options.host, options.budget);
    problems.extend(scope.problems);
    let mut evaluator = Evaluator::new(source, options.host, Mode::Full, scope.budget);
    evaluator.enter("var".into(), scope.variables);
    evaluator.enter("local".into(), scope.locals);
    let mut decoder = decode::Decoder { evaluator, origins: origin::Origins::of(&body, scope.given), marks };
    let json = decoder.job(job);
    problems.append(&mut decoder.evaluator.problems);
    if problems.iter().any(Problem::is_error) {
        return Err(sorted(problems));
    }
    Ok(Decoded { json, warnings: problems, place: job.kind.span, marks: decoder.marks })
}

/// Reads a job in the API's own JSON form, bare or as `{"Job": …}`.
///
/// # Errors
///
/// What is not JSON or not a job.
pub fn parse_api_job(source: &Source) -> Result<drover_api::Job, Vec<Problem>> {
    let node =
        parse_json(source.text()).map_err(|error| vec![Problem::error("Invalid JSON", error.message.clone()).at(source, error.span)])?;
    let invalid = |error: serde_json::Error| vec![Problem::error("Invalid job", error.to_string()).at(source, node.span)];
    let json: Json = serde_json::from_str(source.text()).map_err(invalid)?;
    let inner = match json {
        Json::Object(mut members) => match members.iter().find(|(key, _)| key.eq_ignore_ascii_case("job")).map(|(key, _)| key.clone()) {
            Some(key) => members.remove(&key).unwrap_or(Json::Null),
            None => Json::Object(members),
        },
        other => other,
    };
    if !inner.is_object() {
        return Err(vec![Problem::error("Invalid job", "A job is a JSON object.").at(source, node.span)]);
    }
    serde_json::from_value(inner).map_err(invalid)
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.file.clone(), place.span)));
    problems.dedup();
    problems
}

/// The body of the file in whichever syntax it is written.
fn read(source: &Source) -> (Body, Vec<Problem>) {
    let text = source.text().strip_prefix('\u{feff}').unwrap_or(source.text());
    if !text.trim_start_matches(' ').starts_with('{') {
        let (file, problems) = parse_file(source);
        return (file.body, problems);
    }
    match parse_json(source.text()) {
        Ok(JsonNode { kind: JsonKind::Object(members), span }) => {
            let end = Span { start: span.end, end: span.end };
            (Body { json: Some(members), end, ..Body::default() }, Vec::new())
        }
        Ok(node) => (Body::default(), vec![Problem::error("Invalid job file", "A JSON object is expected.").at(source, node.span)]),
        Err(error) => (Body::default(), vec![Problem::error("Invalid JSON", error.message.clone()).at(source, error.span)]),
    }
}

const TOP_LEVEL: [&str; 4] = ["job", "locals", "variable", "variables"];

/// Checks what stands at top level and finds the one job.
fn top_level<'a>(source: &Source, body: &'a Body, problems: &mut Vec<Problem>) -> Option<&'a Block> {
    for attribute in &body.attributes {
        let detail = format!("There is no argument \"{}\" at the top level of a job file.", attribute.name.text);
        problems.push(Problem::error("Unsupported argument", detail).at(source, attribute.name.span));
    }
    let mut jobs = Vec::new();
    for block in &body.blocks {
        if &*block.kind.text == "job" {
            jobs.push(block);
        } else if !TOP_LEVEL.contains(&&*block.kind.text) {
            let detail = format!("There is no block \"{}\" at the top level of a job file.", block.kind.text);
            let hint = crate::diag::did_you_mean(&block.kind.text, TOP_LEVEL);
            problems.push(Problem::error("Unsupported block type", detail).at(source, block.kind.span).maybe_hint(hint));
        }
    }
    for other in jobs.iter().skip(1) {
        let line = source.place(jobs[0].kind.span).line;
        let detail = format!("A job file holds one job; the first stands on line {line}.");
        problems.push(Problem::error("Duplicate job block", detail).at(source, other.kind.span));
    }
    if jobs.is_empty() {
        problems.push(Problem::error("Missing job block", "A job file needs a block: job \"name\" { … }"));
        return None;
    }
    Some(jobs[0])
}

// -- JSON syntax ------------------------------------------------------------------------------------------------------

/// Turns the members of a file in JSON syntax into blocks and arguments.
fn json_file(source: &Source, members: &[JsonMember], body: &mut Body) -> Vec<Problem> {
    let mut problems = Vec::new();
    for member in members {
        let labels = match &*member.name.text {
            "job" | "variable" => 1,
            "locals" | "variables" => 0,
            "//" => continue,
            _ => {
                let detail = format!("There is no argument or block \"{}\" at the top level of a job file.", member.name.text);
                problems.push(Problem::error("Extraneous JSON object property", detail).at(source, member.name.span));
                continue;
            }
        };
        let mut blocks = Vec::new();
        json_blocks(source, &member.name, &member.value, labels, &mut Vec::new(), &mut blocks, &mut problems);
        for block in &mut blocks {
            if &*member.name.text == "job" {
                continue;
            }
            let members = block.body.json.take().unwrap_or_default();
            for inner in members.iter().filter(|inner| &*inner.name.text != "//") {
                if &*inner.name.text == "validation" && &*member.name.text == "variable" {
                    let mut rules = Vec::new();
                    json_blocks(source, &inner.name, &inner.value, 0, &mut Vec::new(), &mut rules, &mut problems);
                    for rule in &mut rules {
                        let members = rule.body.json.take().unwrap_or_default();
                        rule.body.attributes = members.iter().map(|member| json_attribute(source, member, &mut problems)).collect();
                    }
                    block.body.blocks.append(&mut rules);
                } else if &*inner.name.text == "type"
                    && let JsonKind::String(text) = &inner.value.kind
                {
                    // A type is an expression that stands in a string.
                    match parse_expression(&Source::new(source.name().clone(), text.clone())) {
                        Ok(mut value) => {
                            value.span = inner.value.span;
                            block.body.attributes.push(Attribute { name: inner.name.clone(), value });
                        }
                        Err(_) => problems.push(
                            Problem::error("Invalid type specification", format!("\"{text}\" is not a type.")).at(source, inner.value.span),
                        ),
                    }
                } else {
                    let attribute = json_attribute(source, inner, &mut problems);
                    block.body.attributes.push(attribute);
                }
            }
        }
        body.blocks.append(&mut blocks);
    }
    problems
}

/// The blocks that a JSON value stands for, one object level per label.
fn json_blocks(
    source: &Source,
    kind: &Name,
    node: &JsonNode,
    labels: usize,
    found: &mut Vec<Name>,
    out: &mut Vec<Block>,
    problems: &mut Vec<Problem>,
) {
    match &node.kind {
        JsonKind::Array(members) => {
            for member in members.iter() {
                json_blocks(source, kind, member, labels, found, out, problems);
            }
        }
        JsonKind::Object(members) if labels > 0 => {
            for member in members.iter().filter(|member| &*member.name.text != "//") {
                found.push(member.name.clone());
                json_blocks(source, kind, &member.value, labels - 1, found, out, problems);
                found.pop();
            }
        }
        JsonKind::Object(members) => out.push(Block {
            kind: Name { text: kind.text.clone(), span: kind.span },
            labels: found.clone(),
            open: Span { start: node.span.start, end: node.span.start + 1 },
            body: Body { json: Some(members.clone()), end: Span { start: node.span.end, end: node.span.end }, ..Body::default() },
        }),
        JsonKind::Literal(Value::Null(_)) => {}
        _ => problems.push(
            Problem::error("Incorrect JSON value type", format!("\"{}\" is a block, so an object is expected here.", kind.text))
                .at(source, node.span),
        ),
    }
}

fn json_attribute(source: &Source, member: &JsonMember, problems: &mut Vec<Problem>) -> Attribute {
    Attribute { name: member.name.clone(), value: json_expression(source, &member.value, problems) }
}

/// The expression that a JSON value stands for: strings are templates.
fn json_expression(source: &Source, node: &JsonNode, problems: &mut Vec<Problem>) -> Expr {
    let kind = match &node.kind {
        JsonKind::Literal(value) => ExprKind::Literal(value.clone()),
        JsonKind::String(text) => match json_template(source, text, node.span) {
            Ok(expr) => expr.kind,
            Err(found) => {
                problems.extend(found);
                ExprKind::Literal(Value::NULL)
            }
        },
        JsonKind::Array(members) => ExprKind::Tuple(members.iter().map(|member| json_expression(source, member, problems)).collect()),
        JsonKind::Object(members) => ExprKind::Object(
            members
                .iter()
                .map(|member| {
                    let key = json_template(source, &member.name.text, member.name.span).unwrap_or_else(|found| {
                        problems.extend(found);
                        Expr { span: member.name.span, kind: ExprKind::Literal(Value::string(&member.name.text)) }
                    });
                    (key, json_expression(source, &member.value, problems))
                })
                .collect(),
        ),
    };
    Expr { span: node.span, kind }
}

fn json_template(source: &Source, text: &str, span: Span) -> Result<Expr, Vec<Problem>> {
    if !text.contains("${") && !text.contains("%{") {
        return Ok(Expr { span, kind: ExprKind::Literal(Value::string(text)) });
    }
    let mut expr = parse_string_template(source, text, span.start as usize + 1)?;
    expr.span = span;
    Ok(expr)
}
