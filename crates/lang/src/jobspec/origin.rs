//! Where a value comes from that does not fit where it is used: the default of a variable, a local, an entry of the
//! collection of a dynamic block.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diag::{Cause, Source, Span};
use crate::hcl::ast::{Body, Expr, ExprKind, Reference, Step};
use crate::hcl::value::Value;

/// References are followed through so many others at most.
const STEPS_MAX: usize = 32;

/// What names stand for while a job is decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins<'a> {
    /// Expressions behind `var.…`, and where values given from outside come from.
    pub(super) variables: BTreeMap<&'a str, &'a Expr>,
    pub(super) given: BTreeMap<Arc<str>, &'static str>,
    pub(super) locals: BTreeMap<&'a str, &'a Expr>,
    /// Iterators of the dynamic blocks around, innermost last: the name, and the expression of the element.
    pub(super) iterators: Vec<(Arc<str>, Expr)>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From an expression of the file.
    Written(Span),
    /// From outside: in words.
    Given(String),
}

impl Origin {
    /// As it is told with a problem.
    pub(super) fn as_cause(&self, source: &Source) -> Cause {
        match self {
            Self::Written(span) => Cause { text: String::new(), place: Some(source.place(*span)) },
            Self::Given(text) => Cause { text: text.clone(), place: None },
        }
    }
}

impl<'a> Origins<'a> {
    /// The names that a file declares.
    pub(super) fn of(body: &'a Body, given: BTreeMap<Arc<str>, &'static str>) -> Self {
        let mut origins = Self { given, ..Self::default() };
        for block in &body.blocks {
            let entries = || block.body.attributes.iter().map(|attribute| (&*attribute.name.text, &attribute.value));
            match (&*block.kind.text, &block.labels[..]) {
                ("variable", [label]) => {
                    origins.variables.extend(entries().find(|(name, _)| *name == "default").map(|(_, value)| (&*label.text, value)));
                }
                ("variables", _) => origins.variables.extend(entries()),
                ("locals", _) => origins.locals.extend(entries()),
                _ => {}
            }
        }
        origins
    }

    /// Where the value of an expression comes from, when that is elsewhere.
    pub(super) fn of_value(&self, expr: &Expr) -> Option<Origin> {
        let found = self.trace(expr, &[], STEPS_MAX)?;
        (found != Origin::Written(expr.span)).then_some(found)
    }

    fn trace(&self, expr: &Expr, steps: &[Step], left: usize) -> Option<Origin> {
        let left = left.checked_sub(1)?;
        match &expr.kind {
            ExprKind::Parentheses(inner) | ExprKind::Wrap(inner) => self.trace(inner, steps, left),
            ExprKind::Reference(reference) => self.reference(reference, steps, left),
            ExprKind::Attribute(inner, name) => {
                let steps: Vec<Step> = [Step::Attribute(name.clone())].into_iter().chain(steps.iter().cloned()).collect();
                self.trace(inner, &steps, left)
            }
            ExprKind::Object(members) => {
                let Some((step, rest)) = steps.split_first() else { return Some(Origin::Written(expr.span)) };
                let wanted = match step {
                    Step::Attribute(name) => Value::String(Arc::clone(&name.text)),
                    Step::Index(key, _) => key.clone(),
                };
                let named = |key: &Expr| matches!(&key.kind, ExprKind::Literal(literal) if *literal == wanted);
                let member = members.iter().rev().find(|(key, _)| named(key));
                member.map_or(Some(Origin::Written(expr.span)), |(_, value)| self.trace(value, rest, left))
            }
            ExprKind::Tuple(elements) => {
                let Some((step, rest)) = steps.split_first() else { return Some(Origin::Written(expr.span)) };
                let at = match step {
                    Step::Index(Value::Number(number), _) => number.to_i64().and_then(|at| usize::try_from(at).ok()),
                    _ => None,
                };
                let element = at.and_then(|at| elements.get(at));
                element.map_or(Some(Origin::Written(expr.span)), |element| self.trace(element, rest, left))
            }
            _ => Some(Origin::Written(expr.span)),
        }
    }

    fn reference(&self, reference: &Reference, more: &[Step], left: usize) -> Option<Origin> {
        let steps: Vec<Step> = reference.steps.iter().chain(more).cloned().collect();
        if let Some((_, element)) = self.iterators.iter().rev().find(|(name, _)| *name == reference.root.text) {
            return self.trace(element, &steps, left);
        }
        let (Some(Step::Attribute(name)), rest) = (steps.first(), steps.get(1..).unwrap_or_default()) else { return None };
        match &*reference.root.text {
            "var" => match self.given.get(&name.text) {
                Some(from) if *from != "default" => Some(Origin::Given(format!("the value given to var.{} by the {from}", name.text))),
                _ => self.trace(self.variables.get(&*name.text)?, rest, left),
            },
            "local" => self.trace(self.locals.get(&*name.text)?, rest, left),
            _ => None,
        }
    }

    /// The expression that the iterator stands for at an entry of a collection: an object of its key and value.
    pub(super) fn element(&self, collection: &Expr, position: usize) -> Expr {
        let mut at = collection;
        for _ in 0..STEPS_MAX {
            at = match &at.kind {
                ExprKind::Parentheses(inner) | ExprKind::Wrap(inner) => inner,
                ExprKind::Reference(reference) => {
                    let (Some(Step::Attribute(name)), 1) = (reference.steps.first(), reference.steps.len()) else { break };
                    let behind = match &*reference.root.text {
                        "var" if self.given.get(&name.text).is_none_or(|from| *from == "default") => self.variables.get(&*name.text),
                        "local" => self.locals.get(&*name.text),
                        _ => None,
                    };
                    let Some(behind) = behind else { break };
                    behind
                }
                _ => break,
            };
        }
        let value = match &at.kind {
            ExprKind::Tuple(elements) => elements.get(position).cloned(),
            ExprKind::Object(members) => {
                // Entries come in the order of their keys.
                let mut known: Vec<(&str, &Expr)> = Vec::new();
                for (key, value) in members {
                    if let ExprKind::Literal(Value::String(text)) = &key.kind {
                        known.push((text, value));
                    }
                }
                known.sort_by_key(|(key, _)| *key);
                (known.len() == members.len()).then(|| known.get(position).map(|(_, value)| (*value).clone())).flatten()
            }
            _ => None,
        };
        let value = value.unwrap_or_else(|| at.clone());
        let key = |text: &str| Expr { span: value.span, kind: ExprKind::Literal(Value::string(text)) };
        let members = vec![(key("value"), value.clone()), (key("key"), at.clone())];
        Expr { span: value.span, kind: ExprKind::Object(members) }
    }
}
