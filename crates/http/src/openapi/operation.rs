//! What is told of one route, beside what the table of routes knows of it.

use drover_api::schema::{Definitions, Schema, schema};
use serde_json::{Value, json};

use crate::route::Methods;

/// The schema of a type, written down when the description is made.
type Describe = fn(&mut Definitions) -> Value;

/// What the body of a good answer is.
#[derive(Clone, Copy)]
pub(crate) enum Gives {
    /// Nothing.
    Nothing,
    /// JSON of this schema.
    Json(Describe),
    /// Bytes as they are.
    Bytes,
    /// JSON objects one after the other, for as long as the caller listens.
    Stream,
    /// Another protocol on the same connection.
    Upgrade,
}

/// What the body of a request is.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    /// None is read.
    Nothing,
    /// JSON of this schema.
    Json(Describe),
    /// Bytes as they are.
    Bytes,
}

/// A parameter of the query that only some routes have.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) schema: Value,
    pub(crate) required: bool,
    /// It counts when it is there, whatever it says.
    pub(crate) mark: bool,
}

/// A route as its callers see it.
pub(crate) struct Operation {
    pub(crate) methods: Methods,
    /// The path with its parameters in braces.
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    /// The common parameters that it heeds.
    pub(crate) common: Vec<&'static str>,
    pub(crate) own: Vec<Parameter>,
    pub(crate) takes: Takes,
    pub(crate) body_optional: bool,
    pub(crate) gives: Gives,
    /// The status of a good answer.
    pub(crate) good: u16,
    /// Statuses of other answers, with when they come.
    pub(crate) failures: Vec<(u16, &'static str)>,
}

/// A route that takes and answers nothing yet.
pub(crate) fn op(methods: Methods, path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation {
        methods,
        path,
        id,
        summary,
        common: Vec::new(),
        own: Vec::new(),
        takes: Takes::Nothing,
        body_optional: false,
        gives: Gives::Nothing,
        good: 200,
        failures: Vec::new(),
    }
}

impl Operation {
    /// Heeds these common parameters.
    pub(crate) fn query(mut self, names: &'static str) -> Self {
        self.common = names.split(' ').collect();
        self
    }

    fn parameter(mut self, name: &'static str, doc: &'static str, schema: Value, mark: bool) -> Self {
        self.own.push(Parameter { name, doc, schema, required: false, mark });
        self
    }

    /// A parameter that is true or false.
    pub(crate) fn flag(self, name: &'static str, doc: &'static str) -> Self {
        self.parameter(name, doc, json!({ "type": "boolean" }), false)
    }

    /// A parameter that counts when it is there.
    pub(crate) fn mark(self, name: &'static str, doc: &'static str) -> Self {
        self.parameter(name, doc, json!({ "type": "string" }), true)
    }

    /// A parameter that is a whole number.
    pub(crate) fn number(self, name: &'static str, doc: &'static str) -> Self {
        self.parameter(name, doc, json!({ "type": "integer", "format": "int64" }), false)
    }

    /// A parameter that is a text.
    pub(crate) fn text(self, name: &'static str, doc: &'static str) -> Self {
        self.parameter(name, doc, json!({ "type": "string" }), false)
    }

    /// A parameter that may be repeated.
    pub(crate) fn texts(self, name: &'static str, doc: &'static str) -> Self {
        self.parameter(name, doc, json!({ "type": "array", "items": { "type": "string" } }), false)
    }

    /// The parameter before this cannot be left out.
    pub(crate) fn required(mut self) -> Self {
        if let Some(last) = self.own.last_mut() {
            last.required = true;
        }
        self
    }

    /// The body is JSON of this type.
    pub(crate) fn takes<T: Schema>(mut self) -> Self {
        self.takes = Takes::Json(schema::<T>);
        self
    }

    /// The body is bytes.
    pub(crate) fn takes_bytes(mut self) -> Self {
        self.takes = Takes::Bytes;
        self
    }

    /// The body may be left out.
    pub(crate) fn body_optional(mut self) -> Self {
        self.body_optional = true;
        self
    }

    /// The answer is JSON of this type.
    pub(crate) fn gives<T: Schema>(mut self) -> Self {
        self.gives = Gives::Json(schema::<T>);
        self
    }

    /// The answer is bytes.
    pub(crate) fn gives_bytes(mut self) -> Self {
        self.gives = Gives::Bytes;
        self
    }

    /// The answer is a stream of JSON objects.
    pub(crate) fn streams(mut self) -> Self {
        self.gives = Gives::Stream;
        self
    }

    /// The connection goes on as a WebSocket.
    pub(crate) fn upgrades(mut self) -> Self {
        (self.gives, self.good) = (Gives::Upgrade, 101);
        self
    }

    /// A good answer is 204.
    pub(crate) fn no_content(mut self) -> Self {
        self.good = 204;
        self
    }

    /// May answer this status, then.
    pub(crate) fn fails(mut self, status: u16, when: &'static str) -> Self {
        self.failures.push((status, when));
        self
    }
}
