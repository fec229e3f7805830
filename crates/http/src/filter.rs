//! Filter expressions on lists: parsed once per request, applied to the full object before it is cut to a list entry.

use drover_lang::filter::{Filter as Expression, Shape};
use serde::Serialize;

use crate::error::ApiError;

/// Which fields an object has even when its JSON leaves them out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Every field is in the JSON.
    #[default]
    Full,
    /// An allocation.
    Allocation,
    /// An evaluation.
    Evaluation,
    /// A node.
    Node,
}

/// A parsed expression; the default matches everything.
#[derive(Debug, Default)]
pub struct Filter {
    expression: Option<Expression>,
    kind: Kind,
}

impl Filter {
    /// Parses an expression over one kind of object; "" matches everything.
    ///
    /// # Errors
    /// 400 with the place and what was expected there.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, ApiError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let wrong = |error| ApiError::bad_request(format!("failed to create result paginator: failed to read filter expression: {error}"));
        Ok(Self { expression: Some(Expression::parse(text).map_err(wrong)?), kind })
    }

    /// Whether there is anything to check.
    pub fn is_some(&self) -> bool {
        self.expression.is_some()
    }

    /// Whether an object matches.
    ///
    /// # Errors
    /// 400 for a selector that the object cannot have.
    pub fn matches<T: Serialize>(&self, object: &T) -> Result<bool, ApiError> {
        let Some(expression) = &self.expression else { return Ok(true) };
        let wrong = |reason: String| ApiError::bad_request(format!("failed to read result page: {reason}"));
        let value = serde_json::to_value(object).map_err(|error| wrong(error.to_string()))?;
        let shape = match self.kind {
            Kind::Full => Shape::api(),
            Kind::Allocation => Shape::allocation(),
            Kind::Evaluation => Shape::evaluation(),
            Kind::Node => Shape::node(),
        };
        expression.matches(&value, shape).map_err(|error| wrong(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_client_errors_with_their_texts() {
        let error = Filter::parse("Status ==", Kind::Full).unwrap_err();
        assert!(error.status == 400 && error.text.starts_with("failed to create result paginator: failed to read filter expression: 1:"));
        let filter = Filter::parse("Nope == 1", Kind::Full).unwrap();
        let error = filter.matches(&serde_json::json!({"Status": "ready"})).unwrap_err();
        let text =
            "failed to read result page: error finding value in datum: /Nope at part 0: couldn't find key: struct field with name \"Nope\"";
        assert_eq!((error.status.as_u16(), error.text.as_str()), (400, text));
        assert!(Filter::parse("Status == ready", Kind::Full).unwrap().matches(&serde_json::json!({"Status": "ready"})).unwrap());
    }
}
