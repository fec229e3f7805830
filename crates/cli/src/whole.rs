//! Objects with every field that clients know: what a server leaves out where it is empty is there for who reads `-json`.

use serde_json::Value;

/// A field, and its value as JSON where the server sent none.
type Field = (&'static str, &'static str);

/// An evaluation.
pub(crate) const EVALUATION: &[Field] = &[
    ("AnnotatePlan", "false"),
    ("BlockedEval", "\"\""),
    ("ClassEligibility", "null"),
    ("DeploymentID", "\"\""),
    ("EscapedComputedClass", "false"),
    ("FailedTGAllocs", "null"),
    ("JobModifyIndex", "0"),
    ("MissingNonNodeResources", "null"),
    ("NextEval", "\"\""),
    ("NodeID", "\"\""),
    ("NodeModifyIndex", "0"),
    ("PlanAnnotations", "null"),
    ("PreviousEval", "\"\""),
    ("QueuedAllocations", "null"),
    ("QuotaLimitReached", "\"\""),
    ("RelatedEvals", "null"),
    ("SnapshotIndex", "0"),
    ("StatusDescription", "\"\""),
    ("Wait", "0"),
    ("WaitUntil", "null"),
];

/// An allocation in full.
pub(crate) const ALLOCATION: &[Field] = &[
    ("ClientDescription", "\"\""),
    ("DeploymentID", "\"\""),
    ("DeploymentStatus", "null"),
    ("DesiredDescription", "\"\""),
    ("DesiredTransition", "{\"Migrate\": null, \"Reschedule\": null}"),
    ("FollowupEvalID", "\"\""),
    ("NetworkStatus", "null"),
    ("NextAllocation", "\"\""),
    ("PreemptedAllocations", "null"),
    ("PreemptedByAllocation", "\"\""),
    ("PreviousAllocation", "\"\""),
    ("RescheduleTracker", "null"),
    ("Services", "null"),
    ("TaskStates", "null"),
];

/// A node in full.
pub(crate) const NODE: &[Field] = &[("DrainStrategy", "null"), ("LastDrain", "null"), ("Reserved", "null"), ("Resources", "null")];

/// A version of a job.
pub(crate) const VERSION: &[Field] = &[("Migrate", "null"), ("Reschedule", "null")];

/// What the plan of a job tells, and nothing else.
pub(crate) const PLAN: &[&str] =
    &["Annotations", "CreatedEvals", "Diff", "FailedTGAllocs", "JobModifyIndex", "NextPeriodicLaunch", "Warnings", "Why"];

/// An object, or each of a list, with the fields that it lacks.
pub(crate) fn completed(mut value: Value, fields: &[Field]) -> Value {
    match &mut value {
        Value::Array(list) => list.iter_mut().for_each(|one| *one = completed(one.take(), fields)),
        Value::Object(object) => {
            for (name, nothing) in fields {
                if !object.contains_key(*name) {
                    object.insert((*name).to_owned(), serde_json::from_str(nothing).unwrap_or_default());
                }
            }
        }
        _ => {}
    }
    value
}

/// An object with no other fields than these.
pub(crate) fn only(mut value: Value, fields: &[&str]) -> Value {
    if let Value::Object(object) = &mut value {
        object.retain(|name, _| fields.contains(&name.as_str()));
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_is_added_and_what_is_there_stays() {
        let list = completed(json!([{"Migrate": 1}, {}]), VERSION);
        assert_eq!(list, json!([{"Migrate": 1, "Reschedule": null}, {"Migrate": null, "Reschedule": null}]));
        assert_eq!(only(json!({"Index": 1, "Warnings": ""}), PLAN), json!({"Warnings": ""}));
    }
}
