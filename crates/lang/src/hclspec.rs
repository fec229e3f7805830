//! The schemas by which driver plugins describe their `config` blocks, and reading such a block by one.
//!
//! A schema is in the JSON form of the plugin protocol: attributes, blocks, defaults, literals. [`Schema::parse`] checks it
//! once, [`Schema::decode`] reads a block and tells all that is wrong with it.
//!
//! # Compatibility
//!
//! The texts of problems are those that users of job files know.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::diag::Source;
use crate::hcl::eval::{Budget, Evaluator, Mode, NoHost};
use crate::hcl::functions::type_expression;
use crate::hcl::parse::parse_expression;
use crate::hcl::value::{Type, Value};

/// Schemas nest at most this deep.
const DEPTH_MAX: usize = 64;

/// Why a text is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plugin schema: {0}")]
pub struct SchemaError(String);

/// A schema.
#[derive(Clone, Debug)]
pub struct Schema(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Object(BTreeMap<String, Kind>),
    Array(Vec<Kind>),
    Attribute { name: String, kind: Type, required: bool },
    BlockAttributes { name: String, kind: Type, required: bool },
    Block { name: String, required: bool, nested: Box<Kind> },
    BlockList { name: String, least: usize, most: usize, nested: Box<Kind> },
    BlockSet { name: String, nested: Box<Kind> },
    BlockMap { name: String, nested: Box<Kind> },
    Default(Box<Kind>, Box<Kind>),
    Literal(Json),
}

impl Schema {
    /// Reads a schema in its JSON form.
    ///
    /// # Errors
    /// When it names a type that there is not, or is no schema at all.
    pub fn parse(schema: &Json) -> Result<Self, SchemaError> {
        kind(schema, 0).map(Self)
    }

    /// The settings that a block holds, in JSON; absent ones are null.
    ///
    /// # Errors
    /// Everything that is wrong with the block.
    pub fn decode(&self, config: &Map<String, Json>) -> Result<Json, Vec<String>> {
        let mut problems = Vec::new();
        let found = body(&self.0, config, &mut problems);
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }
}

fn kind(schema: &Json, depth: usize) -> Result<Kind, SchemaError> {
    let wrong = |text: &str| SchemaError(text.to_owned());
    if depth > DEPTH_MAX {
        return Err(wrong("it is nested too deep"));
    }
    let Some((form, inner)) = schema.as_object().filter(|schema| schema.len() == 1).and_then(|schema| schema.iter().next()) else {
        return Err(wrong("a block of a schema has exactly one form"));
    };
    let text = |key: &str| inner[key].as_str().unwrap_or_default().to_owned();
    let required = inner["required"].as_bool().unwrap_or(false);
    let count = |key: &str| match &inner[key] {
        Json::String(text) => text.parse().unwrap_or(0),
        other => other.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0),
    };
    let nested = |key: &str| kind(&inner[key], depth + 1).map(Box::new);
    Ok(match form.as_str() {
        "object" => {
            let attributes = inner["attributes"].as_object().into_iter().flatten();
            Kind::Object(attributes.map(|(name, schema)| Ok((name.clone(), kind(schema, depth + 1)?))).collect::<Result<_, _>>()?)
        }
        "array" => {
            let values = inner["values"].as_array().into_iter().flatten();
            Kind::Array(values.map(|schema| kind(schema, depth + 1)).collect::<Result<_, _>>()?)
        }
        "Attr" | "attr" => Kind::Attribute { name: text("name"), kind: type_of(&text("type"))?, required },
        "blockAttrs" => Kind::BlockAttributes { name: text("name"), kind: type_of(&text("type"))?, required },
        "blockValue" => Kind::Block { name: text("name"), required, nested: nested("nested")? },
        "blockList" => Kind::BlockList { name: text("name"), least: count("minItems"), most: count("maxItems"), nested: nested("nested")? },
        "blockSet" => Kind::BlockSet { name: text("name"), nested: nested("nested")? },
        "blockMap" => Kind::BlockMap { name: text("name"), nested: nested("nested")? },
        "default" => Kind::Default(nested("primary")?, nested("default")?),
        "literal" => Kind::Literal(literal(&text("value"))?),
        other => return Err(SchemaError(format!("there is no form {other:?}"))),
    })
}

fn type_of(text: &str) -> Result<Type, SchemaError> {
    let source = Source::new("type", text);
    let expression = parse_expression(&source).map_err(|problems| SchemaError(format!("{text:?} is no type: {}", problems[0].detail)))?;
    type_expression(&expression, true).map_err(|(_, reason)| SchemaError(format!("{text:?} is no type: {reason}")))
}

fn literal(text: &str) -> Result<Json, SchemaError> {
    let source = Source::new("literal", text);
    let expression = parse_expression(&source).map_err(|problems| SchemaError(format!("{text:?} is no value: {}", problems[0].detail)))?;
    let host = NoHost::default();
    let value = Evaluator::new(&source, &host, Mode::Literal, Budget::default()).evaluate(&expression);
    let value = value.ok_or_else(|| SchemaError(format!("{text:?} is no value")))?;
    json_of(&value).ok_or_else(|| SchemaError(format!("{text:?} has no JSON form")))
}

fn json_of(value: &Value) -> Option<Json> {
    serde_json::from_str(&value.to_json_text().ok()?).ok()
}

/// The names that a block may have.
fn names<'a>(kind: &'a Kind, out: &mut Vec<&'a str>) {
    match kind {
        Kind::Object(attributes) => attributes.values().for_each(|kind| names(kind, out)),
        Kind::Array(values) => values.iter().for_each(|kind| names(kind, out)),
        Kind::Attribute { name, .. }
        | Kind::BlockAttributes { name, .. }
        | Kind::Block { name, .. }
        | Kind::BlockList { name, .. }
        | Kind::BlockSet { name, .. }
        | Kind::BlockMap { name, .. } => out.push(name),
        Kind::Default(primary, default) => {
            names(primary, out);
            names(default, out);
        }
        Kind::Literal(_) => {}
    }
}

/// Reads a whole body, and tells what it must not hold.
fn body(kind: &Kind, config: &Map<String, Json>, problems: &mut Vec<String>) -> Json {
    let found = read(kind, config, problems);
    let mut known = Vec::new();
    names(kind, &mut known);
    for name in config.keys().filter(|name| !known.contains(&name.as_str())) {
        let hint = crate::diag::did_you_mean(name, known.iter().copied()).map(|hint| format!(" {hint}")).unwrap_or_default();
        problems.push(format!("Invalid label: No argument or block type is named \"{name}\".{hint}"));
    }
    found
}

fn read(kind: &Kind, config: &Map<String, Json>, problems: &mut Vec<String>) -> Json {
    let given = |name: &str| config.get(name).filter(|value| !value.is_null());
    match kind {
        Kind::Object(attributes) => {
            Json::Object(attributes.iter().map(|(name, kind)| (name.clone(), read(kind, config, problems))).collect())
        }
        Kind::Array(values) => Json::Array(values.iter().map(|kind| read(kind, config, problems)).collect()),
        Kind::Literal(value) => value.clone(),
        Kind::Default(primary, default) => match read(primary, config, problems) {
            Json::Null => read(default, config, problems),
            found => found,
        },
        Kind::Attribute { name, kind, required } => match given(name) {
            Some(value) => convert(value, kind).unwrap_or_else(|reason| {
                problems.push(match reason {
                    Some(reason) => {
                        format!("Incorrect attribute value type: Inappropriate value for attribute \"{name}\": {reason}.")
                    }
                    None => "Variables not allowed: Variables may not be used here.".to_owned(),
                });
                Json::Null
            }),
            None => {
                if *required {
                    problems.push(format!("Missing required argument: The argument \"{name}\" is required, but no definition was found."));
                }
                Json::Null
            }
        },
        Kind::BlockAttributes { name, kind, required } => {
            let Some(block) = one_block(name, given(name), *required, problems) else { return Json::Null };
            let mut members = Map::new();
            for (key, value) in block {
                match convert(value, kind) {
                    Ok(value) => _ = members.insert(key.clone(), value),
                    Err(reason) => problems.push(format!(
                        "Invalid attribute value: Invalid value for attribute of \"{name}\" block: {}.",
                        reason.unwrap_or_else(|| "variables may not be used here".to_owned())
                    )),
                }
            }
            Json::Object(members)
        }
        Kind::Block { name, required, nested } => {
            one_block(name, given(name), *required, problems).map_or(Json::Null, |block| body(nested, block, problems))
        }
        Kind::BlockList { name, least, most, nested } => {
            let blocks = blocks(name, given(name), problems);
            if blocks.len() < *least {
                problems.push(format!("Insufficient {name} blocks: At least {least} \"{name}\" blocks are required."));
            }
            if *most > 0 && blocks.len() > *most {
                problems.push(format!("Too many {name} blocks: No more than {most} \"{name}\" blocks are allowed"));
            }
            Json::Array(blocks.into_iter().map(|block| body(nested, block, problems)).collect())
        }
        Kind::BlockSet { name, nested } => {
            let blocks = blocks(name, given(name), problems);
            let mut found: Vec<Json> = blocks.into_iter().map(|block| body(nested, block, problems)).collect();
            found.sort_by_key(Json::to_string);
            found.dedup();
            Json::Array(found)
        }
        Kind::BlockMap { name, nested } => {
            let mut members = Map::new();
            for labelled in blocks(name, given(name), problems) {
                for (label, value) in labelled {
                    if !matches!(value, Json::Object(_) | Json::Array(_)) {
                        problems.push(wrong_block(name));
                        continue;
                    }
                    let Some(block) = one_block(name, Some(value), false, problems) else { continue };
                    if members.contains_key(label) {
                        problems.push(format!(
                            "Duplicate {name} block: A block for {name} \"{label}\" was already defined. The {name} labels must be unique."
                        ));
                    }
                    let found = body(nested, block, problems);
                    members.insert(label.clone(), found);
                }
            }
            Json::Object(members)
        }
    }
}

fn wrong_block(name: &str) -> String {
    format!(
        "Incorrect JSON value type: Either a JSON object or a JSON array is required, representing the contents of one or more \"{name}\" blocks."
    )
}

/// The blocks of a name: a list of objects, or one object.
fn blocks<'a>(name: &str, given: Option<&'a Json>, problems: &mut Vec<String>) -> Vec<&'a Map<String, Json>> {
    match given {
        None => Vec::new(),
        Some(Json::Object(block)) => vec![block],
        Some(Json::Array(list)) => {
            let found: Vec<_> = list.iter().filter_map(Json::as_object).collect();
            if found.len() < list.len() {
                problems.push(wrong_block(name));
            }
            found
        }
        Some(_) => {
            problems.push(wrong_block(name));
            Vec::new()
        }
    }
}

fn one_block<'a>(name: &str, given: Option<&'a Json>, required: bool, problems: &mut Vec<String>) -> Option<&'a Map<String, Json>> {
    let found = blocks(name, given, problems);
    if found.len() > 1 {
        problems.push(format!("Duplicate {name} block: Only one block of type \"{name}\" is allowed."));
    }
    if found.is_empty() && required {
        problems.push(format!("Missing {name} block: A block of type \"{name}\" is required here."));
    }
    found.first().copied()
}

/// The value in the type that is asked for; `Err(None)` for a text that is not known yet.
fn convert(value: &Json, kind: &Type) -> Result<Json, Option<String>> {
    let converted = hcl(value).ok_or(None)?.convert(kind).map_err(|reason| Some(reason.trim_end_matches('.').to_owned()))?;
    json_of(&converted).ok_or_else(|| Some("the value has no JSON form".to_owned()))
}

/// The value in the expression language; none when a text in it has interpolations left.
fn hcl(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => Value::NULL,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Number(crate::hcl::number::Number::parse(&number.to_string())?),
        Json::String(text) if text.replace("$${", "").contains("${") => return None,
        Json::String(text) => Value::string(text.replace("$${", "${")),
        Json::Array(values) => Value::tuple(values.iter().map(hcl).collect::<Option<_>>()?),
        Json::Object(members) => {
            Value::object(members.iter().map(|(key, value)| Some((Arc::from(key.as_str()), hcl(value)?))).collect::<Option<_>>()?)
        }
    })
}
