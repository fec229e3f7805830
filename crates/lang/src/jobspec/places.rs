//! Which piece of a job file made which part of a job, so that what is found wrong with the job later can be shown in the file.
//!
//! Files are read without this; only when there is something to show, a file is decoded once more and every object and field
//! remembers where it stands. Memories travel inside the decoded objects, so whatever is folded, copied or put in another order
//! on the way keeps its place.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::origin::Origin;
use crate::diag::{Cause, Place, Problem, Source, Span};
use crate::hcl::ast::{JsonKind, JsonNode};
use crate::hcl::json::parse_json;

/// The member of a decoded object that says where its fields stand.
const MARK: &str = "\u{0}";
/// Objects in files nest so deep at most.
const DEPTH_MAX: usize = 64;
/// Arguments that are another way to write operator and value of a condition.
const SHORT_CONDITIONS: [&str; 4] = ["Version", "Semver", "Regexp", "SetContains"];

/// Where the parts of a job stand in its file.
#[derive(Clone, Debug, Default)]
pub struct Places {
    spots: BTreeMap<String, (Place, Option<Cause>)>,
}

/// What is remembered while a job is decoded.
#[derive(Debug, Default)]
pub(super) struct Marks {
    made: Vec<(Span, Option<Origin>)>,
}

impl Marks {
    /// Remembers where a field of an object stands, the object itself as the field "".
    pub(super) fn set(&mut self, fields: &mut Map<String, Json>, field: &str, span: Span, origin: Option<Origin>) {
        let id = self.made.len();
        self.made.push((span, origin));
        if let Json::Object(own) = fields.entry(MARK).or_insert_with(|| json!({})) {
            own.insert(field.to_owned(), json!(id));
        }
    }

    /// What was remembered, by the paths that the fields have in the end.
    pub(super) fn places(&self, source: &Source, job: &Json) -> Places {
        let mut places = Places::default();
        self.collect(source, job, "", &mut places, DEPTH_MAX);
        places
    }

    fn collect(&self, source: &Source, value: &Json, path: &str, places: &mut Places, left: usize) {
        let Some(left) = left.checked_sub(1) else { return };
        match value {
            Json::Array(entries) => {
                for (position, entry) in entries.iter().enumerate() {
                    self.collect(source, entry, &format!("{path}[{position}]"), places, left);
                }
            }
            Json::Object(fields) => {
                for (field, id) in fields.get(MARK).and_then(Json::as_object).into_iter().flatten() {
                    let Some((span, origin)) = id.as_u64().and_then(|id| self.made.get(usize::try_from(id).ok()?)) else { continue };
                    let cause = origin.as_ref().map(|origin| origin.as_cause(source));
                    let names = match SHORT_CONDITIONS.contains(&field.as_str()) {
                        true => &["Operand", "RTarget"][..],
                        false => &[field.as_str()],
                    };
                    for name in names {
                        places.spots.insert(joined(path, name), (source.place(*span), cause.clone()));
                    }
                }
                for (field, inner) in fields.iter().filter(|(field, _)| *field != MARK) {
                    self.collect(source, inner, &joined(path, field), places, left);
                }
            }
            _ => {}
        }
    }
}

fn joined(path: &str, field: &str) -> String {
    match (path, field) {
        ("", _) => field.to_owned(),
        (_, "") => path.to_owned(),
        _ => format!("{path}.{field}"),
    }
}

/// Blocks that hold for everything inside the job or group that they stand in.
const INHERITED: [(&str, &str); 4] =
    [("Update", "Update"), ("Migrate", "Migrate"), ("ReschedulePolicy", "Reschedule"), ("RestartPolicy", "RestartPolicy")];

impl Places {
    /// The places of the parts of a job in the API's own JSON; none in what is no JSON.
    pub fn of_api_job(source: &Source) -> Self {
        let mut places = Self::default();
        if let Ok(node) = parse_json(source.text()) {
            let job = match &node.kind {
                JsonKind::Object(members) => members.iter().find(|member| member.name.text.eq_ignore_ascii_case("job")),
                _ => None,
            };
            let job = job.map_or(&node, |member| &member.value);
            places.json(source, job, "", DEPTH_MAX);
        }
        places
    }

    fn json(&mut self, source: &Source, node: &JsonNode, path: &str, left: usize) {
        let Some(left) = left.checked_sub(1) else { return };
        self.spots.insert(path.to_owned(), (source.place(node.span), None));
        match &node.kind {
            JsonKind::Object(members) => {
                for member in members.iter() {
                    self.json(source, &member.value, &joined(path, &member.name.text), left);
                }
            }
            JsonKind::Array(entries) => {
                for (position, entry) in entries.iter().enumerate() {
                    self.json(source, entry, &format!("{path}[{position}]"), left);
                }
            }
            _ => {}
        }
    }

    /// An error about a part of the job, named as `TaskGroups[0].Tasks[1].Driver`: where the part stands, else where the
    /// nearest part around it does.
    pub fn problem(&self, path: &str, detail: impl Into<String>) -> Problem {
        let mut problem = Problem::error("Invalid job", detail);
        if let Some((place, cause)) = self.find(path) {
            problem.place = Some(place.clone());
            problem.cause.clone_from(cause);
        }
        problem
    }

    fn find(&self, path: &str) -> Option<&(Place, Option<Cause>)> {
        let mut path = path;
        loop {
            if let Some(found) = self.spots.get(path).or_else(|| self.inherited(path)) {
                return Some(found);
            }
            if path.is_empty() {
                return None;
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
    }

    /// The same part of the same block of what is around.
    fn inherited(&self, path: &str) -> Option<&(Place, Option<Cause>)> {
        let (name, outer) = INHERITED.iter().find(|(name, _)| path.split('.').any(|part| part == *name))?;
        let (before, after) = path.split_once(name)?;
        let around = before.trim_end_matches('.').rfind('.').map_or("", |end| &before[..end]);
        if before.is_empty() {
            return None;
        }
        self.spots.get(&joined(around, &format!("{outer}{after}")))
    }
}
