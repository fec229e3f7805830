//! What a plan would change, as text: `+` added, `-` removed, `+/-` edited, values aligned below one another.

use drover_api::{FieldDiff, JobDiff, ObjectDiff, TaskDiff, TaskGroupDiff};

use crate::ui::{Paint, Ui};

/// Renders a job's diff without a final newline. `verbose` also opens added and removed parts and unchanged ones.
pub fn job(ui: &Ui, diff: &JobDiff, verbose: bool) -> String {
    let mut out = Writer { ui, verbose, text: String::new() };
    let groups = diff.task_groups.as_deref().unwrap_or_default();
    let (fields, objects) = parts(diff.fields.as_ref(), diff.objects.as_ref());
    let widest = widest(fields, objects, groups.iter().map(|group| group.r#type.as_str()));
    out.line(0, &diff.r#type, 0, &ui.title(format!("Job: {:?}", diff.id)));
    if verbose || diff.r#type == "Edited" {
        out.members(fields, objects, 0, widest);
    }
    for group in groups {
        out.group(group, widest);
    }
    out.text.trim_end_matches('\n').to_owned()
}

fn parts<'a>(fields: Option<&'a Vec<FieldDiff>>, objects: Option<&'a Vec<ObjectDiff>>) -> (&'a [FieldDiff], &'a [ObjectDiff]) {
    (fields.map_or(&[], Vec::as_slice), objects.map_or(&[], Vec::as_slice))
}

fn marker(kind: &str) -> &'static str {
    match kind {
        "Added" => "+ ",
        "Deleted" => "- ",
        "Edited" => "+/- ",
        _ => "",
    }
}

/// The longest field name and the longest marker of a level.
#[derive(Clone, Copy)]
struct Widest {
    name: usize,
    marker: usize,
}

fn widest<'a>(fields: &'a [FieldDiff], objects: &'a [ObjectDiff], others: impl Iterator<Item = &'a str>) -> Widest {
    let kinds = fields.iter().map(|field| field.r#type.as_str()).chain(objects.iter().map(|object| object.r#type.as_str()));
    Widest {
        name: fields.iter().map(|field| field.name.chars().count()).max().unwrap_or(0),
        marker: kinds.chain(others).map(|kind| marker(kind).len()).max().unwrap_or(0),
    }
}

struct Writer<'a> {
    ui: &'a Ui,
    verbose: bool,
    text: String,
}

impl Writer<'_> {
    fn line(&mut self, indent: usize, kind: &str, widest_marker: usize, text: &str) {
        let mark = marker(kind);
        let paint = match kind {
            "Added" => Paint::Green,
            "Deleted" => Paint::Red,
            _ => Paint::LightYellow,
        };
        let shown = mark.strip_suffix(' ').map_or(String::new(), |sign| format!("{} ", self.ui.paint(paint, sign)));
        let (margin, pad) = (" ".repeat(indent), " ".repeat(widest_marker.saturating_sub(mark.len())));
        self.text.push_str(&format!("{margin}{shown}{pad}{text}\n"));
    }

    fn members(&mut self, fields: &[FieldDiff], objects: &[ObjectDiff], indent: usize, widest: Widest) {
        for field in fields {
            let pad = " ".repeat(widest.name - field.name.chars().count());
            let value = match field.r#type.as_str() {
                "Deleted" => format!("{:?}", Verbatim(&field.old)),
                "Edited" => format!("{:?} => {:?}", Verbatim(&field.old), Verbatim(&field.new)),
                _ => format!("{:?}", Verbatim(&field.new)),
            };
            let notes = self.annotations(field.annotations.as_ref());
            self.line(indent, &field.r#type, widest.marker, &format!("{}: {pad}{value}{notes}", field.name));
        }
        for object in objects {
            self.object(object, indent, widest.marker);
        }
    }

    fn object(&mut self, object: &ObjectDiff, indent: usize, widest_marker: usize) {
        self.line(indent, &object.r#type, widest_marker, &format!("{} {{", object.name));
        let (fields, objects) = parts(object.fields.as_ref(), object.objects.as_ref());
        let inner = widest(fields, objects, std::iter::empty());
        let own = indent + widest_marker.saturating_sub(marker(&object.r#type).len());
        self.members(fields, objects, own + 2, inner);
        self.text.push_str(&format!("{}}}\n", " ".repeat(indent + widest_marker)));
    }

    fn group(&mut self, group: &TaskGroupDiff, outer: Widest) {
        let updates: Vec<String> =
            group.updates.iter().flatten().map(|(kind, count)| format!("{count} {}", self.ui.paint(update_paint(kind), kind))).collect();
        let updates = if updates.is_empty() { String::new() } else { format!(" ({})", updates.join(", ")) };
        let name = self.ui.title(format!("Task Group: {:?}", group.name));
        self.line(0, &group.r#type, outer.marker, &format!("{name}{updates}"));
        let indent = 2 + outer.marker.saturating_sub(marker(&group.r#type).len());
        let tasks = group.tasks.as_deref().unwrap_or_default();
        let (fields, objects) = parts(group.fields.as_ref(), group.objects.as_ref());
        let level = widest(fields, objects, tasks.iter().map(|task| task.r#type.as_str()));
        if self.verbose || group.r#type == "Edited" {
            self.members(fields, objects, indent, level);
        }
        for task in tasks {
            self.task(task, indent, level.marker);
        }
    }

    fn task(&mut self, task: &TaskDiff, indent: usize, widest_marker: usize) {
        let name = self.ui.title(format!("Task: {:?}", task.name));
        let notes = self.annotations(task.annotations.as_ref());
        self.line(indent, &task.r#type, widest_marker, &format!("{name}{notes}"));
        if !self.verbose && task.r#type != "Edited" {
            return;
        }
        let (fields, objects) = parts(task.fields.as_ref(), task.objects.as_ref());
        let inner = indent + 2 + widest_marker.saturating_sub(marker(&task.r#type).len());
        self.members(fields, objects, inner, widest(fields, objects, std::iter::empty()));
    }

    fn annotations(&self, annotations: Option<&Vec<String>>) -> String {
        let Some(annotations) = annotations.filter(|annotations| !annotations.is_empty()) else { return String::new() };
        let painted: Vec<String> = annotations
            .iter()
            .map(|text| {
                let kind = text.strip_prefix("forces ").unwrap_or(text);
                self.ui.paint(update_paint(kind), text)
            })
            .collect();
        format!(" ({})", painted.join(", "))
    }
}

/// A value between quotes with nothing but quotes and backslashes changed, so that diffs stay readable.
struct Verbatim<'a>(&'a str);

impl std::fmt::Debug for Verbatim<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

fn update_paint(kind: &str) -> Paint {
    match kind {
        "canary" => Paint::LightYellow,
        "create" => Paint::Green,
        "destroy" => Paint::Red,
        "migrate" => Paint::Blue,
        "in-place update" => Paint::Cyan,
        "create/destroy update" => Paint::Yellow,
        _ => Paint::Bold,
    }
}
