//! Dispatching: what a request must bring so that a parameterized job gets a child.

use std::collections::BTreeMap;

use drover_base::WallTime;
use drover_model::{Job, Parameterized};

/// The largest payload, in bytes.
pub const PAYLOAD_MAX: usize = 16 * 1024;

/// What somebody sends along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Given to the tasks.
    pub payload: Vec<u8>,
    /// Added to the job's.
    pub meta: BTreeMap<String, String>,
    /// Makes the child's id easier to know; "" for nothing.
    pub id_prefix: String,
    /// The child's priority; 0 for the parent's.
    pub priority: i64,
}

/// Why a job is not dispatched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no template.
    #[error("Specified job {0:?} is not a parameterized job")]
    NotParameterized(String),
    /// It is stopped.
    #[error("Specified job {0:?} is stopped")]
    Stopped(String),
    /// A payload is missing.
    #[error("Payload is not provided but required by parameterized job")]
    PayloadMissing,
    /// A payload is not wanted.
    #[error("Payload provided but forbidden by parameterized job")]
    PayloadForbidden,
    /// The payload is too large.
    #[error("Payload exceeds maximum size; {0} > {PAYLOAD_MAX}")]
    PayloadTooLarge(usize),
    /// Keys that the job does not know.
    #[error("Dispatch request included unpermitted metadata keys: [{}]", .0.join(" "))]
    UnknownMeta(Vec<String>),
    /// Keys that the job needs.
    #[error("Dispatch did not provide required meta keys: [{}]", .0.join(" "))]
    MetaMissing(Vec<String>),
    /// A priority that jobs cannot have.
    #[error("job priority must be between [1, {0}]")]
    Priority(u8),
}

/// Checks a request against the job it is for. Returns the child's priority, 0 for the parent's.
///
/// # Errors
/// The first reason that speaks against it.
pub fn check(job: &Job, request: &Request, priority_max: u8) -> Result<u8, Refused> {
    let Some(parameterized) = job.parameterized.as_ref().filter(|_| job.is_parameterized()) else {
        return Err(Refused::NotParameterized(job.id.id.clone()));
    };
    if job.stop {
        return Err(Refused::Stopped(job.id.id.clone()));
    }
    payload(parameterized, &request.payload)?;
    meta(parameterized, &request.meta)?;
    match request.priority {
        0 => Ok(0),
        priority => match u8::try_from(priority) {
            Ok(priority) if (1..=priority_max).contains(&priority) => Ok(priority),
            _ => Err(Refused::Priority(priority_max)),
        },
    }
}

fn payload(parameterized: &Parameterized, payload: &[u8]) -> Result<(), Refused> {
    match parameterized.payload.as_str() {
        "required" if payload.is_empty() => return Err(Refused::PayloadMissing),
        "forbidden" if !payload.is_empty() => return Err(Refused::PayloadForbidden),
        _ => {}
    }
    if payload.len() > PAYLOAD_MAX { Err(Refused::PayloadTooLarge(payload.len())) } else { Ok(()) }
}

fn meta(parameterized: &Parameterized, meta: &BTreeMap<String, String>) -> Result<(), Refused> {
    let (required, optional) = (&parameterized.meta_required, &parameterized.meta_optional);
    let unknown: Vec<String> = meta.keys().filter(|key| !required.contains(key) && !optional.contains(key)).cloned().collect();
    if !unknown.is_empty() {
        return Err(Refused::UnknownMeta(unknown));
    }
    let missing: Vec<String> = required.iter().filter(|key| !meta.contains_key(*key)).cloned().collect();
    if missing.is_empty() { Ok(()) } else { Err(Refused::MetaMissing(missing)) }
}

/// The id of a dispatched job: `JOB/dispatch-[PREFIX-]SECONDS-RANDOM`, the last in eight hexadecimal digits (PER-014).
pub fn child_id(parent: &str, prefix: &str, now: WallTime, random: u32) -> String {
    let dash = if prefix.is_empty() { "" } else { "-" };
    format!("{parent}/dispatch-{prefix}{dash}{}-{random:08x}", now.seconds())
}

#[cfg(test)]
mod tests {
    use drover_macros::proves;
    use drover_model::JobId;

    use super::*;

    fn letter() -> Job {
        let parameterized =
            Parameterized { payload: "optional".into(), meta_required: vec!["to".into()], meta_optional: vec!["cc".into()] };
        let id = JobId { namespace: "default".into(), id: "letter".into() };
        Job { id, parameterized: Some(parameterized), priority: 40, ..Job::default() }
    }

    fn told(job: &Job, payload: &[u8], meta: &[(&str, &str)], priority: i64) -> Result<u8, String> {
        let meta = meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let request = Request { payload: payload.to_vec(), meta, id_prefix: String::new(), priority };
        check(job, &request, 100).map_err(|refused| refused.to_string())
    }

    #[proves("PER-015")]
    #[test]
    fn a_payload_is_optional_required_or_forbidden_and_bounded() {
        let with = |rule: &str| {
            let mut job = letter();
            job.parameterized.as_mut().unwrap().payload = rule.into();
            job
        };
        let to = [("to", "ewe")];
        assert!(told(&with("optional"), b"", &to, 0).is_ok() && told(&with("optional"), b"x", &to, 0).is_ok());
        assert_eq!(told(&with("required"), b"", &to, 0).unwrap_err(), "Payload is not provided but required by parameterized job");
        assert_eq!(told(&with("forbidden"), b"x", &to, 0).unwrap_err(), "Payload provided but forbidden by parameterized job");
        assert!(told(&letter(), &[0; PAYLOAD_MAX], &to, 0).is_ok());
        assert_eq!(told(&letter(), &[0; 17_000], &to, 0).unwrap_err(), "Payload exceeds maximum size; 17000 > 16384");
    }

    #[proves("PER-016")]
    #[test]
    fn meta_keys_are_declared_and_required_ones_are_there() {
        assert!(told(&letter(), b"", &[("to", "a"), ("cc", "b")], 0).is_ok());
        assert_eq!(told(&letter(), b"", &[], 0).unwrap_err(), "Dispatch did not provide required meta keys: [to]");
        assert_eq!(
            told(&letter(), b"", &[("to", "a"), ("zz", "1")], 0).unwrap_err(),
            "Dispatch request included unpermitted metadata keys: [zz]"
        );
    }

    #[proves("PER-017")]
    #[test]
    fn only_templates_that_are_not_stopped_are_dispatched() {
        let plain = Job { parameterized: None, ..letter() };
        assert_eq!(told(&plain, b"", &[], 0).unwrap_err(), "Specified job \"letter\" is not a parameterized job");
        let child = Job { dispatched: true, ..letter() };
        assert!(told(&child, b"", &[("to", "a")], 0).is_err());
        let stopped = Job { stop: true, ..letter() };
        assert_eq!(told(&stopped, b"", &[("to", "a")], 0).unwrap_err(), "Specified job \"letter\" is stopped");
    }

    #[proves("PER-018")]
    #[test]
    fn a_priority_is_one_that_jobs_can_have() {
        assert_eq!(told(&letter(), b"", &[("to", "a")], 0), Ok(0));
        assert_eq!(told(&letter(), b"", &[("to", "a")], 70), Ok(70));
        for bad in [-1, 101, 300] {
            assert_eq!(told(&letter(), b"", &[("to", "a")], bad).unwrap_err(), "job priority must be between [1, 100]");
        }
    }

    #[proves("PER-014")]
    #[test]
    fn ids_of_children_say_when_and_are_unlikely_to_meet() {
        let now = WallTime(1_700_000_000_900_000_000);
        assert_eq!(child_id("letter", "", now, 0xab), "letter/dispatch-1700000000-000000ab");
        assert_eq!(child_id("letter", "pen", now, 0xdead_beef), "letter/dispatch-pen-1700000000-deadbeef");
    }
}
