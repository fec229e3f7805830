//! Evaluation of filter expressions over JSON values.

use serde_json::Value;

use super::{FilterError, MAX_STEPS, Node, Operation, Selector, Shape, TIME_FIELDS};

/// A value and whether its members are keys of a map.
#[derive(Clone, Copy)]
pub(super) struct Found<'v> {
    value: &'v Value,
    map: bool,
    list: bool,
    time: bool,
}

pub(super) struct Run<'v> {
    pub(super) root: &'v Value,
    pub(super) shape: Shape<'v>,
    pub(super) bound: Vec<(String, Found<'v>, Option<String>)>,
    pub(super) steps: u64,
}

enum Target<'v> {
    Value(Found<'v>),
    /// The text of a key that is bound to a name.
    Key(String),
    Missing,
}

impl<'v> Run<'v> {
    pub(super) fn node(&mut self, node: &Node) -> Result<bool, FilterError> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(FilterError::TooExpensive);
        }
        match node {
            Node::And(left, right) => Ok(self.node(left)? && self.node(right)?),
            Node::Or(left, right) => Ok(self.node(left)? || self.node(right)?),
            Node::Not(inner) => self.node(inner).map(|holds| !holds),
            Node::Match(selector, operation, negated) => {
                let target = self.find(selector)?;
                self.operate(selector, &target, operation).map(|holds| holds != *negated)
            }
            Node::Collection { all, selector, names, body } => self.collection(*all, selector, names, body),
        }
    }

    fn hides(&self, name: &str) -> bool {
        self.shape.hidden.contains(&name)
    }

    fn child(&self, name: &str, value: &'v Value, of_record: bool) -> Found<'v> {
        if self.shape.untyped {
            return Found { value, map: value.is_object(), list: value.is_array(), time: false };
        }
        Found {
            value,
            map: of_record && self.shape.maps.contains(name) && !value.is_array(),
            list: value.is_array() || of_record && value.is_null() && self.shape.lists.contains(name) && !self.shape.maps.contains(name),
            time: of_record && value.is_string() && TIME_FIELDS.contains(&name),
        }
    }

    fn find(&self, selector: &Selector) -> Result<Target<'v>, FilterError> {
        let bound = self.bound.iter().rev().find(|(name, ..)| *name == selector.parts[0]);
        let (mut found, parts) = match bound {
            Some((_, _, Some(key))) if selector.parts.len() == 1 => return Ok(Target::Key(key.clone())),
            Some((_, value, _)) => (*value, &selector.parts[1..]),
            None => (Found { value: self.root, map: self.shape.untyped, list: false, time: false }, &selector.parts[..]),
        };
        let pointer = || format!("/{}", parts.join("/"));
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let fail = |problem: String| Err(FilterError::Selector(format!("{} at part {at}: {problem}", pointer())));
            found = match found.value {
                Value::Object(members) => match members.get(part).filter(|_| at > 0 || bound.is_some() || !self.hides(part)) {
                    Some(value) => self.child(part, value, !found.map),
                    None if found.map && last && at > 0 => return Ok(Target::Missing),
                    None if found.map => return fail(format!("couldn't find key \"{part}\"")),
                    None if at == 0 && bound.is_none() && self.shape.omitted.is_some_and(|omitted| omitted.get(part).is_some()) => {
                        let value = self.shape.omitted.and_then(|omitted| omitted.get(part)).unwrap_or(&Value::Null);
                        self.child(part, value, true)
                    }
                    None => return fail(format!("couldn't find key: struct field with name \"{part}\"")),
                },
                Value::Array(members) => match part.parse::<usize>() {
                    Ok(index) => match members.get(index) {
                        Some(value) => self.child("", value, false),
                        None => return fail(format!("index {index} is out of range (length = {})", members.len())),
                    },
                    Err(_) => return fail(format!("couldn't convert value \"{part}\" to type int")),
                },
                Value::Null if found.map && last => return Ok(Target::Missing),
                Value::Null => return Err(FilterError::Selector(format!("{}: at part {at}, invalid value kind: invalid", pointer()))),
                _ => return fail(format!("couldn't find key: \"{part}\" is below a single value")),
            };
        }
        Ok(Target::Value(found))
    }

    fn operate(&mut self, selector: &Selector, target: &Target<'v>, operation: &Operation) -> Result<bool, FilterError> {
        let key;
        let found = match target {
            Target::Missing => return Ok(matches!(operation, Operation::Empty | Operation::Nil)),
            Target::Key(text) => {
                key = Value::String(text.clone());
                Found { value: &key, map: false, list: false, time: false }
            }
            Target::Value(found) => *found,
        };
        let cannot = |what: &str| {
            let text = format!("cannot perform {what} operations on type {} for selector: \"{}\"", kind(found), selector.text);
            Err(FilterError::Operator(text))
        };
        match operation {
            Operation::Equal(wanted) => match found.value {
                _ if found.time => {
                    Err(FilterError::Operator("unable to find suitable primitive comparison function for matching".to_owned()))
                }
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    Err(FilterError::Operator("unable to find suitable primitive comparison function for matching".to_owned()))
                }
                value => self.equals(value, wanted),
            },
            Operation::In(_) if found.time => cannot("in/contains"),
            Operation::In(wanted) => match found.value {
                Value::String(text) => Ok(text.contains(wanted.as_str())),
                Value::Null if found.map || found.list => Ok(false),
                Value::Object(members) if found.map => Ok(members.contains_key(wanted)),
                Value::Array(members) => self.contains(members, wanted),
                _ => cannot("in/contains"),
            },
            Operation::Matches(pattern, regex) => match (found.value, regex) {
                (_, Err(error)) => Err(FilterError::Operator(format!("failed to compile regular expression \"{pattern}\": {error}"))),
                (Value::String(text), Ok(regex)) if !found.time => Ok(regex.is_match(text)),
                _ => Err(FilterError::Operator(format!("value of type {} is not convertible to []byte", kind(found)))),
            },
            Operation::Empty if found.time => cannot("is-empty"),
            Operation::Empty => match found.value {
                Value::String(text) => Ok(text.is_empty()),
                Value::Array(members) => Ok(members.is_empty()),
                Value::Object(members) if found.map => Ok(members.is_empty()),
                Value::Null if found.map || found.list => Ok(true),
                _ => cannot("is-empty"),
            },
            Operation::Nil => match found.value {
                Value::Null => Ok(true),
                Value::Array(_) | Value::Object(_) => Ok(false),
                _ => cannot("is-nil"),
            },
        }
    }

    fn equals(&self, value: &Value, wanted: &str) -> Result<bool, FilterError> {
        let invalid = |what: &str| FilterError::Value(format!("parsing \"{wanted}\": {what}"));
        match value {
            Value::String(text) => Ok(text == wanted),
            Value::Bool(value) => match wanted {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(*value),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(!*value),
                _ => Err(invalid("not a bool")),
            },
            Value::Number(number) if number.is_f64() || self.shape.untyped => {
                wanted.parse::<f64>().map(|wanted| number.as_f64() == Some(wanted)).map_err(|_| invalid("not a number"))
            }
            Value::Number(number) => match number.as_i64() {
                Some(value) => wanted.parse::<i64>().map(|wanted| wanted == value).map_err(|_| invalid("not a whole number")),
                None => wanted.parse::<u64>().map(|wanted| number.as_u64() == Some(wanted)).map_err(|_| invalid("not a whole number")),
            },
            _ => Ok(false),
        }
    }

    fn contains(&mut self, members: &[Value], wanted: &str) -> Result<bool, FilterError> {
        self.steps += members.len() as u64;
        let mixed = members.windows(2).any(|pair| std::mem::discriminant(&pair[0]) != std::mem::discriminant(&pair[1]));
        for member in members {
            match member {
                Value::Array(_) | Value::Object(_) | Value::Null if !mixed => {
                    return Err(FilterError::Operator(
                        "unable to find suitable primitive comparison function for \"in\" comparison".to_owned(),
                    ));
                }
                _ => match self.equals(member, wanted) {
                    Ok(true) => return Ok(true),
                    Err(error) if !mixed => return Err(error),
                    _ => {}
                },
            }
        }
        Ok(false)
    }

    fn collection(&mut self, all: bool, selector: &Selector, names: &[String], body: &Node) -> Result<bool, FilterError> {
        let found = match self.find(selector)? {
            Target::Missing => return Ok(all),
            Target::Value(found) => found,
            Target::Key(_) => return Err(FilterError::Operator(format!("{} is not a list or a map", selector.text))),
        };
        let entries: Vec<(String, Found<'v>)> = match found.value {
            Value::Array(members) => members.iter().enumerate().map(|(at, value)| (at.to_string(), self.child("", value, false))).collect(),
            Value::Object(members) if found.map => members.iter().map(|(key, value)| (key.clone(), self.child("", value, false))).collect(),
            Value::Null if found.map || found.list => return Ok(all),
            _ => return Err(FilterError::Operator(format!("{} is not a list or a map", selector.text))),
        };
        let keyed = found.value.is_object();
        for (key, value) in entries {
            let before = self.bound.len();
            match names {
                [only] if keyed => self.bound.push((only.clone(), value, Some(key))),
                [only] => self.bound.push((only.clone(), value, None)),
                [first, second] => {
                    self.bound.push((first.clone(), value, Some(key)));
                    self.bound.push((second.clone(), value, None));
                }
                _ => {}
            }
            let holds = self.node(body);
            self.bound.truncate(before);
            if holds? != all {
                return Ok(!all);
            }
        }
        Ok(all)
    }
}

fn kind(found: Found<'_>) -> &'static str {
    match found.value {
        _ if found.time => "struct",
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) if found.map => "map",
        Value::Object(_) => "struct",
    }
}
