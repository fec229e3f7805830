//! Applies the tables of the job specification to a syntax tree.
//!
//! The result has the shape of the API's JSON. Problems are collected; whatever is understood is decoded, so that all
//! problems of a job come out together.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::origin::{Origin, Origins};
use super::places::Marks;
use super::schema::{Argument, BlockType, Body as Schema, Content, Finish, JOB, Kind, Occurs, SECRETS_BELOW, TASKS_ALONE, VAULT_BELOW};
use super::{json_attribute, json_blocks};
use crate::diag::{Span, did_you_mean};
use crate::duration::parse_duration;
use crate::hcl::ast::{Attribute, Block, Body, Expr, ExprKind, Name};
use crate::hcl::eval::Evaluator;
use crate::hcl::number::Number;
use crate::hcl::value::{Members, Type, Value};

type Fields = Map<String, Json>;

pub(super) struct Decoder<'a> {
    pub(super) evaluator: Evaluator<'a>,
    pub(super) origins: Origins<'a>,
    /// Where everything stands, when that is asked for.
    pub(super) marks: Option<Marks>,
}

/// A body whose JSON members, if it has any, are sorted into arguments and blocks.
enum Sorted<'a> {
    Native(&'a Body),
    Json(Body),
}

impl Sorted<'_> {
    fn body(&self) -> &Body {
        match self {
            Sorted::Native(body) => body,
            Sorted::Json(body) => body,
        }
    }
}

impl Decoder<'_> {
    /// The job of a `job` block in the API's shape.
    pub(super) fn job(&mut self, block: &Block) -> Json {
        let mut fields = Fields::new();
        self.mark_block(&mut fields, block);
        match &block.labels[..] {
            [label] => {
                fields.insert("ID".to_owned(), json!(&*label.text));
                fields.insert("Name".to_owned(), json!(&*label.text));
                self.mark(&mut fields, "ID", label.span, None);
                self.mark(&mut fields, "Name", label.span, None);
            }
            [] => self.problem(block.open, "Missing name for job", "A job has one label, its ID."),
            [_, other, ..] => self.problem(other.span, "Extraneous label for job", "A job has one label, its ID."),
        }
        self.body(&block.body, block.open, &JOB, &mut fields);
        fold_job(&mut fields);
        Json::Object(fields)
    }

    fn problem(&mut self, span: Span, summary: &str, detail: impl Into<String>) {
        self.evaluator.problem(span, summary, detail);
    }

    /// Adds to the last problem where the value of the expression comes from.
    fn explain(&mut self, expr: &Expr) {
        let Some(origin) = self.origins.of_value(expr) else { return };
        let cause = origin.as_cause(self.evaluator.source);
        if let Some(problem) = self.evaluator.problems.last_mut() {
            problem.cause = Some(cause);
        }
    }

    fn mark(&mut self, fields: &mut Fields, field: &str, span: Span, expr: Option<&Expr>) {
        if let Some(marks) = &mut self.marks {
            marks.set(fields, field, span, expr.and_then(|expr| self.origins.of_value(expr)));
        }
    }

    /// A block stands at its type and label; one that a dynamic block made comes from an entry of the collection as well.
    fn mark_block(&mut self, fields: &mut Fields, block: &Block) {
        if let Some(marks) = &mut self.marks {
            let made = &*block.kind.text == "content";
            let element = self.origins.iterators.last().filter(|_| made).map(|(_, element)| Origin::Written(element.span));
            let span = block.labels.last().map_or(block.kind.span, |label| block.kind.span.to(label.span));
            marks.set(fields, "", span, element);
        }
    }

    fn sorted<'b>(&mut self, body: &'b Body, schema: &Schema) -> Sorted<'b> {
        let Some(members) = &body.json else { return Sorted::Native(body) };
        let source = self.evaluator.source;
        let mut problems = Vec::new();
        let mut sorted = Body { end: body.end, ..Body::default() };
        for member in members.iter().filter(|member| &*member.name.text != "//") {
            let block = schema.blocks.iter().find(|block| block.name == &*member.name.text);
            match (block, &*member.name.text) {
                (Some(block), _) => {
                    let labels = usize::from(!block.label.is_empty());
                    json_blocks(source, &member.name, &member.value, labels, &mut Vec::new(), &mut sorted.blocks, &mut problems);
                }
                (None, "dynamic") => {
                    json_blocks(source, &member.name, &member.value, 1, &mut Vec::new(), &mut sorted.blocks, &mut problems);
                }
                (None, _) => sorted.attributes.push(json_attribute(source, member, &mut problems)),
            }
        }
        self.evaluator.problems.append(&mut problems);
        Sorted::Json(sorted)
    }

    fn body(&mut self, body: &Body, place: Span, schema: &'static Schema, fields: &mut Fields) {
        let sorted = self.sorted(body, schema);
        let body = sorted.body();
        for attribute in &body.attributes {
            self.argument(attribute, body, schema, fields);
        }
        for argument in schema.arguments.iter().filter(|argument| argument.required) {
            if !body.attributes.iter().any(|attribute| &*attribute.name.text == argument.name) {
                self.problem(place, "Missing required argument", format!("The argument \"{}\" is required here.", argument.name));
            }
        }
        let mut seen: Vec<(&'static str, Span)> = Vec::new();
        for block in &body.blocks {
            self.block(block, schema, fields, &mut seen);
        }
        self.finish(schema.finish, fields, place);
    }

    fn argument(&mut self, attribute: &Attribute, body: &Body, schema: &'static Schema, fields: &mut Fields) {
        let name = &*attribute.name.text;
        if let Some(argument) = schema.arguments.iter().find(|argument| argument.name == name) {
            if let Some(value) = self.value(&attribute.value, argument) {
                let field = field_name(argument);
                self.mark(fields, &field, attribute.value.span, Some(&attribute.value));
                fields.insert(field, value);
            }
            return;
        }
        if let Some(block) = schema.blocks.iter().find(|block| block.name == name) {
            if matches!(block.content, Content::TextMap(true)) {
                if let Some(other) = body.blocks.iter().find(|other| &*other.kind.text == name) {
                    let line = self.evaluator.source.place(attribute.name.span).line;
                    let detail = format!("\"{name}\" is given twice; the argument stands on line {line}.");
                    self.problem(other.kind.span, "Duplicate definition", detail);
                }
                let value = self.evaluator.evaluate(&attribute.value);
                let before = self.evaluator.problems.len();
                if let Some(map) = self.text_map_value(value, attribute.value.span) {
                    self.mark(fields, block.field, attribute.value.span, Some(&attribute.value));
                    fields.insert(block.field.to_owned(), map);
                }
                if self.evaluator.problems.len() > before {
                    self.explain(&attribute.value);
                }
                return;
            }
            self.evaluator.problem_with_hint(
                attribute.name.span,
                "Unsupported argument",
                format!("There is no argument \"{name}\" here."),
                Some(format!("\"{name}\" is a block: remove the equals sign.")),
            );
            return;
        }
        let known = schema.arguments.iter().map(|argument| argument.name).chain(schema.blocks.iter().map(|block| block.name));
        let hint = did_you_mean(name, known).or_else(|| elsewhere(name));
        self.evaluator.problem_with_hint(
            attribute.name.span,
            "Unsupported argument",
            format!("There is no argument \"{name}\" here."),
            hint,
        );
    }

    fn block(&mut self, block: &Block, schema: &'static Schema, fields: &mut Fields, seen: &mut Vec<(&'static str, Span)>) {
        let name = &*block.kind.text;
        if name == "dynamic" {
            self.dynamic(block, schema, fields, seen);
            return;
        }
        let Some(kind) = schema.blocks.iter().find(|kind| kind.name == name) else {
            let argument = schema.arguments.iter().any(|argument| argument.name == name);
            let hint = if argument {
                Some(format!("\"{name}\" is an argument: put an equals sign behind it."))
            } else {
                let known = schema.blocks.iter().map(|kind| kind.name).chain(schema.arguments.iter().map(|argument| argument.name));
                did_you_mean(name, known).or_else(|| elsewhere(name))
            };
            let detail = format!("There is no block \"{name}\" here.");
            self.evaluator.problem_with_hint(block.kind.span, "Unsupported block type", detail, hint);
            return;
        };
        let label = match (&block.labels[..], kind.label.is_empty()) {
            ([], true) => None,
            ([label], false) => Some(label.clone()),
            ([], false) => {
                self.problem(block.open, &format!("Missing name for {name}"), format!("A block \"{name}\" has one label."));
                return;
            }
            (labels, no_label) => {
                let expected = if no_label { "no labels" } else { "one label" };
                let extra = &labels[usize::from(!no_label)];
                self.problem(extra.span, &format!("Extraneous label for {name}"), format!("A block \"{name}\" has {expected}."));
                return;
            }
        };
        self.known_block(block, kind, label.as_ref(), fields, seen);
    }

    fn known_block(
        &mut self,
        block: &Block,
        kind: &'static BlockType,
        label: Option<&Name>,
        fields: &mut Fields,
        seen: &mut Vec<(&'static str, Span)>,
    ) {
        if kind.occurs == Occurs::Once {
            if let Some((_, first)) = seen.iter().find(|(name, _)| *name == kind.name) {
                let line = self.evaluator.source.place(*first).line;
                let detail = format!("Only one block \"{}\" is allowed here; the first stands on line {line}.", kind.name);
                self.problem(block.kind.span, &format!("Duplicate {} block", kind.name), detail);
                return;
            }
            seen.push((kind.name, block.kind.span));
        }
        let value = match kind.content {
            Content::Body(schema) => {
                let mut inner = Fields::new();
                self.mark_block(&mut inner, block);
                if let Some(label) = label {
                    self.mark(&mut inner, kind.label, label.span, None);
                    inner.insert(kind.label.to_owned(), json!(&*label.text));
                }
                self.body(&block.body, label.map_or(block.open, |label| label.span), schema, &mut inner);
                Json::Object(inner)
            }
            Content::TextMap(_) => Json::Object(self.text_map(&block.body)),
            Content::TextListMap => Json::Object(self.text_list_map(&block.body)),
            Content::Opaque => Json::Object(self.opaque(&block.body)),
        };
        if !matches!(kind.content, Content::Body(_)) {
            self.mark(fields, kind.field, block.kind.span, None);
        }
        match kind.occurs {
            Occurs::Once | Occurs::LastCounts => {
                fields.insert(kind.field.to_owned(), value);
            }
            Occurs::Many => {
                if let Json::Array(list) = fields.entry(kind.field).or_insert_with(|| json!([])) {
                    let twice = kind.label == "<label>" && list.iter().any(|other| other["Type"] == value["Type"]);
                    list.push(value);
                    if twice {
                        self.problem(block.kind.span, "Duplicate scaling block", "A task has one scaling policy of each type.");
                    }
                }
            }
            Occurs::ByLabel => {
                if let (Some(label), Json::Object(map)) = (label, fields.entry(kind.field).or_insert_with(|| json!({}))) {
                    map.insert(label.text.to_string(), value);
                }
            }
        }
    }

    // -- dynamic blocks -------------------------------------------------------------------------------------------

    fn dynamic(&mut self, block: &Block, schema: &'static Schema, fields: &mut Fields, seen: &mut Vec<(&'static str, Span)>) {
        const NO_BLOCKS: Schema = Schema { arguments: &[], blocks: &[], finish: Finish::Nothing };
        const CONTENT: Schema = Schema {
            arguments: &[],
            blocks: &[BlockType { name: "content", field: "", label: "", occurs: Occurs::Once, content: Content::Body(&NO_BLOCKS) }],
            finish: Finish::Nothing,
        };
        let [label] = &block.labels[..] else {
            self.problem(block.kind.span, "Invalid dynamic block", "A dynamic block has one label, the type of the blocks that it makes.");
            return;
        };
        let Some(kind) = schema.blocks.iter().find(|kind| kind.name == &*label.text) else {
            let hint = did_you_mean(&label.text, schema.blocks.iter().map(|kind| kind.name));
            let detail = format!("There is no block \"{}\" here.", label.text);
            self.evaluator.problem_with_hint(label.span, "Unsupported block type", detail, hint);
            return;
        };
        let sorted = self.sorted(&block.body, &CONTENT);
        let body = sorted.body();
        let (mut for_each, mut iterator, mut labels) = (None, Arc::clone(&label.text), None);
        for attribute in &body.attributes {
            match &*attribute.name.text {
                "for_each" => for_each = Some(&attribute.value),
                "labels" => labels = Some(&attribute.value),
                "iterator" => match &attribute.value.kind {
                    ExprKind::Reference(reference) if reference.steps.is_empty() => iterator = Arc::clone(&reference.root.text),
                    ExprKind::Literal(Value::String(text)) => iterator = Arc::clone(text),
                    _ => self.problem(attribute.value.span, "Invalid expression", "The iterator is a plain name."),
                },
                other => {
                    let detail = format!("A dynamic block has no argument \"{other}\".");
                    let hint = did_you_mean(other, ["for_each", "iterator", "labels"]);
                    self.evaluator.problem_with_hint(attribute.name.span, "Unsupported argument", detail, hint);
                }
            }
        }
        let mut contents = body.blocks.iter().filter(|inner| &*inner.kind.text == "content");
        let content = contents.next();
        if let Some(other) = contents.next() {
            self.problem(other.kind.span, "Extraneous content block", "A dynamic block has one block \"content\".");
        }
        for other in body.blocks.iter().filter(|inner| &*inner.kind.text != "content") {
            let detail = format!("A dynamic block has no block \"{}\", only \"content\".", other.kind.text);
            self.problem(other.kind.span, "Unsupported block type", detail);
        }
        let (Some(for_each), Some(content)) = (for_each, content) else {
            let missing = if for_each.is_none() { "the argument \"for_each\"" } else { "a block \"content\"" };
            self.problem(block.open, "Incomplete dynamic block", format!("A dynamic block needs {missing}."));
            return;
        };
        let Some(collection) = self.evaluator.evaluate(for_each) else { return };
        if collection.is_null() {
            self.problem(for_each.span, "Invalid dynamic for_each value", "The collection is null.");
            return;
        }
        let Some(entries) = collection.entries() else {
            if !collection.has_unknown() {
                let detail = format!("A {} cannot be iterated.", collection.kind().friendly());
                self.problem(for_each.span, "Invalid dynamic for_each value", detail);
                self.explain(for_each);
            }
            return;
        };
        let wanted = usize::from(!kind.label.is_empty());
        for (position, (key, value)) in entries.into_iter().enumerate() {
            if self.evaluator.spend(for_each.span, 1, 0).is_none() {
                return;
            }
            let members = Members::from([(Arc::from("key"), key), (Arc::from("value"), value)]);
            self.evaluator.enter(Arc::clone(&iterator), Value::object(members));
            let element = self.origins.element(for_each, position);
            self.origins.iterators.push((Arc::clone(&iterator), element));
            let names = self.labels(labels, wanted, label.span);
            if let Some(names) = names {
                self.known_block(content, kind, names.first(), fields, seen);
            }
            self.evaluator.leave(1);
            self.origins.iterators.pop();
        }
    }

    fn labels(&mut self, expr: Option<&Expr>, wanted: usize, place: Span) -> Option<Vec<Name>> {
        let Some(expr) = expr else {
            if wanted > 0 {
                self.problem(place, "Missing dynamic block labels", "These blocks have a label: the argument \"labels\" is required.");
                return None;
            }
            return Some(Vec::new());
        };
        let value = self.evaluator.evaluate(expr)?;
        let names = value.convert(&Type::List(Arc::new(Type::String)));
        let names = names.ok().and_then(|list| {
            let texts = list.elements()?.iter().map(|name| name.as_str().map(Arc::from)).collect::<Option<Vec<Arc<str>>>>()?;
            (texts.len() == wanted).then_some(texts)
        });
        match names {
            Some(texts) => Some(texts.into_iter().map(|text| Name { text, span: expr.span }).collect()),
            None => {
                self.problem(expr.span, "Invalid dynamic block labels", format!("A list of {wanted} texts is required."));
                None
            }
        }
    }

    // -- values ---------------------------------------------------------------------------------------------------

    fn value(&mut self, expr: &Expr, argument: &Argument) -> Option<Json> {
        let value = self.evaluator.evaluate(expr)?;
        if value.has_unknown() {
            return None;
        }
        let wanted = match argument.kind {
            Kind::Texts => Type::List(Arc::new(Type::String)),
            Kind::Wholes(..) => Type::List(Arc::new(Type::Number)),
            Kind::TextMap => Type::Map(Arc::new(Type::String)),
            _ => Type::Dynamic,
        };
        let unsuitable = |decoder: &mut Self, problem: String| {
            let name = if argument.name.is_empty() { String::new() } else { format!(" for \"{}\"", argument.name) };
            let detail = format!("Unsuitable value{name}: {problem}.");
            let part = expr.part(&value.misfit(&wanted));
            decoder.evaluator.problem_with_hint(part.span, "Unsuitable value type", detail, way_out(argument, &value));
            decoder.explain(part);
            None
        };
        if value.is_null() {
            let list = matches!(argument.kind, Kind::Texts | Kind::Wholes(..) | Kind::TextMap);
            if argument.kind != Kind::Duration && (argument.nullable || list) {
                return Some(Json::Null);
            }
            return unsuitable(self, "it cannot be null".to_owned());
        }
        let converted = match argument.kind {
            Kind::Text => value.convert(&Type::String).map(|value| json!(value.as_str())),
            Kind::Bool => value.convert(&Type::Bool).map(|value| json!(value == Value::Bool(true))),
            Kind::Whole(low, high) => value.convert(&Type::Number).and_then(|value| whole(&value, low, high)),
            Kind::Duration => duration(&value),
            Kind::Texts => value.convert(&wanted).and_then(|list| {
                let elements = list.elements().unwrap_or(&[]).iter().enumerate();
                elements
                    .map(|(at, element)| element.as_str().map(|text| json!(text)).ok_or_else(|| format!("element {at} is null")))
                    .collect::<Result<Vec<_>, _>>()
                    .map(Json::Array)
            }),
            Kind::Wholes(low, high) => value.convert(&wanted).and_then(|list| {
                let elements = list.elements().unwrap_or(&[]).iter();
                elements.map(|element| whole(element, low, high)).collect::<Result<Vec<_>, _>>().map(Json::Array)
            }),
            Kind::TextMap => {
                let before = self.evaluator.problems.len();
                let part = expr.part(&value.misfit(&wanted));
                let map = self.text_map_value(Some(value), part.span);
                if self.evaluator.problems.len() > before {
                    self.explain(part);
                }
                return map;
            }
        };
        converted.map_or_else(|problem| unsuitable(self, problem), Some)
    }

    /// A map or object as a map of texts.
    fn text_map_value(&mut self, value: Option<Value>, span: Span) -> Option<Json> {
        let value = value?;
        if value.is_null() {
            return Some(Json::Null);
        }
        if value.has_unknown() {
            return None;
        }
        match value.convert(&Type::Map(Arc::new(Type::String))) {
            Ok(Value::Map(_, members)) => {
                let mut map = Fields::new();
                for (key, member) in members.iter() {
                    match member.as_str() {
                        Some(text) => {
                            map.insert(key.to_string(), json!(text));
                        }
                        None => self.problem(span, "Unsuitable value type", format!("The value of \"{key}\" cannot be null.")),
                    }
                }
                Some(Json::Object(map))
            }
            Ok(_) => None,
            Err(problem) => {
                self.problem(span, "Unsuitable value type", format!("A map of texts is required: {problem}."));
                None
            }
        }
    }

    fn free_attributes(&mut self, body: &Body) -> Vec<Attribute> {
        for block in &body.blocks {
            let detail = format!("Only \"name = value\" lines are possible here, no block \"{}\".", block.kind.text);
            self.problem(block.kind.span, "Unexpected block", detail);
        }
        match &body.json {
            None => body.attributes.clone(),
            Some(members) => {
                let mut problems = Vec::new();
                let source = self.evaluator.source;
                let attributes = members
                    .iter()
                    .filter(|member| &*member.name.text != "//")
                    .map(|member| json_attribute(source, member, &mut problems))
                    .collect();
                self.evaluator.problems.append(&mut problems);
                attributes
            }
        }
    }

    fn text_map(&mut self, body: &Body) -> Fields {
        const ANY: Argument = Argument { name: "", field: "", kind: Kind::Text, nullable: false, required: false };
        let mut map = Fields::new();
        for attribute in self.free_attributes(body) {
            if let Some(value) = self.value(&attribute.value, &ANY) {
                map.insert(attribute.name.text.to_string(), value);
            }
        }
        map
    }

    fn text_list_map(&mut self, body: &Body) -> Fields {
        const ANY: Argument = Argument { name: "", field: "", kind: Kind::Texts, nullable: false, required: false };
        let mut map = Fields::new();
        for attribute in self.free_attributes(body) {
            if let Some(value) = self.value(&attribute.value, &ANY) {
                map.insert(attribute.name.text.to_string(), value);
            }
        }
        map
    }

    /// A value that is there and known.
    fn given(&mut self, expr: &Expr) -> Option<Value> {
        self.evaluator.evaluate(expr).filter(|value| !value.is_null() && !value.has_unknown())
    }

    /// A body without a schema: blocks become lists of objects, one key per label.
    fn opaque(&mut self, body: &Body) -> Fields {
        let mut map = Fields::new();
        if body.json.is_some() {
            for attribute in self.free_attributes(body) {
                if let Some(value) = self.given(&attribute.value) {
                    map.insert(attribute.name.text.to_string(), any(&value));
                }
            }
            return map;
        }
        for attribute in &body.attributes {
            let Some(value) = self.given(&attribute.value) else { continue };
            // An object written out looks like a block that occurs once.
            let written = matches!(attribute.value.kind, ExprKind::Object(_));
            let value = if written { json!([any(&value)]) } else { any(&value) };
            map.insert(attribute.name.text.to_string(), value);
        }
        let mut lists = Fields::new();
        for block in &body.blocks {
            let mut value = Json::Object(self.opaque(&block.body));
            for label in block.labels.iter().rev() {
                value = json!({ &*label.text: [value] });
            }
            if let Json::Array(list) = lists.entry(block.kind.text.to_string()).or_insert_with(|| json!([])) {
                list.push(value);
            }
        }
        map.extend(lists);
        map
    }

    // -- what is written to what the API holds --------------------------------------------------------------------

    fn finish(&mut self, finish: Finish, fields: &mut Fields, place: Span) {
        match finish {
            Finish::Nothing => {}
            Finish::Constraint | Finish::Affinity => condition(fields, finish == Finish::Affinity),
            Finish::Network => network(fields),
            Finish::Periodic => {
                fields.insert("SpecType".to_owned(), json!("cron"));
            }
            Finish::GroupScaling => default(fields, "Type", json!("horizontal")),
            Finish::TaskScaling => {
                let label = fields.remove("<label>");
                let kind = match label.as_ref().and_then(Json::as_str) {
                    Some("cpu") => "vertical_cpu",
                    Some("mem") => "vertical_mem",
                    _ => {
                        self.problem(place, "Invalid scaling policy name", "The label of a task's scaling policy is \"cpu\" or \"mem\".");
                        return;
                    }
                };
                default(fields, "Type", json!(kind));
            }
            Finish::Template => {
                default(fields, "ChangeMode", json!("restart"));
                default(fields, "Splay", json!(5_000_000_000i64));
                default(fields, "Perms", json!("0644"));
                default(fields, "ErrMissingKey", json!(false));
            }
            Finish::ChangeScript => {
                default(fields, "Args", json!([]));
                default(fields, "Timeout", json!(5_000_000_000i64));
                default(fields, "FailOnError", json!(false));
                default(fields, "RunOnFirstRender", json!(false));
            }
            Finish::Vault => {
                default(fields, "Env", json!(true));
                default(fields, "DisableFile", json!(false));
                default(fields, "ChangeMode", json!("restart"));
            }
            Finish::Task => identities(fields),
        }
    }
}

pub(super) fn field_name(argument: &Argument) -> String {
    if !argument.field.is_empty() {
        return argument.field.to_owned();
    }
    let mut out = String::with_capacity(argument.name.len());
    for part in argument.name.split('_') {
        let mut chars = part.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}

fn whole(value: &Value, low: i128, high: i128) -> Result<Json, String> {
    let refuse = || match low <= i128::from(i64::MIN) && high >= i128::from(i64::MAX) {
        true => "a whole number is required".to_owned(),
        false => format!("a whole number from {low} to {high} is required"),
    };
    let Value::Number(number) = value else { return Err("a number is required".to_owned()) };
    let big = number.to_bigint().and_then(|big| i128::try_from(big).ok()).filter(|big| (low..=high).contains(big));
    let big = big.ok_or_else(refuse)?;
    i64::try_from(big).map(|small| json!(small)).or_else(|_| u64::try_from(big).map(|large| json!(large))).map_err(|_| refuse())
}

/// How a value may be written where one of another kind was found.
fn way_out(argument: &Argument, value: &Value) -> Option<String> {
    let unit = match argument.kind {
        Kind::Duration => return value.as_str().map(|_| "Units are ns, us, ms, s, m and h, as in \"1h30m\".".to_owned()),
        Kind::Whole(..) => super::reference::unit(argument.name).strip_prefix(", in ")?,
        _ => return None,
    };
    let number: String = value.as_str()?.chars().take_while(char::is_ascii_digit).collect();
    (!number.is_empty()).then(|| format!("It is a plain number of {unit}, as in {} = {number}.", argument.name))
}

/// The block of the language in which an argument or block of this name may stand, the outermost, when it is clear which.
fn elsewhere(name: &str) -> Option<String> {
    const DEPTH_MAX: usize = 4;
    let mut level: Vec<(&'static str, &'static Schema)> = vec![("job", &JOB)];
    for _ in 0..DEPTH_MAX {
        let inner = level.iter().flat_map(|(_, body)| body.blocks).filter_map(|block| match block.content {
            Content::Body(body) => Some((block.name, body)),
            _ => None,
        });
        level = inner.collect();
        let holds = |body: &Schema| {
            body.arguments.iter().any(|argument| argument.name == name) || body.blocks.iter().any(|block| block.name == name)
        };
        let mut found: Vec<&str> = level.iter().filter(|(_, body)| holds(body)).map(|(own, _)| *own).collect();
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => {}
            [one] => return Some(format!("\"{name}\" belongs in a block \"{one}\".")),
            [one, two] => return Some(format!("\"{name}\" belongs in a block \"{one}\" or \"{two}\".")),
            _ => return None,
        }
    }
    None
}

fn duration(value: &Value) -> Result<Json, String> {
    match value {
        Value::String(text) => parse_duration(text).map(|nanoseconds| json!(nanoseconds)).map_err(|error| error.to_string()),
        Value::Number(number) => match number {
            Number::Int(nanoseconds) => Ok(json!(nanoseconds)),
            _ => whole(value, i64::MIN.into(), i64::MAX.into()),
        },
        other => Err(format!("a duration such as \"30s\" is required, not {}", other.kind().friendly())),
    }
}

/// A value without a schema: whole numbers of 64 bits stay whole, others become floating.
fn any(value: &Value) -> Json {
    match value {
        Value::Null(_) | Value::Unknown(_) => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Number(number) => match number.to_i64() {
            Some(whole) => json!(whole),
            None => json!(number.to_f64()),
        },
        Value::String(text) => json!(&**text),
        Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => Json::Array(members.iter().map(any).collect()),
        Value::Map(_, members) | Value::Object(members) => {
            Json::Object(members.iter().map(|(key, member)| (key.to_string(), any(member))).collect())
        }
    }
}

fn default(fields: &mut Fields, name: &str, value: Json) {
    if fields.get(name).is_none_or(Json::is_null) {
        fields.insert(name.to_owned(), value);
    }
}

/// Shorthand arguments such as `regexp = "…"` set operator and value; some exist but have no effect on constraints.
fn condition(fields: &mut Fields, affinity: bool) {
    let take = |fields: &mut Fields, field: &str| fields.remove(field);
    let all = [("Version", "version"), ("Semver", "semver"), ("Regexp", "regexp"), ("SetContains", "set_contains")];
    let more = [("SetContainsAll", "set_contains_all"), ("SetContainsAny", "set_contains_any")];
    for (field, operator) in all {
        if let Some(value) = take(fields, field) {
            fields.insert("Operand".to_owned(), json!(operator));
            fields.insert("RTarget".to_owned(), value);
        }
    }
    for (field, operator) in more {
        if let Some(value) = take(fields, field)
            && affinity
        {
            fields.insert("Operand".to_owned(), json!(operator));
            fields.insert("RTarget".to_owned(), value);
        }
    }
    take(fields, "IsSet");
    take(fields, "IsNotSet");
    if let Some(value) = take(fields, "DistinctProperty") {
        fields.insert("Operand".to_owned(), json!("distinct_property"));
        fields.insert("LTarget".to_owned(), value);
    }
    if let Some(value) = take(fields, "DistinctHosts") {
        fields.insert("Operand".to_owned(), json!("distinct_hosts"));
        fields.insert("RTarget".to_owned(), json!(value.to_string()));
    }
    default(fields, "Operand", json!("="));
}

/// Ports with a positive static value are reserved, all others dynamic.
fn network(fields: &mut Fields) {
    let Some(Json::Array(ports)) = fields.remove("<ports>") else { return };
    for port in ports {
        let reserved = port["Value"].as_i64().is_some_and(|value| value > 0);
        let field = if reserved { "ReservedPorts" } else { "DynamicPorts" };
        if let Json::Array(list) = fields.entry(field).or_insert_with(|| json!([])) {
            list.push(port);
        }
    }
}

/// The identity without a name, or named default, travels apart from the others; the first such counts.
fn identities(fields: &mut Fields) {
    let Some(Json::Array(all)) = fields.remove("<identities>") else { return };
    let mut others = Vec::new();
    for identity in all {
        if matches!(identity["Name"].as_str(), None | Some("" | "default")) && !fields.contains_key("Identity") {
            fields.insert("Identity".to_owned(), identity);
        } else {
            others.push(identity);
        }
    }
    fields.insert("Identities".to_owned(), Json::Array(others));
}

/// Folds what exists only in job files into groups and tasks.
fn fold_job(fields: &mut Fields) {
    let vault = fields.remove(VAULT_BELOW);
    let secrets = fields.remove(SECRETS_BELOW);
    let mut groups: Vec<Json> = Vec::new();
    if let Some(Json::Array(tasks)) = fields.remove(TASKS_ALONE) {
        groups.extend(tasks.into_iter().map(|task| json!({ "Name": task["Name"], "Tasks": [task] })));
    }
    if let Some(Json::Array(rest)) = fields.remove("TaskGroups") {
        groups.extend(rest);
    }
    for group in &mut groups {
        let Json::Object(group) = group else { continue };
        let group_vault = group.remove(VAULT_BELOW);
        let group_secrets = group.remove(SECRETS_BELOW);
        let Some(Json::Array(tasks)) = group.get_mut("Tasks") else { continue };
        for task in tasks {
            let Json::Object(task) = task else { continue };
            if !task.contains_key("Vault")
                && let Some(vault) = group_vault.as_ref().or(vault.as_ref())
            {
                task.insert("Vault".to_owned(), vault.clone());
            }
            if let Some(Json::Array(shared)) = &group_secrets {
                // A task with secrets of its own gets them twice, which is refused when the job is registered.
                let added = match task.get("Secrets") {
                    Some(Json::Array(own)) => own.clone(),
                    _ => shared.clone(),
                };
                append(task, added);
            }
            if let Some(Json::Array(shared)) = &secrets {
                append(task, shared.clone());
            }
        }
    }
    if !groups.is_empty() {
        fields.insert("TaskGroups".to_owned(), Json::Array(groups));
    }
}

fn append(task: &mut Fields, secrets: Vec<Json>) {
    if let Json::Array(list) = task.entry("Secrets").or_insert_with(|| json!([])) {
        list.extend(secrets);
    }
}
