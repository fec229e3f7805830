//! The syntax tree of a configuration text.
//!
//! Every node knows the bytes that it came from, so that any later reader can point at them. Comments are kept beside
//! the tree, in source order.

use std::sync::Arc;

use super::value::Value;
use crate::diag::Span;

/// A name in the text.
#[derive(Clone, Debug)]
pub struct Name {
    /// The name itself.
    pub text: Arc<str>,
    /// Where it stands.
    pub span: Span,
}

/// A parsed file.
#[derive(Clone, Debug)]
pub struct File {
    /// Arguments and blocks.
    pub body: Body,
    /// Comments in source order, their markers included.
    pub comments: Vec<Span>,
}

/// The content of a file or block.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Arguments in source order; names are unique.
    pub attributes: Vec<Attribute>,
    /// Blocks in source order.
    pub blocks: Vec<Block>,
    /// Where something missing would have to be added.
    pub end: Span,
    /// Set for a body in JSON syntax, where only the reader knows which members are blocks.
    pub json: Option<Arc<[JsonMember]>>,
}

/// `name = expression`
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Expr,
}

/// `kind "label" { … }`
#[derive(Clone, Debug)]
pub struct Block {
    /// The block type.
    pub kind: Name,
    /// The labels.
    pub labels: Vec<Name>,
    /// The opening brace.
    pub open: Span,
    /// The content.
    pub body: Body,
}

/// A member of an object in JSON syntax.
#[derive(Clone, Debug)]
pub struct JsonMember {
    /// The key.
    pub name: Name,
    /// The value.
    pub value: JsonNode,
}

/// A value in JSON syntax.
#[derive(Clone, Debug)]
pub struct JsonNode {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: JsonKind,
}

/// What a value in JSON syntax is.
#[derive(Clone, Debug)]
pub enum JsonKind {
    /// null, bool or number.
    Literal(Value),
    /// A string, which is a template where an expression is meant.
    String(Arc<str>),
    /// An array.
    Array(Arc<[JsonNode]>),
    /// An object.
    Object(Arc<[JsonMember]>),
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

impl Expr {
    /// The written part of a list or object that keys lead to; as far as it is written out.
    pub fn part(&self, path: &[Value]) -> &Self {
        let mut at = self;
        for key in path {
            while let ExprKind::Parentheses(inner) | ExprKind::Wrap(inner) = &at.kind {
                at = inner;
            }
            let next = match (&at.kind, key) {
                (ExprKind::Tuple(elements), Value::Number(number)) => {
                    number.to_i64().and_then(|at| usize::try_from(at).ok()).and_then(|at| elements.get(at))
                }
                (ExprKind::Object(members), key) => members
                    .iter()
                    .rev()
                    .find(|(name, _)| matches!(&name.kind, ExprKind::Literal(literal) if literal == key))
                    .map(|(_, value)| value),
                _ => None,
            };
            let Some(next) = next else { break };
            at = next;
        }
        at
    }
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number, bool, null or plain string.
    Literal(Value),
    /// A string with sequences.
    Template(Vec<Part>),
    /// A string that is nothing but one interpolation, which keeps the type of its expression.
    Wrap(Box<Expr>),
    /// A name with attribute and index steps.
    Reference(Box<Reference>),
    /// `e.name`
    Attribute(Box<Expr>, Name),
    /// `e[key]`
    Index(Box<Expr>, Box<Expr>),
    /// `e[*]…` or `e.*…`; the second expression starts from [`ExprKind::SplatItem`].
    Splat(Box<Expr>, Box<Expr>),
    /// The element that a splat is looking at.
    SplatItem,
    /// An operator with one operand.
    Unary(UnaryOperator, Box<Expr>),
    /// An operator with two operands.
    Binary(BinaryOperator, Box<Expr>, Box<Expr>),
    /// `condition ? yes : no`
    Conditional(Box<[Expr; 3]>),
    /// `( e )`
    Parentheses(Box<Expr>),
    /// `[ … ]`
    Tuple(Vec<Expr>),
    /// `{ … }`
    Object(Vec<(Expr, Expr)>),
    /// `[for …]` or `{for …}`
    For(Box<For>),
    /// `name(…)`
    Call(Box<Call>),
}

/// A name with the steps behind it.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The first name.
    pub root: Name,
    /// Attribute and literal index steps.
    pub steps: Vec<Step>,
    /// The text that stays when the first name is not known: `${…}`.
    pub text: Arc<str>,
}

/// A step of a reference.
#[derive(Clone, Debug)]
pub enum Step {
    /// `.name`
    Attribute(Name),
    /// `[literal]` or `.0`
    Index(Value, Span),
}

/// A `for` expression.
#[derive(Clone, Debug)]
pub struct For {
    /// The name for keys, if given.
    pub key: Option<Name>,
    /// The name for values.
    pub value: Name,
    /// What is iterated.
    pub collection: Expr,
    /// The key of the result, for objects.
    pub result_key: Option<Expr>,
    /// The value of the result.
    pub result: Expr,
    /// The filter.
    pub condition: Option<Expr>,
    /// Whether values of one key are grouped.
    pub group: bool,
}

/// A function call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function.
    pub name: Name,
    /// The arguments.
    pub arguments: Vec<Expr>,
    /// Whether the last argument is spread over the remaining parameters.
    pub expand: bool,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub enum Part {
    /// Text.
    Literal(Arc<str>),
    /// `${…}`
    Interpolation(Expr),
    /// `%{ if … }`
    If(Expr, Vec<Part>, Vec<Part>),
    /// `%{ for … }`
    For(Box<TemplateFor>),
}

/// A `for` directive of a template.
#[derive(Clone, Debug)]
pub struct TemplateFor {
    /// The name for keys, if given.
    pub key: Option<Name>,
    /// The name for values.
    pub value: Name,
    /// What is iterated.
    pub collection: Expr,
    /// What is repeated.
    pub body: Vec<Part>,
}

/// An operator with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOperator {
    /// `-`
    Negate,
    /// `!`
    Not,
}

/// An operator with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}
