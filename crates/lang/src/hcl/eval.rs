//! The evaluator: syntax tree and scope to values, within a budget.
//!
//! References whose first name is not in scope are left for run time: they become the text `${…}`. Both operands of
//! an operator and all arguments are always evaluated, so that all problems of an expression come out together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ast::{BinaryOperator, Expr, ExprKind, For, Name, Part, Reference, Step, TemplateFor, UnaryOperator};
use super::functions;
use super::value::{Members, Type, Value, mismatch, unify};
use crate::diag::{Problem, Source, Span, did_you_mean};

/// What one evaluation may use up.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Expressions evaluated, elements produced included.
    pub steps: u64,
    /// Bytes of text produced.
    pub bytes: u64,
}

impl Default for Budget {
    /// Enough for any sensible job file: a million steps and 64 MiB of text.
    fn default() -> Self {
        Self { steps: 1_000_000, bytes: 64 << 20 }
    }
}

/// How much of a value is looked at in one step.
pub(super) const WEIGHT_PER_STEP: u64 = 16;
/// The most that a value may hold, counting what is shared wherever it stands: a short text can name ever larger values.
pub(super) const MAX_WEIGHT: u64 = 4 << 20;

/// What functions may reach outside of the text.
pub trait Host {
    /// Whether the filesystem functions work here.
    fn has_files(&self) -> bool {
        false
    }

    /// The bytes of a file; a relative path is resolved by the host.
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let _ = path;
        Err("there are no files here".to_owned())
    }

    /// Whether a regular file exists; an error for anything else that exists.
    fn exists(&self, path: &str) -> Result<bool, String> {
        let _ = path;
        Err("there are no files here".to_owned())
    }

    /// Regular files below `directory` as relative paths with `/`, in any order, at most `limit`; empty when there is no directory.
    fn walk(&self, directory: &str, limit: usize) -> Result<Vec<String>, String> {
        let _ = (directory, limit);
        Err("there are no files here".to_owned())
    }

    /// The absolute, cleaned form of a path.
    fn absolute(&self, path: &str) -> Result<String, String> {
        let _ = path;
        Err("there are no files here".to_owned())
    }

    /// The home directory.
    fn home(&self) -> Option<String> {
        None
    }

    /// Fills `bytes` with randomness.
    fn random(&self, bytes: &mut [u8]);
}

/// A host without files whose randomness is the bytes `seed`, `seed + 1`, …; for texts that need neither, and tests.
#[derive(Debug, Default)]
pub struct NoHost {
    next: std::cell::Cell<u8>,
}

impl Host for NoHost {
    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.next.get();
            self.next.set(self.next.get().wrapping_mul(5).wrapping_add(17));
        }
    }
}

/// Which parts of the language an expression may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    Full,
    /// No references but those of the expression's own `for`, and no functions: defaults and given values of variables.
    Literal,
    /// Everything but the filesystem: conditions of variables.
    NoFiles,
}

/// Evaluates expressions of one source.
pub struct Evaluator<'a> {
    /// The source that spans refer to.
    pub source: &'a Source,
    /// What was found wrong so far.
    pub problems: Vec<Problem>,
    /// What functions may reach.
    pub host: &'a dyn Host,
    mode: Mode,
    scope: Vec<(Arc<str>, Value)>,
    splats: Vec<Value>,
    budget: Budget,
    exhausted: bool,
}

impl<'a> Evaluator<'a> {
    /// An evaluator with an empty scope.
    pub fn new(source: &'a Source, host: &'a dyn Host, mode: Mode, budget: Budget) -> Self {
        Self { source, problems: Vec::new(), host, mode, scope: Vec::new(), splats: Vec::new(), budget, exhausted: false }
    }

    /// What is left of the budget.
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// Whether the filesystem functions work.
    pub(crate) fn files_allowed(&self) -> bool {
        self.mode == Mode::Full && self.host.has_files()
    }

    pub(crate) fn literal_only(&self) -> bool {
        self.mode == Mode::Literal
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Brings a name into scope until [`Self::leave`].
    pub fn enter(&mut self, name: Arc<str>, value: Value) {
        self.scope.push((name, value));
    }

    /// Takes the last `count` names out of scope.
    pub fn leave(&mut self, count: usize) {
        self.scope.truncate(self.scope.len().saturating_sub(count));
    }

    /// Replaces the value of the outermost name `name`.
    pub fn assign(&mut self, name: &str, value: Value) {
        match self.scope.iter_mut().find(|(known, _)| &**known == name) {
            Some((_, slot)) => *slot = value,
            None => self.scope.insert(0, (Arc::from(name), value)),
        }
    }

    /// Records an error.
    pub fn problem(&mut self, span: Span, summary: &str, detail: impl Into<String>) {
        self.problem_with_hint(span, summary, detail, None);
    }

    /// Records an error with a way out.
    pub fn problem_with_hint(&mut self, span: Span, summary: &str, detail: impl Into<String>, hint: Option<String>) {
        if self.problems.len() < 200 {
            self.problems.push(Problem::error(summary, detail).at(self.source, span).maybe_hint(hint));
        }
    }

    /// Uses up budget; `None`, with one problem, when it is spent.
    pub(crate) fn spend(&mut self, span: Span, steps: u64, bytes: u64) -> Option<()> {
        if self.exhausted {
            return None;
        }
        if self.budget.steps < steps || self.budget.bytes < bytes {
            self.exhausted = true;
            self.problem(
                span,
                "Evaluation too expensive",
                "The expressions of this text take more steps, produce more text or nest values deeper than is allowed.",
            );
            return None;
        }
        self.budget.steps -= steps;
        self.budget.bytes -= bytes;
        Some(())
    }

    /// Uses up the steps that it takes to look at all of these values.
    pub(super) fn look_at<'v>(&mut self, span: Span, values: impl IntoIterator<Item = &'v Value>) -> Option<()> {
        for value in values {
            let weight = value.weight_within(MAX_WEIGHT);
            let steps = if weight == MAX_WEIGHT { u64::MAX } else { weight / WEIGHT_PER_STEP };
            self.spend(span, steps, 0)?;
        }
        Some(())
    }

    /// A value that was put together here, if it is not too large.
    fn put_together(&mut self, span: Span, value: Value) -> Option<Value> {
        self.look_at(span, [&value])?;
        Some(value)
    }

    /// The value of `expr`, or nothing and at least one problem.
    pub fn evaluate(&mut self, expr: &Expr) -> Option<Value> {
        match &expr.kind {
            ExprKind::Literal(value) => Some(value.clone()),
            _ => {
                self.spend(expr.span, 1, 0)?;
                self.evaluate_kind(expr)
            }
        }
    }

    fn evaluate_kind(&mut self, expr: &Expr) -> Option<Value> {
        match &expr.kind {
            ExprKind::Literal(value) => Some(value.clone()),
            ExprKind::Template(parts) => {
                let mut out = String::new();
                let complete = self.template(parts, &mut out, expr.span);
                complete.then(|| Value::string(out))
            }
            ExprKind::Wrap(inner) | ExprKind::Parentheses(inner) => self.evaluate(inner),
            ExprKind::Reference(reference) => self.reference(reference, expr.span),
            ExprKind::Attribute(base, name) => {
                let base = self.evaluate(base)?;
                self.attribute(&base, name)
            }
            ExprKind::Index(base, key) => {
                let (base, key_value) = (self.evaluate(base), self.evaluate(key));
                self.index(&base?, &key_value?, key.span)
            }
            ExprKind::Splat(source, each) => {
                let value = self.splat(source, each, expr.span)?;
                self.put_together(expr.span, value)
            }
            ExprKind::SplatItem => self.splats.last().cloned(),
            ExprKind::Unary(operator, operand) => self.unary(*operator, operand, expr.span),
            ExprKind::Binary(operator, left, right) => self.binary(*operator, left, right, expr.span),
            ExprKind::Conditional(parts) => self.conditional(parts),
            ExprKind::Tuple(members) => {
                let values: Vec<Option<Value>> = members.iter().map(|member| self.evaluate(member)).collect();
                let value = values.into_iter().collect::<Option<Vec<_>>>().map(Value::tuple)?;
                self.put_together(expr.span, value)
            }
            ExprKind::Object(members) => {
                let mut object = Members::new();
                let mut complete = true;
                for (key_expr, value_expr) in members {
                    let key = match self.root_name(key_expr) {
                        Some(name) => Some(name),
                        None => self.evaluate(key_expr).and_then(|key| self.key(&key, key_expr.span)),
                    };
                    match (key, self.evaluate(value_expr)) {
                        (Some(key), Some(value)) => {
                            object.insert(key, value);
                        }
                        _ => complete = false,
                    }
                }
                if complete { self.put_together(expr.span, Value::object(object)) } else { None }
            }
            ExprKind::For(parts) => {
                let value = self.for_expression(parts, expr.span)?;
                self.put_together(expr.span, value)
            }
            ExprKind::Call(call) => functions::call(self, call, expr.span),
        }
    }

    /// A key of an object that is one bare name is that name.
    fn root_name(&self, key: &Expr) -> Option<Arc<str>> {
        match &key.kind {
            ExprKind::Reference(reference) if reference.steps.is_empty() => Some(Arc::clone(&reference.root.text)),
            _ => None,
        }
    }

    fn key(&mut self, key: &Value, span: Span) -> Option<Arc<str>> {
        if key.is_null() {
            self.problem(span, "Null value as key", "A key of an object cannot be null.");
            return None;
        }
        match key.convert(&Type::String) {
            Ok(Value::String(text)) => Some(text),
            Ok(_) => {
                self.problem(span, "Incorrect key type", "A key of an object must be known.");
                None
            }
            Err(problem) => {
                self.problem(span, "Incorrect key type", format!("This value cannot be a key: {problem}."));
                None
            }
        }
    }

    // -- references -----------------------------------------------------------------------------------------------

    fn reference(&mut self, reference: &Reference, span: Span) -> Option<Value> {
        let root = &reference.root;
        let known = self.scope.iter().rev().find(|(name, _)| *name == root.text).map(|(_, value)| value.clone());
        let Some(mut value) = known else {
            if self.mode == Mode::Literal || matches!(&*root.text, "var" | "local") {
                self.problem(span, "Variables not allowed", "Only literal values may be used here, not references.");
                return None;
            }
            return Some(Value::string(&reference.text));
        };
        for (at, step) in reference.steps.iter().enumerate() {
            value = match step {
                Step::Attribute(name) if at == 0 && matches!(&*root.text, "var" | "local") => self.declared(&value, &root.text, name)?,
                Step::Attribute(name) => self.attribute(&value, name)?,
                Step::Index(key, span) => self.index(&value, key, *span)?,
            };
        }
        Some(value)
    }

    /// A variable or local; that it is not declared is said in their words.
    fn declared(&mut self, base: &Value, root: &str, name: &Name) -> Option<Value> {
        let Some(members) = base.members().filter(|members| !members.contains_key(&name.text)) else { return self.attribute(base, name) };
        let (what, way_out) = match root {
            "var" => ("variable", format!("Declare it with a block: variable \"{}\" {{ … }}", name.text)),
            _ => ("local value", format!("Give it a value in a block: locals {{ {} = … }}", name.text)),
        };
        let hint = did_you_mean(&name.text, members.keys().map(|key| &**key)).unwrap_or(way_out);
        self.problem_with_hint(name.span, "Unsupported attribute", format!("There is no {what} named \"{}\".", name.text), Some(hint));
        None
    }

    fn attribute(&mut self, base: &Value, name: &Name) -> Option<Value> {
        match base {
            Value::Null(_) => {
                self.problem(
                    name.span,
                    "Attempt to get attribute from null value",
                    format!("The value before \".{}\" is null.", name.text),
                );
                None
            }
            Value::Unknown(_) => Some(Value::Unknown(Type::Dynamic)),
            Value::Map(_, members) | Value::Object(members) => match members.get(&name.text) {
                Some(value) => Some(value.clone()),
                None => {
                    let hint = did_you_mean(&name.text, members.keys().map(|key| &**key));
                    let what = if matches!(base, Value::Map(..)) { "map has no element" } else { "object has no attribute" };
                    self.problem_with_hint(name.span, "Unsupported attribute", format!("This {what} named \"{}\".", name.text), hint);
                    None
                }
            },
            _ => {
                self.problem(
                    name.span,
                    "Unsupported attribute",
                    format!("A {} has no attributes, so there is no \"{}\".", base.outline().friendly(), name.text),
                );
                None
            }
        }
    }

    fn index(&mut self, base: &Value, key: &Value, span: Span) -> Option<Value> {
        let problem = match (base, key) {
            (Value::Null(_), _) => "The value is null, so it has no elements.".to_owned(),
            (_, Value::Null(_)) => "Null cannot be an index.".to_owned(),
            (Value::Unknown(_), _) | (_, Value::Unknown(_)) => return Some(Value::Unknown(Type::Dynamic)),
            (Value::List(_, members) | Value::Tuple(members), _) => match key.convert(&Type::Number) {
                Ok(Value::Number(number)) => match number.to_i64() {
                    Some(at) if at < 0 => "An index into a list cannot be negative.".to_owned(),
                    Some(at) => match members.get(at as usize) {
                        Some(value) => return Some(value.clone()),
                        None => format!("There is no element {at}; the list has {}.", members.len()),
                    },
                    None => "An index into a list must be a whole number.".to_owned(),
                },
                Ok(_) => "An index must be known.".to_owned(),
                Err(problem) => format!("This cannot be an index into a list: {problem}."),
            },
            (Value::Map(_, members) | Value::Object(members), _) => match key.convert(&Type::String) {
                Ok(Value::String(key)) => match members.get(&key) {
                    Some(value) => return Some(value.clone()),
                    None => format!("There is no element with the key \"{key}\"."),
                },
                Ok(_) => "A key must be known.".to_owned(),
                Err(problem) => format!("This cannot be a key: {problem}."),
            },
            (Value::Set(..), _) => "A set has no indexes; convert it to a list first.".to_owned(),
            _ => format!("A {} has no indexes.", base.outline().friendly()),
        };
        self.problem(span, "Invalid index", problem);
        None
    }

    fn splat(&mut self, source: &Expr, each: &Expr, span: Span) -> Option<Value> {
        let value = self.evaluate(source)?;
        let (members, collection) = match &value {
            Value::Null(Type::List(_) | Type::Set(_) | Type::Tuple(_)) => {
                self.problem(source.span, "Splat of null value", "A splat cannot be applied to a null list.");
                return None;
            }
            Value::Null(_) => return Some(Value::tuple(Vec::new())),
            Value::Unknown(_) => return Some(Value::Unknown(Type::Dynamic)),
            Value::List(_, members) | Value::Set(_, members) => (members.to_vec(), true),
            Value::Tuple(members) => (members.to_vec(), false),
            _ => (vec![value.clone()], false),
        };
        let mut results = Vec::with_capacity(members.len());
        for member in members {
            self.spend(span, 1, 0)?;
            self.splats.push(member);
            results.push(self.evaluate(each));
            self.splats.pop();
        }
        let results = results.into_iter().collect::<Option<Vec<_>>>()?;
        if collection {
            let kinds: Vec<Type> = results.iter().map(Value::kind).collect();
            if let Value::List(element, _) | Value::Set(element, _) = &value
                && kinds.is_empty()
            {
                return Some(Value::List(Arc::clone(element), Arc::from([])));
            }
            if kinds.windows(2).all(|pair| pair[0] == pair[1]) {
                return Some(Value::List(Arc::new(kinds[0].clone()), results.into()));
            }
        }
        Some(Value::tuple(results))
    }

    // -- operators ------------------------------------------------------------------------------------------------

    fn operand(&mut self, value: Option<Value>, wanted: &Type, side: &str, span: Span) -> Option<Value> {
        let value = value?;
        match value.convert(wanted) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problem(span, "Invalid operand", format!("Unsuitable {side} operand: {problem}."));
                None
            }
        }
    }

    fn known(&mut self, value: &Value, span: Span) -> Option<()> {
        if value.is_null() {
            self.problem(span, "Operation failed", "An operand is null.");
            return None;
        }
        Some(())
    }

    fn unary(&mut self, operator: UnaryOperator, operand: &Expr, span: Span) -> Option<Value> {
        let wanted = if operator == UnaryOperator::Not { Type::Bool } else { Type::Number };
        let value = self.evaluate(operand);
        let value = self.operand(value, &wanted, "unary", operand.span)?;
        self.known(&value, span)?;
        Some(match value {
            Value::Bool(value) => Value::Bool(!value),
            Value::Number(value) => Value::Number(value.negate()),
            other => other,
        })
    }

    fn binary(&mut self, operator: BinaryOperator, left: &Expr, right: &Expr, span: Span) -> Option<Value> {
        use BinaryOperator as B;
        let (left_value, right_value) = (self.evaluate(left), self.evaluate(right));
        if matches!(operator, B::Equal | B::NotEqual) {
            let (left_value, right_value) = (left_value?, right_value?);
            self.look_at(span, [&left_value, &right_value])?;
            return Some(match left_value.equals(&right_value) {
                Some(equal) => Value::Bool(equal == (operator == B::Equal)),
                None => Value::Unknown(Type::Bool),
            });
        }
        let wanted = if matches!(operator, B::And | B::Or) { Type::Bool } else { Type::Number };
        let left_value = self.operand(left_value, &wanted, "left", left.span);
        let right_value = self.operand(right_value, &wanted, "right", right.span);
        let (left_value, right_value) = (left_value?, right_value?);
        self.known(&left_value, span)?;
        self.known(&right_value, span)?;
        let result = match (operator, left_value, right_value) {
            (B::And, Value::Bool(a), Value::Bool(b)) => return Some(Value::Bool(a && b)),
            (B::Or, Value::Bool(a), Value::Bool(b)) => return Some(Value::Bool(a || b)),
            (_, Value::Number(a), Value::Number(b)) => match operator {
                B::Less => return Some(Value::Bool(a < b)),
                B::LessOrEqual => return Some(Value::Bool(a <= b)),
                B::Greater => return Some(Value::Bool(a > b)),
                B::GreaterOrEqual => return Some(Value::Bool(a >= b)),
                B::Add => a.add(&b),
                B::Subtract => a.subtract(&b),
                B::Multiply => a.multiply(&b),
                B::Divide => a.divide(&b),
                _ => a.remainder(&b),
            },
            _ => {
                return Some(Value::Unknown(if matches!(operator, B::Add | B::Subtract | B::Multiply | B::Divide | B::Remainder) {
                    Type::Number
                } else {
                    Type::Bool
                }));
            }
        };
        if result.is_none() {
            self.problem(span, "Operation failed", "This has no result: zero by zero, or infinity against infinity.");
        }
        result.map(Value::Number)
    }

    fn condition(&mut self, expr: &Expr) -> Option<bool> {
        let value = self.evaluate(expr)?;
        if value.is_null() {
            self.problem(expr.span, "Null condition", "A condition must be true or false, not null.");
            return None;
        }
        match value.convert(&Type::Bool) {
            Ok(Value::Bool(value)) => Some(value),
            Ok(_) => {
                self.problem(expr.span, "Unknown condition", "A condition must be known.");
                None
            }
            Err(problem) => {
                self.problem(expr.span, "Incorrect condition type", format!("A condition must be of type bool: {problem}."));
                None
            }
        }
    }

    fn conditional(&mut self, parts: &[Expr; 3]) -> Option<Value> {
        let [condition, yes, no] = parts;
        let chosen = self.condition(condition);
        let start = self.problems.len();
        let yes_value = self.evaluate(yes);
        let yes_problems = self.problems.split_off(start);
        let no_value = self.evaluate(no);
        let no_problems = self.problems.split_off(start);
        let chosen = chosen?;
        self.problems.extend(if chosen { yes_problems } else { no_problems });
        let (result, other) = if chosen { (yes_value, no_value) } else { (no_value, yes_value) };
        let result = result?;
        let Some(other) = other else { return Some(result) };
        self.look_at(yes.span.to(no.span), [&result, &other])?;
        let (kind, other_kind) = (result.kind(), other.kind());
        if kind == other_kind || matches!(other_kind, Type::Dynamic) {
            return Some(result);
        }
        let unified = unify(&[kind.clone(), other_kind.clone()]);
        match unified.map(|wanted| result.convert(&wanted)) {
            Some(Ok(value)) => Some(value),
            _ => {
                self.problem(
                    yes.span.to(no.span),
                    "Inconsistent conditional result types",
                    format!("Both results must have one type, but one is {} and the other is {}.", kind.friendly(), other_kind.friendly()),
                );
                None
            }
        }
    }

    // -- for and templates ----------------------------------------------------------------------------------------

    fn collection(&mut self, expr: &Expr) -> Option<Vec<(Value, Value)>> {
        let value = self.evaluate(expr)?;
        if value.is_null() {
            self.problem(expr.span, "Iteration over null value", "Null cannot be iterated.");
            return None;
        }
        let entries = value.entries();
        // What is not known is broken elsewhere, and that has been told.
        if entries.is_none() && !value.has_unknown() {
            self.problem(expr.span, "Iteration over non-iterable value", format!("A {} cannot be iterated.", value.outline().friendly()));
        }
        entries
    }

    fn bind(&mut self, key_name: Option<&Name>, value_name: &Name, key: Value, value: Value) -> usize {
        if let Some(name) = key_name {
            self.enter(Arc::clone(&name.text), key);
        }
        self.enter(Arc::clone(&value_name.text), value);
        1 + usize::from(key_name.is_some())
    }

    fn for_expression(&mut self, parts: &For, span: Span) -> Option<Value> {
        let entries = self.collection(&parts.collection)?;
        let mut list = Vec::new();
        let mut object: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
        let mut complete = true;
        for (key, value) in entries {
            self.spend(span, 1, 0)?;
            let bound = self.bind(parts.key.as_ref(), &parts.value, key, value);
            let before = self.problems.len();
            let done = self.for_element(parts, &mut list, &mut object);
            self.leave(bound);
            complete &= done.is_some();
            if self.problems.len() >= before + 3 && !complete {
                break;
            }
        }
        if !complete {
            return None;
        }
        if parts.result_key.is_none() {
            return Some(Value::tuple(list));
        }
        Some(Value::object(
            object
                .into_iter()
                .map(|(key, mut values)| {
                    let value = if parts.group { Value::tuple(values) } else { values.pop().unwrap_or(Value::NULL) };
                    (key, value)
                })
                .collect(),
        ))
    }

    fn for_element(&mut self, parts: &For, list: &mut Vec<Value>, object: &mut BTreeMap<Arc<str>, Vec<Value>>) -> Option<()> {
        if let Some(condition) = &parts.condition
            && !self.condition(condition)?
        {
            return Some(());
        }
        let Some(key_expr) = &parts.result_key else {
            list.push(self.evaluate(&parts.result)?);
            return Some(());
        };
        let (key, value) = (self.evaluate(key_expr), self.evaluate(&parts.result));
        let (key, value) = (self.key(&key?, key_expr.span)?, value?);
        let values = object.entry(Arc::clone(&key)).or_default();
        if !parts.group && !values.is_empty() {
            self.problem_with_hint(
                key_expr.span,
                "Duplicate object key",
                format!("Two items produce the key \"{key}\"."),
                Some("Put \"...\" behind the value to collect the values of equal keys.".to_owned()),
            );
            return None;
        }
        values.push(value);
        Some(())
    }

    fn template(&mut self, parts: &[Part], out: &mut String, span: Span) -> bool {
        let mut complete = true;
        for part in parts {
            let done = match part {
                Part::Literal(text) => self.spend(span, 0, text.len() as u64).map(|()| out.push_str(text)),
                Part::Interpolation(expr) => self.interpolation(expr, out),
                Part::If(condition, yes, no) => {
                    self.condition(condition).and_then(|chosen| self.template(if chosen { yes } else { no }, out, span).then_some(()))
                }
                Part::For(parts) => self.template_for(parts, out, span),
            };
            complete &= done.is_some();
        }
        complete
    }

    fn interpolation(&mut self, expr: &Expr, out: &mut String) -> Option<()> {
        let value = self.evaluate(expr)?;
        if value.is_null() {
            self.problem(expr.span, "Invalid template interpolation value", "Null cannot be put into a string.");
            return None;
        }
        match value.convert(&Type::String) {
            Ok(Value::String(text)) => {
                self.spend(expr.span, 0, text.len() as u64)?;
                out.push_str(&text);
                Some(())
            }
            Ok(_) => {
                self.problem(expr.span, "Invalid template interpolation value", "This value is not known.");
                None
            }
            Err(_) => {
                self.problem(
                    expr.span,
                    "Invalid template interpolation value",
                    format!("This value cannot be put into a string: {}.", mismatch(&Type::String, &value.outline())),
                );
                None
            }
        }
    }

    fn template_for(&mut self, parts: &TemplateFor, out: &mut String, span: Span) -> Option<()> {
        let entries = self.collection(&parts.collection)?;
        for (key, value) in entries {
            self.spend(span, 1, 0)?;
            let bound = self.bind(parts.key.as_ref(), &parts.value, key, value);
            let complete = self.template(&parts.body, out, span);
            self.leave(bound);
            if !complete {
                return None;
            }
        }
        Some(())
    }
}
