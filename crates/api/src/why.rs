//! Why something waits: one reason with its numbers, beside the fields that clients know.

use std::collections::BTreeMap;

use drover_macros::Wire;

/// The JSON object `Why`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct Why {
    /// What kind of reason it is, for programs; the list is in `docs/why.md`.
    pub code: String,
    /// The reason in one sentence, with the numbers.
    pub message: String,
    /// RFC 3339: since when it waits.
    pub since: Option<String>,
    /// RFC 3339: when the wait ends by itself, or fails.
    pub deadline: Option<String>,
    /// The numbers of the sentence, by name.
    pub counts: Option<BTreeMap<String, i64>>,
}
