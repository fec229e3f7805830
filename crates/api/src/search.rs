//! Search.

use std::collections::BTreeMap;

use drover_macros::Wire;

/// The JSON object `SearchRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SearchRequest {
    pub prefix: String,
    /// Allocs | deployment | evals | jobs | nodes | node_pools | namespaces | quotas | recommendations | scaling_policy | plugins | vars | volumes | host_volumes | all.
    pub context: String,
    /// Used when the query string has none.
    pub region: String,
    /// Used when the query string has none.
    pub namespace: String,
}

/// The JSON object `SearchResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SearchResponse {
    /// Context to IDs, null list when none.
    pub matches: Option<BTreeMap<String, Option<Vec<String>>>>,
    /// Context to bool.
    pub truncations: Option<BTreeMap<String, bool>>,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `FuzzySearchRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct FuzzySearchRequest {
    /// Min 2 characters by default.
    pub text: String,
    /// As SearchRequest.
    pub context: String,
    /// Used when the query string has none.
    pub region: String,
    /// Used when the query string has none.
    pub namespace: String,
}

/// The JSON object `FuzzySearchResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct FuzzySearchResponse {
    pub matches: Option<BTreeMap<String, Option<Vec<FuzzyMatch>>>>,
    pub truncations: Option<BTreeMap<String, bool>>,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `FuzzyMatch`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct FuzzyMatch {
    pub id: String,
    /// Parents, outermost first.
    #[wire(omit_empty)]
    pub scope: Option<Vec<String>>,
}
