//! Evaluations.

use drover_macros::Wire;

/// The JSON object `EvalCountResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvalCountResponse {
    pub count: i64,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `EvalDeleteRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvalDeleteRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    #[wire("EvalIDs")]
    pub eval_ids: Option<Vec<String>>,
    pub filter: String,
}

/// The JSON object `EvalDeleteResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvalDeleteResponse {
    pub count: i64,
    /// Reply metadata also in headers.
    pub index: u64,
}
