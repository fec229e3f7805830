//! The functions of the expression language.
//!
//! A table names each function with its parameters; arguments are converted to the parameter types before the function
//! runs. `try`, `can` and `convert` look at their arguments as expressions. Randomness and files come from the
//! [`Host`], so the same text and host give the same values.

mod collection;
mod crypto;
mod encoding;
mod files;
mod format;
mod net;
mod number;
mod text;
mod time;
mod yaml;
mod yaml_reader;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::ast::{Call, Expr, ExprKind};
use super::eval::{Evaluator, Host};
use super::value::{Type, Value};
use crate::diag::{Span, did_you_mean};

pub use files::clean as clean_path;
pub(crate) use text::title_case;

/// A YAML document as templates read it.
pub(crate) fn read_yaml(text: &str) -> Result<Value, String> {
    yaml_reader::read(text, yaml_reader::Dialect::Templates)
}

/// What a running function sees.
pub(super) struct Context<'a> {
    pub(super) host: &'a dyn Host,
}

type Outcome = Result<Value, String>;
type Run = fn(&Context<'_>, &[Value]) -> Outcome;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Any value.
    Any,
    /// Any value, null as well.
    Nullable,
    Text,
    Number,
    /// A list of strings, made from any list, set or tuple.
    Texts,
    /// A list of strings that may be null.
    List,
    Set,
}

struct Function {
    name: &'static str,
    parameters: &'static [(&'static str, Kind)],
    rest: Option<(&'static str, Kind)>,
    files: bool,
    run: Run,
}

const fn fixed(name: &'static str, parameters: &'static [(&'static str, Kind)], run: Run) -> Function {
    Function { name, parameters, rest: None, files: false, run }
}

const fn open(name: &'static str, parameters: &'static [(&'static str, Kind)], rest: (&'static str, Kind), run: Run) -> Function {
    Function { name, parameters, rest: Some(rest), files: false, run }
}

const fn on_files(name: &'static str, parameters: &'static [(&'static str, Kind)], run: Run) -> Function {
    Function { name, parameters, rest: None, files: true, run }
}

use Kind::{Any, List, Nullable, Number, Set, Text, Texts};

static FUNCTIONS: &[Function] = &[
    fixed("abs", &[("num", Number)], number::abs),
    fixed("ceil", &[("num", Number)], number::ceil),
    fixed("floor", &[("num", Number)], number::floor),
    fixed("log", &[("num", Number), ("base", Number)], number::log),
    open("max", &[], ("numbers", Number), number::max),
    open("min", &[], ("numbers", Number), number::min),
    fixed("parseint", &[("number", Any), ("base", Number)], number::parse_int),
    fixed("pow", &[("num", Number), ("power", Number)], number::pow),
    fixed("signum", &[("num", Number)], number::signum),
    fixed("chomp", &[("str", Text)], text::chomp),
    open("format", &[("format", Text)], ("args", Nullable), format::format),
    open("formatlist", &[("format", Text)], ("args", Nullable), format::format_list),
    fixed("indent", &[("spaces", Number), ("str", Text)], text::indent),
    open("join", &[("separator", Text)], ("lists", Texts), text::join),
    fixed("lower", &[("str", Text)], text::lower),
    fixed("regex_replace", &[("str", Text), ("pattern", Text), ("replace", Text)], text::regex_replace),
    fixed("replace", &[("str", Text), ("substr", Text), ("replace", Text)], text::replace),
    fixed("split", &[("separator", Text), ("str", Text)], text::split),
    fixed("strlen", &[("str", Text)], text::strlen),
    fixed("strrev", &[("str", Text)], text::reverse),
    fixed("reverse", &[("str", Text)], text::reverse),
    fixed("substr", &[("str", Text), ("offset", Number), ("length", Number)], text::substr),
    fixed("title", &[("str", Text)], text::title),
    fixed("trim", &[("str", Text), ("cutset", Text)], text::trim),
    fixed("trimprefix", &[("str", Text), ("prefix", Text)], text::trim_prefix),
    fixed("trimspace", &[("str", Text)], text::trim_space),
    fixed("trimsuffix", &[("str", Text), ("suffix", Text)], text::trim_suffix),
    fixed("upper", &[("str", Text)], text::upper),
    fixed("chunklist", &[("list", List), ("size", Number)], collection::chunklist),
    open("coalesce", &[], ("vals", Nullable), collection::coalesce),
    open("coalescelist", &[], ("vals", Nullable), collection::coalesce_list),
    fixed("compact", &[("list", Texts)], collection::compact),
    open("concat", &[], ("seqs", Any), collection::concat),
    fixed("contains", &[("list", Any), ("value", Nullable)], collection::contains),
    fixed("distinct", &[("list", List)], collection::distinct),
    fixed("element", &[("list", Any), ("index", Number)], collection::element),
    fixed("flatten", &[("list", Any)], collection::flatten),
    fixed("index", &[("collection", Any), ("key", Any)], collection::index),
    fixed("keys", &[("inputMap", Any)], collection::keys),
    fixed("length", &[("collection", Any)], collection::length),
    fixed("lookup", &[("inputMap", Any), ("key", Text), ("default", Any)], collection::lookup),
    open("merge", &[], ("maps", Nullable), collection::merge),
    open("range", &[], ("params", Number), collection::range),
    open("setintersection", &[("first_set", Set)], ("other_sets", Set), collection::set_intersection),
    open("setproduct", &[], ("sets", Any), collection::set_product),
    open("setunion", &[("first_set", Set)], ("other_sets", Set), collection::set_union),
    fixed("slice", &[("list", Any), ("start_index", Number), ("end_index", Number)], collection::slice),
    fixed("sort", &[("list", Texts)], collection::sort),
    fixed("values", &[("values", Any)], collection::values),
    fixed("zipmap", &[("keys", Texts), ("values", Any)], collection::zipmap),
    open("bcrypt", &[("str", Text)], ("cost", Number), crypto::bcrypt),
    fixed("md5", &[("str", Text)], crypto::md5),
    fixed("rsadecrypt", &[("ciphertext", Text), ("privatekey", Text)], crypto::rsa_decrypt),
    fixed("sha1", &[("str", Text)], crypto::sha1),
    fixed("sha256", &[("str", Text)], crypto::sha256),
    fixed("sha512", &[("str", Text)], crypto::sha512),
    fixed("formatdate", &[("format", Text), ("time", Text)], time::format_date),
    fixed("timeadd", &[("timestamp", Text), ("duration", Text)], time::time_add),
    fixed("base64decode", &[("str", Text)], encoding::base64_decode),
    fixed("base64encode", &[("str", Text)], encoding::base64_encode),
    fixed("csvdecode", &[("str", Text)], encoding::csv_decode),
    fixed("jsondecode", &[("str", Text)], encoding::json_decode),
    fixed("jsonencode", &[("val", Nullable)], encoding::json_encode),
    fixed("urlencode", &[("str", Text)], encoding::url_encode),
    fixed("yamldecode", &[("src", Text)], yaml::decode),
    fixed("yamlencode", &[("value", Nullable)], yaml::encode),
    fixed("cidrhost", &[("prefix", Text), ("hostnum", Number)], net::host),
    fixed("cidrnetmask", &[("prefix", Text)], net::netmask),
    fixed("cidrsubnet", &[("prefix", Text), ("newbits", Number), ("netnum", Number)], net::subnet),
    open("cidrsubnets", &[("prefix", Text)], ("newbits", Number), net::subnets),
    fixed("uuidv4", &[], crypto::uuid_v4),
    fixed("uuidv5", &[("namespace", Text), ("name", Text)], crypto::uuid_v5),
    on_files("abspath", &[("path", Text)], files::absolute),
    on_files("basename", &[("path", Text)], files::base_name),
    on_files("dirname", &[("path", Text)], files::directory_name),
    on_files("file", &[("path", Text)], files::read),
    on_files("filebase64", &[("path", Text)], files::read_base64),
    on_files("fileexists", &[("path", Text)], files::exists),
    on_files("fileset", &[("path", Text), ("pattern", Text)], files::set),
    on_files("pathexpand", &[("path", Text)], files::expand),
];

/// Steps that a call takes besides looking at its arguments.
fn cost(name: &str, arguments: &[(Value, Span)]) -> u64 {
    match name {
        "regex_replace" => 500,
        "rsadecrypt" => 100_000,
        "bcrypt" => {
            let cost = arguments.get(1).map(|(cost, _)| cost.convert(&Type::Number));
            let cost = cost.and_then(Result::ok).map_or(10, |cost| numeric(&cost).to_i64().unwrap_or(10));
            64 << cost.clamp(4, 14)
        }
        _ => 0,
    }
}

/// Functions that see their arguments as expressions.
const LAZY: [&str; 3] = ["can", "convert", "try"];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Function>> =
    LazyLock::new(|| FUNCTIONS.iter().map(|function| (function.name, function)).collect());

/// The names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name).chain(LAZY)
}

/// The value of a call.
pub(super) fn call(evaluator: &mut Evaluator<'_>, call: &Call, span: Span) -> Option<Value> {
    if evaluator.literal_only() {
        evaluator.problem(call.name.span, "Function calls not allowed", "Only literal values may be used here, not functions.");
        return None;
    }
    match &*call.name.text {
        "can" => return can(evaluator, call, span),
        "try" => return try_(evaluator, call, span),
        "convert" => return convert(evaluator, call, span),
        _ => {}
    }
    let Some(function) = BY_NAME.get(&*call.name.text) else {
        let hint = did_you_mean(&call.name.text, names());
        evaluator.problem_with_hint(
            call.name.span,
            "Call to unknown function",
            format!("There is no function \"{}\".", call.name.text),
            hint,
        );
        return None;
    };
    let arguments = arguments(evaluator, call)?;
    evaluator.look_at(span, arguments.iter().map(|(value, _)| value))?;
    evaluator.spend(span, cost(function.name, &arguments), 0)?;
    let (required, given) = (function.parameters.len(), arguments.len());
    if given < required {
        evaluator.problem(
            span,
            "Not enough function arguments",
            format!("\"{}\" takes {required} arguments; \"{}\" is missing.", function.name, function.parameters[given].0),
        );
        return None;
    }
    if function.rest.is_none() && given > required {
        let place = arguments[required].1;
        evaluator.problem(place, "Too many function arguments", format!("\"{}\" takes {required} arguments, not {given}.", function.name));
        return None;
    }
    let mut values = Vec::with_capacity(given);
    let mut complete = true;
    let mut unknown = false;
    for (at, (value, place)) in arguments.into_iter().enumerate() {
        let (name, kind) = function.parameters.get(at).copied().or(function.rest).unwrap_or(("", Any));
        match convert_argument(&value, kind) {
            Ok(value) => {
                unknown |= value.has_unknown();
                values.push(value);
            }
            Err(problem) => {
                evaluator.problem(
                    place,
                    "Invalid function argument",
                    format!("Unsuitable value for \"{name}\" of \"{}\": {problem}.", function.name),
                );
                complete = false;
            }
        }
    }
    if !complete {
        return None;
    }
    if unknown {
        return Some(Value::Unknown(Type::Dynamic));
    }
    if function.files && !evaluator.files_allowed() {
        evaluator.problem(
            span,
            "Error in function call",
            format!("\"{}\" reaches the filesystem, which is not possible here.", function.name),
        );
        return None;
    }
    let context = Context { host: evaluator.host };
    match (function.run)(&context, &values) {
        Ok(value) => {
            let size = value.as_str().map_or_else(|| value.elements().map_or(0, |elements| elements.len() * 16), str::len);
            evaluator.spend(span, 1, size as u64)?;
            evaluator.look_at(span, [&value])?;
            Some(value)
        }
        Err(problem) => {
            evaluator.problem(span, "Error in function call", format!("\"{}\" failed: {problem}.", function.name));
            None
        }
    }
}

/// All arguments evaluated, the last one spread where `...` says so.
fn arguments(evaluator: &mut Evaluator<'_>, call: &Call) -> Option<Vec<(Value, Span)>> {
    let values: Vec<Option<Value>> = call.arguments.iter().map(|argument| evaluator.evaluate(argument)).collect();
    let values: Vec<Value> = values.into_iter().collect::<Option<_>>()?;
    let mut arguments: Vec<(Value, Span)> = values.into_iter().zip(call.arguments.iter().map(|argument| argument.span)).collect();
    if call.expand
        && let Some((last, place)) = arguments.pop()
    {
        let Some(elements) = last.elements() else {
            evaluator.problem(
                place,
                "Invalid expanding argument value",
                format!("Only a list, set or tuple can be spread with \"...\", not {}.", last.outline().friendly()),
            );
            return None;
        };
        evaluator.spend(place, elements.len() as u64, 0)?;
        arguments.extend(elements.iter().map(|element| (element.clone(), place)));
    }
    Some(arguments)
}

fn convert_argument(value: &Value, kind: Kind) -> Result<Value, String> {
    if kind == Nullable {
        return Ok(value.clone());
    }
    if value.is_null() {
        return Err("it must not be null".to_owned());
    }
    match kind {
        Any | Nullable => Ok(value.clone()),
        Text => value.convert(&Type::String),
        Number => value.convert(&Type::Number),
        Texts => value.convert(&Type::List(Arc::new(Type::String))),
        List => value.convert(&Type::List(Arc::new(Type::Dynamic))),
        Set => value.convert(&Type::Set(Arc::new(Type::Dynamic))),
    }
}

fn can(evaluator: &mut Evaluator<'_>, call: &Call, span: Span) -> Option<Value> {
    let [argument] = &call.arguments[..] else {
        evaluator.problem(span, "Wrong number of function arguments", "\"can\" takes one argument.");
        return None;
    };
    let before = evaluator.problems.len();
    let value = evaluator.evaluate(argument);
    if evaluator.is_exhausted() {
        return None;
    }
    evaluator.problems.truncate(before);
    Some(Value::Bool(value.is_some()))
}

fn try_(evaluator: &mut Evaluator<'_>, call: &Call, span: Span) -> Option<Value> {
    if call.arguments.is_empty() {
        evaluator.problem(span, "Error in function call", "\"try\" takes at least one argument.");
        return None;
    }
    let before = evaluator.problems.len();
    for argument in &call.arguments {
        let value = evaluator.evaluate(argument);
        if evaluator.is_exhausted() {
            return None;
        }
        if let Some(value) = value {
            evaluator.problems.truncate(before);
            return Some(value);
        }
    }
    let reasons: Vec<String> =
        evaluator.problems.drain(before..).map(|problem| format!("{}: {}", problem.summary, problem.detail)).collect();
    evaluator.problem(span, "Error in function call", format!("\"try\" failed, as no argument has a value: {}", reasons.join(" ")));
    None
}

fn convert(evaluator: &mut Evaluator<'_>, call: &Call, span: Span) -> Option<Value> {
    let [value, wanted] = &call.arguments[..] else {
        evaluator.problem(span, "Wrong number of function arguments", "\"convert\" takes a value and a type.");
        return None;
    };
    let found = evaluator.evaluate(value);
    let kind = match type_expression(wanted, true) {
        Ok(kind) => kind,
        Err((place, problem)) => {
            evaluator.problem(place, "Invalid type specification", problem);
            return None;
        }
    };
    match found?.convert(&kind) {
        Ok(value) => Some(value),
        Err(problem) => {
            evaluator.problem(value.span, "Invalid function argument", format!("Unsuitable value for \"convert\": {problem}."));
            None
        }
    }
}

/// The type that a type expression names; `any` only where allowed.
pub(crate) fn type_expression(expr: &Expr, any: bool) -> Result<Type, (Span, String)> {
    let fail = |problem: &str| Err((expr.span, problem.to_owned()));
    match &expr.kind {
        ExprKind::Reference(reference) if reference.steps.is_empty() => match &*reference.root.text {
            "string" => Ok(Type::String),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "any" if any => Ok(Type::Dynamic),
            "any" => fail("The type \"any\" cannot be used here: an exact type is required. Without \"type\", the default decides."),
            "list" | "set" | "map" => fail("A collection type needs the type of its elements, as in list(string)."),
            "object" => fail("An object type needs its attributes, as in object({name = string})."),
            "tuple" => fail("A tuple type needs the types of its elements, as in tuple([string, number])."),
            other => Err((expr.span, format!("There is no type \"{other}\"."))),
        },
        ExprKind::Call(call) => {
            let single = || match &call.arguments[..] {
                [only] => Ok(only),
                _ => Err((expr.span, format!("\"{}\" takes one argument.", call.name.text))),
            };
            match &*call.name.text {
                "list" => Ok(Type::List(Arc::new(type_expression(single()?, any)?))),
                "set" => Ok(Type::Set(Arc::new(type_expression(single()?, any)?))),
                "map" => Ok(Type::Map(Arc::new(type_expression(single()?, any)?))),
                "optional" if any => type_expression(single()?, any),
                "optional" => fail("Optional attributes cannot be used in an exact type: every attribute is given, if need be as null."),
                "tuple" => match &single()?.kind {
                    ExprKind::Tuple(members) => {
                        Ok(Type::Tuple(members.iter().map(|member| type_expression(member, any)).collect::<Result<_, _>>()?))
                    }
                    _ => fail("A tuple type needs a list of types, as in tuple([string, number])."),
                },
                "object" => match &single()?.kind {
                    ExprKind::Object(members) => {
                        let mut attributes = std::collections::BTreeMap::new();
                        for (key, kind) in members {
                            let ExprKind::Literal(Value::String(name)) = &key.kind else {
                                return Err((key.span, "The name of an attribute must be a plain name.".to_owned()));
                            };
                            attributes.insert(Arc::clone(name), type_expression(kind, any)?);
                        }
                        Ok(Type::Object(Arc::new(attributes)))
                    }
                    _ => fail("An object type needs its attributes, as in object({name = string})."),
                },
                "string" | "number" | "bool" | "any" => fail("A primitive type takes no arguments."),
                other => Err((call.name.span, format!("There is no type \"{other}\"."))),
            }
        }
        ExprKind::Literal(Value::String(text)) => Err((expr.span, format!("A type stands without quotes, as in type = {text}."))),
        _ => fail("A type is bool, number or string, or a call such as list(string)."),
    }
}

// -- argument access --------------------------------------------------------------------------------------------------

/// The text of an argument that the table declares as one.
fn string(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// The number of an argument that the table declares as one.
fn numeric(value: &Value) -> &super::number::Number {
    const ZERO: &super::number::Number = &super::number::Number::Int(0);
    match value {
        Value::Number(number) => number,
        _ => ZERO,
    }
}

/// The whole number of a numeric argument.
fn whole(value: &Value) -> Result<i64, String> {
    numeric(value).to_i64().ok_or_else(|| format!("{} is not a whole number of 64 bits", numeric(value)))
}
