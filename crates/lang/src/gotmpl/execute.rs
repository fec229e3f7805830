//! Runs templates.

use std::collections::BTreeMap;

use super::format::print;
use super::functions::{self, Scratch};
use super::parse::{Node, Operand, Pipe};
use super::value::Value;
use super::{Data, DataError, Options, RenderError};

/// Deepest nesting of template calls.
const MAX_CALLS: u32 = 100;

/// What stops the normal flow.
pub(super) enum Stop {
    Break,
    Continue,
    Error(RenderError),
}

pub(super) type Outcome<T> = Result<T, Stop>;

/// The most values that the result of a function may hold, counting what is shared wherever it stands.
const MAX_WEIGHT: u64 = 2 << 20;
/// How many values a function looks at in one step.
const WEIGHT_PER_STEP: u64 = 64;

pub(super) struct Run<'a> {
    pub(super) data: &'a dyn Data,
    pub(super) options: &'a Options,
    pub(super) scratch: std::sync::Arc<Scratch>,
    defined: &'a BTreeMap<String, Vec<Node>>,
    variables: Vec<(String, Value)>,
    out: String,
    steps: u64,
    calls: u32,
    line: usize,
}

pub(super) fn render(
    root: &[Node],
    defined: &BTreeMap<String, Vec<Node>>,
    options: &Options,
    data: &dyn Data,
    dot: &Value,
) -> Result<String, RenderError> {
    let mut run = Run {
        data,
        options,
        scratch: std::sync::Arc::default(),
        defined,
        variables: vec![("$".to_owned(), dot.clone())],
        out: String::new(),
        steps: 0,
        calls: 0,
        line: 1,
    };
    match run.nodes(root, dot) {
        Ok(()) => Ok(run.out),
        Err(Stop::Error(error)) => Err(error),
        Err(_) => Err(RenderError::Failed { line: run.line, message: "break outside of range".to_owned() }),
    }
}

impl Run<'_> {
    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Outcome<T> {
        Err(Stop::Error(RenderError::Failed { line: self.line, message: message.into() }))
    }

    pub(super) fn data_error(&self, name: &str, error: DataError) -> Stop {
        Stop::Error(match error {
            DataError::Failed(message) => RenderError::Failed { line: self.line, message: format!("error calling {name}: {message}") },
            DataError::Waits(what) => RenderError::Waits(what),
        })
    }

    pub(super) fn step(&mut self, count: u64) -> Outcome<()> {
        self.steps += count;
        if self.steps > self.options.max_steps || self.out.len() > self.options.max_bytes {
            return self.fail("the template takes too many steps or produces too much text");
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Outcome<()> {
        for node in nodes {
            self.node(node, dot)?;
        }
        Ok(())
    }

    fn write(&mut self, value: &Value) -> Outcome<()> {
        match value {
            Value::Missing => self.out.push_str("<no value>"),
            Value::Nil => self.out.push_str("<no value>"),
            Value::Stream(_) => return self.fail("can't print a value of type <-chan int64"),
            _ => self.out.push_str(&print(value)),
        }
        self.step(1)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Outcome<()> {
        self.step(1)?;
        match node {
            Node::Text(text) => {
                self.out.push_str(text);
                self.step(0)
            }
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() { self.write(&value) } else { Ok(()) }
            }
            Node::If(pipe, yes, no) | Node::With(pipe, yes, no) => {
                let mark = self.variables.len();
                let value = self.pipe(pipe, dot)?;
                let inner = if matches!(node, Node::With(..)) { &value } else { dot };
                let result = if value.is_true() { self.nodes(yes, inner) } else { self.nodes(no, dot) };
                self.variables.truncate(mark);
                result
            }
            Node::Range(pipe, body, otherwise) => {
                let mark = self.variables.len();
                let result = self.range(pipe, body, otherwise, dot);
                self.variables.truncate(mark);
                result
            }
            Node::Template(line, name, pipe) => {
                self.line = *line;
                let value = match pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Nil,
                };
                let Some(nodes) = self.defined.get(name) else { return self.fail(format!("template {name:?} not defined")) };
                if self.calls >= MAX_CALLS {
                    return self.fail("templates call each other too deeply");
                }
                self.calls += 1;
                let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), value.clone())]);
                let result = self.nodes(nodes, &value);
                self.variables = outer;
                self.calls -= 1;
                result
            }
            Node::Break => Err(Stop::Break),
            Node::Continue => Err(Stop::Continue),
        }
    }

    fn range(&mut self, pipe: &Pipe, body: &[Node], otherwise: &[Node], dot: &Value) -> Outcome<()> {
        let value = self.pipe_value(pipe, dot)?;
        let numbered = |values: &[Value]| values.iter().enumerate().map(|(at, value)| (Value::Int(at as i64), value.clone())).collect();
        let entries: Vec<(Value, Value)> = match &value {
            Value::Missing | Value::Nil => Vec::new(),
            Value::List(values, _) | Value::Stream(values) => numbered(values),
            Value::Map(members, _) => members.iter().map(|(key, value)| (Value::text(key), value.clone())).collect(),
            Value::Int(count) => {
                self.step((*count).max(0) as u64)?;
                (0..*count).map(|number| (Value::Int(number), Value::Int(number))).collect()
            }
            Value::Record(record) => match record.entries() {
                Some(entries) => entries,
                None => return self.fail(format!("range can't iterate over {}", record.text())),
            },
            other => return self.fail(format!("range can't iterate over {}", print(other))),
        };
        if entries.is_empty() {
            return self.nodes(otherwise, dot);
        }
        let mark = self.variables.len();
        for (key, value) in entries {
            self.step(1)?;
            match &pipe.variables[..] {
                [only] => self.bind(pipe.assigns, only, value.clone()),
                [first, second] => {
                    self.bind(pipe.assigns, first, key);
                    self.bind(pipe.assigns, second, value.clone());
                }
                _ => {}
            }
            let result = self.nodes(body, &value);
            self.variables.truncate(mark);
            match result {
                Err(Stop::Break) => break,
                Ok(()) | Err(Stop::Continue) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn bind(&mut self, assigns: bool, name: &str, value: Value) {
        if assigns && let Some((_, slot)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            *slot = value;
            return;
        }
        self.variables.push((name.to_owned(), value));
    }

    /// The value of a pipeline, its variables set.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Outcome<Value> {
        let value = self.pipe_value(pipe, dot)?;
        for name in &pipe.variables {
            self.bind(pipe.assigns, name, value.clone());
        }
        Ok(value)
    }

    fn pipe_value(&mut self, pipe: &Pipe, dot: &Value) -> Outcome<Value> {
        self.line = pipe.line;
        let mut value: Option<Value> = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        Ok(value.unwrap_or(Value::Missing))
    }

    fn command(&mut self, command: &[Operand], dot: &Value, last: Option<Value>) -> Outcome<Value> {
        self.step(1)?;
        let Some((first, rest)) = command.split_first() else { return self.fail("empty command") };
        match first {
            Operand::Function(name) => self.function(name, rest, dot, last),
            Operand::Nil => self.fail("nil is not a command"),
            Operand::Field(fields) => self.fields(dot.clone(), fields, rest, dot, last),
            Operand::Variable(name, fields) => {
                let value = self.variable(name)?;
                if fields.is_empty() && (!rest.is_empty() || last.is_some()) {
                    return self.fail(format!("can't give argument to non-function {name}"));
                }
                self.fields(value, fields, rest, dot, last)
            }
            Operand::Chain(pipe, fields) => {
                let value = self.pipe_value(pipe, dot)?;
                if fields.is_empty() && (!rest.is_empty() || last.is_some()) {
                    return self.fail("can't give argument to non-function");
                }
                self.fields(value, fields, rest, dot, last)
            }
            Operand::Literal(_) | Operand::Dot => {
                if !rest.is_empty() || last.is_some() {
                    return self.fail("can't give argument to non-function");
                }
                self.operand(first, dot)
            }
        }
    }

    fn variable(&self, name: &str) -> Outcome<Value> {
        match self.variables.iter().rev().find(|(known, _)| known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    /// Follows fields; arguments go to the last one, which must then be a method.
    fn fields(&mut self, mut value: Value, fields: &[String], rest: &[Operand], dot: &Value, last: Option<Value>) -> Outcome<Value> {
        for (at, field) in fields.iter().enumerate() {
            let is_last = at + 1 == fields.len();
            let mut arguments = Vec::new();
            if is_last {
                for operand in rest {
                    arguments.push(self.operand(operand, dot)?);
                }
                arguments.extend(last.clone());
            }
            value = self.field(&value, field, &arguments, at == 0)?;
        }
        Ok(value)
    }

    fn field(&mut self, value: &Value, name: &str, arguments: &[Value], first: bool) -> Outcome<Value> {
        if let Value::Record(record) = value {
            return match record.get(name, arguments) {
                Some(Ok(value)) => Ok(value),
                Some(Err(error)) => Err(self.data_error(name, error)),
                None if self.options.error_on_missing_key => self.fail(format!("map has no entry for key {name:?}")),
                None => Ok(Value::text("")),
            };
        }
        if !arguments.is_empty() {
            return self.fail(format!("{name} has arguments but cannot be invoked as function"));
        }
        match value {
            Value::Map(members, texts) => match members.get(name) {
                Some(value) => Ok(value.clone()),
                None if self.options.error_on_missing_key => self.fail(format!("map has no entry for key {name:?}")),
                None if *texts => Ok(Value::text("")),
                None => Ok(Value::Missing),
            },
            Value::Nil if first && self.options.error_on_missing_key => self.fail(format!("nil data; no entry for key {name:?}")),
            Value::Nil if first => Ok(Value::Missing),
            Value::Missing | Value::Nil => self.fail(format!("nil pointer evaluating interface {{}}.{name}")),
            other => self.fail(format!("can't evaluate field {name} in type {}", other.type_name())),
        }
    }

    pub(super) fn operand(&mut self, operand: &Operand, dot: &Value) -> Outcome<Value> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Nil => Ok(Value::Nil),
            Operand::Dot => Ok(dot.clone()),
            Operand::Function(name) => self.function(name, &[], dot, None),
            _ => self.command(std::slice::from_ref(operand), dot, None),
        }
    }

    fn function(&mut self, name: &str, rest: &[Operand], dot: &Value, last: Option<Value>) -> Outcome<Value> {
        if matches!(name, "and" | "or") {
            return self.short_circuit(name == "or", rest, dot, last);
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        if self.data.is_denied(name) {
            return self.fail(format!("error calling {name}: function is disabled"));
        }
        if self.data.has_function(name) {
            return self.data.call(name, &arguments).map_err(|error| self.data_error(name, error));
        }
        let looked_at: u64 = arguments.iter().map(|argument| argument.weight_within(MAX_WEIGHT)).sum();
        self.step(looked_at / WEIGHT_PER_STEP)?;
        let value = functions::call(self, name, &arguments)?;
        match &value {
            Value::Text(text) => self.step(1 + text.len() as u64 / 64)?,
            other if other.weight_within(MAX_WEIGHT) == MAX_WEIGHT => {
                return self.fail(format!("error calling {name}: the result holds more than {MAX_WEIGHT} values, or is nested too deeply"));
            }
            _ => {}
        }
        Ok(value)
    }

    /// `and` and `or` look at their arguments only as far as needed.
    fn short_circuit(&mut self, until: bool, rest: &[Operand], dot: &Value, last: Option<Value>) -> Outcome<Value> {
        let mut value = None;
        for operand in rest {
            let next = self.operand(operand, dot)?;
            if next.is_true() == until {
                return Ok(next);
            }
            value = Some(next);
        }
        match last.or(value) {
            Some(value) => Ok(value),
            None => self.fail("wrong number of args for and or or: want at least 1 got 0"),
        }
    }
}
