//! Input variables and locals: declarations, the values given to them, and who wins.
//!
//! Values come, from weak to strong, from the default, the environment (`NOMAD_VAR_name`, `DROVER_VAR_name`), each
//! variable file in order, variable text sent along with the job, and each `-var` in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ast::{Attribute, Block, Body, Expr, ExprKind, JsonKind, Part, Step};
use super::eval::{Budget, Evaluator, Host, Mode};
use super::functions::type_expression;
use super::json::parse_json;
use super::parse::{parse_expression, parse_file};
use super::value::{Members, Type, Value, is_identifier};
use crate::diag::{Problem, Source, Span, did_you_mean};

/// Values given from outside for the variables of a text.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `name=value` arguments, in order.
    pub arguments: Vec<String>,
    /// Environment entries `NAME=value`; only those that name a variable count.
    pub environment: Vec<String>,
    /// Variable files in order, name and text.
    pub files: Vec<(String, String)>,
    /// Variable text sent along with the job.
    pub content: Option<String>,
    /// Whether an undeclared name is only worth a warning.
    pub lax: bool,
}

/// Most variables, and most locals, of one text.
const MAX_NAMES: usize = 4096;

/// Prefixes of environment entries that set variables.
const ENVIRONMENT_PREFIXES: [&str; 2] = ["NOMAD_VAR_", "DROVER_VAR_"];

struct Variable {
    name: Arc<str>,
    span: Span,
    kind: Option<Type>,
    /// The value and, for messages, where it is from.
    value: Option<(Value, &'static str)>,
    /// Where the default stands.
    default_span: Option<Span>,
    rules: Vec<Rule>,
    broken: bool,
}

struct Rule {
    condition: Option<Expr>,
    message: Option<String>,
    /// The block.
    block: Span,
    span: Span,
}

/// What reading the variables gave.
#[derive(Debug)]
pub struct Scope {
    /// The object behind `var`.
    pub variables: Value,
    /// The object behind `local`.
    pub locals: Value,
    /// Where the values of variables are from: `default`, `environment` and so on.
    pub given: BTreeMap<Arc<str>, &'static str>,
    /// Errors and warnings.
    pub problems: Vec<Problem>,
    /// What is left of the budget.
    pub budget: Budget,
}

/// Reads variables and locals of a file body and gives them their values.
pub fn resolve(source: &Source, body: &Body, inputs: &Inputs, host: &dyn Host, budget: Budget) -> Scope {
    let mut resolver = Resolver { source, host, budget, variables: Vec::new(), problems: Vec::new(), full: false };
    resolver.declare(body);
    resolver.assign(inputs);
    let given = resolver.variables.iter().filter_map(|variable| Some((Arc::clone(&variable.name), variable.value.as_ref()?.1))).collect();
    let variables = resolver.finish();
    let locals = resolver.locals(body, &variables);
    Scope { variables, locals, given, problems: resolver.problems, budget: resolver.budget }
}

struct Resolver<'a> {
    source: &'a Source,
    host: &'a dyn Host,
    budget: Budget,
    variables: Vec<Variable>,
    problems: Vec<Problem>,
    /// Whether variables were refused because there are too many.
    full: bool,
}

impl Resolver<'_> {
    fn problem(&mut self, span: Span, summary: &str, detail: impl Into<String>) {
        self.problems.push(Problem::error(summary, detail).at(self.source, span));
    }

    fn literal(&mut self, source: &Source, expr: &Expr) -> Option<Value> {
        let mut evaluator = Evaluator::new(source, self.host, Mode::Literal, self.budget);
        let value = evaluator.evaluate(expr);
        self.budget = evaluator.budget();
        self.problems.append(&mut evaluator.problems);
        value
    }

    // -- declarations ---------------------------------------------------------------------------------------------

    fn declare(&mut self, body: &Body) {
        for block in &body.blocks {
            match &*block.kind.text {
                "variable" => self.variable(block),
                "variables" => {
                    for label in &block.labels {
                        self.problem(label.span, "Extraneous label for variables", "A \"variables\" block has no labels.");
                    }
                    self.no_blocks(&block.body);
                    for attribute in &block.body.attributes {
                        if self.duplicate(&attribute.name.text, attribute.name.span) {
                            continue;
                        }
                        let value = self.literal(self.source, &attribute.value);
                        self.variables.push(Variable {
                            name: Arc::clone(&attribute.name.text),
                            span: attribute.name.span,
                            kind: value.as_ref().map(Value::kind),
                            broken: value.is_none(),
                            default_span: Some(attribute.value.span),
                            value: value.map(|value| (value, "default")),
                            rules: Vec::new(),
                        });
                    }
                }
                _ => {}
            }
        }
    }

    fn no_blocks(&mut self, body: &Body) {
        for block in &body.blocks {
            let detail = format!("There can be no block \"{}\" here.", block.kind.text);
            self.problem(block.kind.span, "Unexpected block", detail);
        }
    }

    fn duplicate(&mut self, name: &str, span: Span) -> bool {
        if self.variables.len() >= MAX_NAMES {
            if self.variables.len() == MAX_NAMES && !self.full {
                self.full = true;
                self.problem(span, "Too many variables", format!("A text has at most {MAX_NAMES} variables."));
            }
            return true;
        }
        let found = self.variables.iter().any(|variable| &*variable.name == name);
        if found {
            self.problem(span, "Duplicate variable", format!("The variable \"{name}\" is declared twice."));
        }
        found
    }

    fn variable(&mut self, block: &Block) {
        let [label] = &block.labels[..] else {
            match block.labels.get(1) {
                Some(label) => self.problem(label.span, "Extraneous label for variable", "A variable has one label, its name."),
                None => self.problem(block.open, "Missing name for variable", "A variable has one label, its name."),
            }
            return;
        };
        if self.duplicate(&label.text, label.span) {
            return;
        }
        if !is_identifier(&label.text) {
            self.problem(
                label.span,
                "Invalid variable name",
                "A name starts with a letter or underscore and holds only letters, digits, underscores and dashes.",
            );
            return;
        }
        let mut variable = Variable {
            name: Arc::clone(&label.text),
            span: label.span,
            kind: None,
            value: None,
            default_span: None,
            rules: Vec::new(),
            broken: false,
        };
        const KNOWN: [&str; 3] = ["type", "default", "description"];
        for attribute in &block.body.attributes {
            match &*attribute.name.text {
                "type" => match type_expression(&attribute.value, false) {
                    Ok(kind) => variable.kind = Some(kind),
                    Err((span, problem)) => {
                        self.problem(span, "Invalid type specification", problem);
                        variable.broken = true;
                    }
                },
                "default" => {}
                "description" => {
                    if let Some(value) = self.literal(self.source, &attribute.value)
                        && let Err(problem) = value.convert(&Type::String)
                    {
                        self.problem(attribute.value.span, "Unsuitable value type", format!("A description is text: {problem}."));
                    }
                }
                other => {
                    let problem = Problem::error("Unsupported argument", format!("A variable has no argument \"{other}\"."))
                        .at(self.source, attribute.name.span)
                        .maybe_hint(did_you_mean(other, KNOWN));
                    self.problems.push(problem);
                }
            }
        }
        if let Some(attribute) = block.body.attributes.iter().find(|attribute| &*attribute.name.text == "default") {
            variable.default_span = Some(attribute.value.span);
            match self.literal(self.source, &attribute.value) {
                Some(value) => match &variable.kind {
                    Some(kind) => match value.convert(kind) {
                        Ok(value) => variable.value = Some((value, "default")),
                        Err(problem) => {
                            variable.broken = true;
                            self.problem(
                                attribute.value.part(&value.misfit(kind)).span,
                                "Invalid default value for variable",
                                format!("The default does not fit the type of the variable: {problem}."),
                            );
                        }
                    },
                    None => {
                        variable.kind = Some(value.kind());
                        variable.value = Some((value, "default"));
                    }
                },
                None => variable.broken = true,
            }
        }
        for block in &block.body.blocks {
            if &*block.kind.text == "validation" {
                let rule = self.rule(&variable.name, block);
                variable.rules.push(rule);
            } else {
                let detail = format!("A variable has no block \"{}\".", block.kind.text);
                self.problem(block.kind.span, "Unsupported block type", detail);
            }
        }
        self.variables.push(variable);
    }

    fn rule(&mut self, name: &str, block: &Block) -> Rule {
        let mut rule = Rule { condition: None, message: None, block: block.kind.span, span: block.kind.span };
        self.no_blocks(&block.body);
        for attribute in &block.body.attributes {
            match &*attribute.name.text {
                "condition" => {
                    if self.check_references(name, &attribute.value) {
                        rule.span = attribute.value.span;
                        rule.condition = Some(attribute.value.clone());
                    }
                }
                "error_message" => {
                    let value = self.literal(self.source, &attribute.value);
                    match value.map(|value| value.convert(&Type::String)) {
                        Some(Ok(Value::String(text))) if !text.trim().is_empty() => rule.message = Some(text.to_string()),
                        Some(Ok(_)) => self.problem(
                            attribute.value.span,
                            "Invalid validation error message",
                            "The message of a validation rule cannot be empty.",
                        ),
                        Some(Err(problem)) => {
                            self.problem(attribute.value.span, "Unsuitable value type", format!("A message is text: {problem}."))
                        }
                        None => {}
                    }
                }
                other => {
                    let detail = format!("A validation rule has no argument \"{other}\".");
                    self.problem(attribute.name.span, "Unsupported argument", detail);
                }
            }
        }
        for needed in ["condition", "error_message"] {
            if !block.body.attributes.iter().any(|attribute| &*attribute.name.text == needed) {
                self.problem(block.open, "Missing required argument", format!("A validation rule needs \"{needed}\"."));
            }
        }
        rule
    }

    /// A condition may refer to its own variable only, and must.
    fn check_references(&mut self, name: &str, condition: &Expr) -> bool {
        let mut references = Vec::new();
        collect_references(condition, &mut Vec::new(), &mut references);
        let own = |reference: &Found| &*reference.0 == "var" && reference.1.as_deref() == Some(name);
        let mut good = true;
        for reference in references.iter().filter(|reference| !own(reference)) {
            good = false;
            self.problem(
                reference.2,
                "Invalid reference in variable validation",
                format!("The condition of the variable \"{name}\" can refer only to var.{name}."),
            );
        }
        if good && !references.iter().any(own) {
            self.problem(
                condition.span,
                "Invalid variable validation condition",
                format!("The condition of the variable \"{name}\" must refer to var.{name}."),
            );
            return false;
        }
        good
    }

    // -- values ---------------------------------------------------------------------------------------------------

    fn assign(&mut self, inputs: &Inputs) {
        for entry in &inputs.environment {
            let Some((name, text)) = entry.split_once('=') else { continue };
            let Some(name) = ENVIRONMENT_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) else { continue };
            if self.variables.iter().any(|variable| &*variable.name == name) {
                self.assign_text(name, text, "environment", "environment variable");
            }
        }
        for (name, text) in &inputs.files {
            self.assign_file(name, text, inputs.lax);
        }
        if let Some(text) = &inputs.content {
            self.assign_file("input variables", text, inputs.lax);
        }
        for argument in &inputs.arguments {
            let Some((name, text)) = argument.split_once('=') else { continue };
            if self.variables.iter().any(|variable| &*variable.name == name) {
                self.assign_text(name, text, "command line", "-var");
            } else {
                self.undeclared(None, name, inputs.lax);
            }
        }
    }

    fn undeclared(&mut self, place: Option<(&Source, Span)>, name: &str, lax: bool) {
        let detail = format!("A value is given for \"{name}\", but no such variable is declared.");
        let mut problem = if lax { Problem::warning("Undefined variable", detail) } else { Problem::error("Undefined variable", detail) };
        if let Some((source, span)) = place {
            problem = problem.at(source, span);
        }
        let near = did_you_mean(name, self.variables.iter().map(|variable| &*variable.name));
        let hint = near.unwrap_or_else(|| format!("To declare it, add: variable \"{name}\" {{ type = string }}"));
        self.problems.push(problem.hint(hint));
    }

    /// A value given as plain text: text for strings, numbers and variables without a type, an expression for others.
    fn assign_text(&mut self, name: &str, text: &str, from: &'static str, shown: &str) {
        let Some(at) = self.variables.iter().position(|variable| &*variable.name == name) else { return };
        if self.variables[at].broken && self.variables[at].kind.is_none() {
            return;
        }
        let kind = self.variables[at].kind.clone();
        let plain = match &kind {
            Some(Type::String | Type::Number) => true,
            None => true,
            Some(_) => false,
        };
        let source = Source::new(format!("<value for var.{name}>"), text);
        let value = if plain {
            Some(Value::string(text))
        } else {
            match parse_expression(&source) {
                Ok(expr) => self.literal(&source, &expr),
                Err(problems) => {
                    self.problems.extend(problems);
                    None
                }
            }
        };
        match value {
            Some(value) => self.set(at, value, from, shown, None),
            None => self.variables[at].broken = true,
        }
    }

    fn set(&mut self, at: usize, value: Value, from: &'static str, shown: &str, place: Option<(&Source, Span)>) {
        let variable = &mut self.variables[at];
        match variable.kind.as_ref().map_or_else(|| Ok(value.clone()), |kind| value.convert(kind)) {
            Ok(value) => variable.value = Some((value, from)),
            Err(problem) => {
                let detail = format!("The value given for \"{}\" by {shown} does not fit its type: {problem}.", variable.name);
                variable.broken = true;
                let problem = Problem::error("Invalid value for variable", detail);
                self.problems.push(match place {
                    Some((source, span)) => problem.at(source, span),
                    None => problem.at(self.source, self.variables[at].span),
                });
            }
        }
    }

    fn assign_file(&mut self, name: &str, text: &str, lax: bool) {
        let source = Source::new(name, text);
        let mut given: Vec<(Arc<str>, Span, Option<Value>)> = Vec::new();
        if text.trim_start().starts_with('{') {
            match parse_json(text) {
                Ok(node) => match &node.kind {
                    JsonKind::Object(members) => {
                        given.extend(
                            members.iter().map(|member| (Arc::clone(&member.name.text), member.name.span, Some(member.value.to_value()))),
                        );
                    }
                    _ => self
                        .problems
                        .push(Problem::error("Invalid variable file", "The file must hold one JSON object.").at(&source, node.span)),
                },
                Err(error) => self.problems.push(Problem::error("Invalid JSON", error.message.clone()).at(&source, error.span)),
            }
        } else {
            let (file, problems) = parse_file(&source);
            self.problems.extend(problems);
            for block in &file.body.blocks {
                let detail = match &*block.kind.text {
                    "variable" | "variables" => "A variable file gives values to variables; it cannot declare them.".to_owned(),
                    other => format!("A variable file holds only \"name = value\" lines, no block \"{other}\"."),
                };
                self.problems.push(Problem::error("Unexpected block", detail).at(&source, block.kind.span));
            }
            for Attribute { name, value } in &file.body.attributes {
                let value = self.literal(&source, value);
                given.push((Arc::clone(&name.text), name.span, value));
            }
        }
        for (name, span, value) in given {
            let Some(at) = self.variables.iter().position(|variable| variable.name == name) else {
                self.undeclared(Some((&source, span)), &name, lax);
                continue;
            };
            match value {
                Some(value) => self.set(at, value, "variable file", "a variable file", Some((&source, span))),
                None => self.variables[at].broken = true,
            }
        }
    }

    /// Applies the rules and makes the object behind `var`.
    fn finish(&mut self) -> Value {
        let variables = std::mem::take(&mut self.variables);
        let mut members = Members::new();
        for variable in &variables {
            match &variable.value {
                Some((value, from)) if !variable.broken => {
                    members.insert(Arc::clone(&variable.name), value.clone());
                    for rule in &variable.rules {
                        self.check(variable, rule, value, from);
                    }
                }
                _ if variable.broken => {
                    // Already reported; an unknown value keeps it from being reported again wherever it is used.
                    members.insert(Arc::clone(&variable.name), Value::Unknown(Type::Dynamic));
                }
                _ => {
                    let detail = "The variable has no default, so a value must be given.";
                    let problem = Problem::error(format!("Unset variable \"{}\"", variable.name), detail)
                        .at(self.source, variable.span)
                        .hint(format!("Use -var, a variable file or NOMAD_VAR_{}.", variable.name));
                    self.problems.push(problem);
                    members.insert(Arc::clone(&variable.name), Value::Unknown(Type::Dynamic));
                }
            }
        }
        Value::object(members)
    }

    fn check(&mut self, variable: &Variable, rule: &Rule, value: &Value, from: &str) {
        let Some(condition) = &rule.condition else { return };
        let mut evaluator = Evaluator::new(self.source, self.host, Mode::NoFiles, self.budget);
        let own = Members::from([(Arc::clone(&variable.name), value.clone())]);
        evaluator.enter(Arc::from("var"), Value::object(own));
        let result = evaluator.evaluate(condition);
        self.budget = evaluator.budget();
        self.problems.append(&mut evaluator.problems);
        let Some(result) = result else { return };
        let problem = match result.convert(&Type::Bool) {
            Ok(Value::Bool(true)) => return,
            Ok(Value::Bool(false)) => {
                let message = rule.message.as_deref().unwrap_or("the value is refused by a validation rule");
                let place = variable.default_span.filter(|_| from == "default").unwrap_or(rule.block);
                Problem::error("Invalid value for variable", message.to_owned())
                    .at(self.source, place)
                    .hint(format!("The value from the {from} was checked by a validation rule of \"{}\".", variable.name))
            }
            Ok(_) => {
                Problem::error("Invalid variable validation result", "The condition must be true or false.").at(self.source, rule.span)
            }
            Err(problem) => Problem::error("Invalid variable validation result", format!("The condition is no bool: {problem}."))
                .at(self.source, rule.span),
        };
        self.problems.push(problem);
    }

    // -- locals ---------------------------------------------------------------------------------------------------

    /// Evaluates locals in the order that their references ask for.
    fn locals(&mut self, body: &Body, variables: &Value) -> Value {
        let mut waiting: Vec<&Attribute> = Vec::new();
        for block in body.blocks.iter().filter(|block| &*block.kind.text == "locals") {
            for label in &block.labels {
                self.problem(label.span, "Extraneous label for locals", "A \"locals\" block has no labels.");
            }
            self.no_blocks(&block.body);
            for attribute in &block.body.attributes {
                if waiting.len() >= MAX_NAMES {
                    self.problem(attribute.name.span, "Too many locals", format!("A text has at most {MAX_NAMES} locals."));
                    return Value::Unknown(Type::Dynamic);
                }
                // Of equal names in different blocks the last one wins.
                waiting.retain(|other| other.name.text != attribute.name.text);
                waiting.push(attribute);
            }
        }
        if waiting.is_empty() {
            return Value::object(Members::new());
        }
        let needs: Vec<Vec<Arc<str>>> = waiting
            .iter()
            .map(|attribute| {
                let mut references = Vec::new();
                collect_references(&attribute.value, &mut Vec::new(), &mut references);
                references.into_iter().filter(|(root, ..)| &**root == "local").filter_map(|(_, first, _)| first).collect()
            })
            .collect();
        let mut known = Members::new();
        let mut evaluator = Evaluator::new(self.source, self.host, Mode::Full, self.budget);
        evaluator.enter(Arc::from("var"), variables.clone());
        let names: Vec<Arc<str>> = waiting.iter().map(|attribute| Arc::clone(&attribute.name.text)).collect();
        let mut done = vec![false; waiting.len()];
        let mut progress = true;
        while progress {
            progress = false;
            for at in 0..waiting.len() {
                let ready = !done[at] && needs[at].iter().all(|need| known.contains_key(need) || !names.contains(need));
                if !ready {
                    continue;
                }
                evaluator.assign("local", Value::object(known.clone()));
                let value = evaluator.evaluate(&waiting[at].value).unwrap_or(Value::Unknown(Type::Dynamic));
                known.insert(Arc::clone(&names[at]), value);
                done[at] = true;
                progress = true;
            }
        }
        self.budget = evaluator.budget();
        self.problems.append(&mut evaluator.problems);
        for at in (0..waiting.len()).filter(|at| !done[*at]) {
            self.problem(
                waiting[at].name.span,
                "Locals depend on each other",
                format!("local.{} cannot be computed, as it needs itself, maybe through others.", names[at]),
            );
            known.insert(Arc::clone(&names[at]), Value::Unknown(Type::Dynamic));
        }
        Value::object(known)
    }
}

/// The first name of a reference, its first attribute, and where it stands.
type Found = (Arc<str>, Option<Arc<str>>, Span);

/// Root, first attribute and place of every reference that no `for` of the expression itself binds.
fn collect_references(expr: &Expr, bound: &mut Vec<Arc<str>>, out: &mut Vec<Found>) {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::SplatItem => {}
        ExprKind::Reference(reference) => {
            if !bound.contains(&reference.root.text) {
                let first = match reference.steps.first() {
                    Some(Step::Attribute(name)) => Some(Arc::clone(&name.text)),
                    Some(Step::Index(Value::String(text), _)) => Some(Arc::clone(text)),
                    _ => None,
                };
                out.push((Arc::clone(&reference.root.text), first, expr.span));
            }
        }
        ExprKind::Template(parts) => collect_parts(parts, bound, out),
        ExprKind::Wrap(inner) | ExprKind::Parentheses(inner) | ExprKind::Unary(_, inner) | ExprKind::Attribute(inner, _) => {
            collect_references(inner, bound, out);
        }
        ExprKind::Index(a, b) | ExprKind::Splat(a, b) | ExprKind::Binary(_, a, b) => {
            collect_references(a, bound, out);
            collect_references(b, bound, out);
        }
        ExprKind::Conditional(parts) => parts.iter().for_each(|part| collect_references(part, bound, out)),
        ExprKind::Tuple(members) => members.iter().for_each(|member| collect_references(member, bound, out)),
        ExprKind::Object(members) => {
            for (key, value) in members {
                collect_references(key, bound, out);
                collect_references(value, bound, out);
            }
        }
        ExprKind::For(parts) => {
            collect_references(&parts.collection, bound, out);
            let before = bound.len();
            bound.extend(parts.key.iter().chain([&parts.value]).map(|name| Arc::clone(&name.text)));
            for inner in parts.result_key.iter().chain([&parts.result]).chain(&parts.condition) {
                collect_references(inner, bound, out);
            }
            bound.truncate(before);
        }
        ExprKind::Call(call) => call.arguments.iter().for_each(|argument| collect_references(argument, bound, out)),
    }
}

fn collect_parts(parts: &[Part], bound: &mut Vec<Arc<str>>, out: &mut Vec<Found>) {
    for part in parts {
        match part {
            Part::Literal(_) => {}
            Part::Interpolation(expr) => collect_references(expr, bound, out),
            Part::If(condition, yes, no) => {
                collect_references(condition, bound, out);
                collect_parts(yes, bound, out);
                collect_parts(no, bound, out);
            }
            Part::For(inner) => {
                collect_references(&inner.collection, bound, out);
                let before = bound.len();
                bound.extend(inner.key.iter().chain([&inner.value]).map(|name| Arc::clone(&name.text)));
                collect_parts(&inner.body, bound, out);
                bound.truncate(before);
            }
        }
    }
}
