//! The routes: one small function each, over the newest snapshot or an endpoint.

pub mod absent;
pub mod acl;
pub mod agent;
pub mod allocations;
pub mod changes;
pub mod client;
pub mod deployments;
pub mod evaluations;
pub mod events;
pub mod exec;
pub mod exported;
pub mod fuzzy;
pub mod host;
pub mod identity;
pub mod job_changes;
pub mod jobs;
pub mod namespaces;
pub mod nodes;
pub mod operator;
mod ordered;
pub mod pools;
pub mod scaling;
pub mod search;
pub mod servers;
pub mod services;
pub mod statuses;
pub mod tunnel;
pub mod variables;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use drover_model::JobId;
use drover_state::Snapshot;
use serde::Serialize;

use crate::blocking::{At, Source, blocking};
use crate::error::ApiError;
use crate::filter::{Filter, Kind};
use crate::page::{Key, page};
use crate::reply::{Meta, Reply};
use crate::request::Request;

/// Where routes read the state.
pub trait State: Source<Snapshot = Snapshot> + 'static {}
impl<S: Source<Snapshot = Snapshot> + 'static> State for S {}

/// Whether an object's namespace is asked for.
pub(crate) fn in_namespace(asked: &str, namespace: &str) -> bool {
    asked == "*" || asked == namespace
}

/// The job that a request names.
pub(crate) fn job_id(request: &Request) -> JobId {
    JobId { namespace: request.namespace().to_owned(), id: request.parameter("job_id").to_owned() }
}

/// How one kind of list is read.
pub(crate) struct List<Rows, KeyOf, Full, Stub> {
    /// The rows that may be on the list, and the index of their table.
    pub(crate) rows: Rows,
    /// What the list is ordered by.
    pub(crate) key: KeyOf,
    /// The object that filters look at.
    pub(crate) full: Full,
    /// The entry that is sent.
    pub(crate) stub: Stub,
    /// What kind of object filters look at.
    pub(crate) kind: Kind,
}

impl<Rows, KeyOf, Full, Stub> List<Rows, KeyOf, Full, Stub> {
    /// Answers with a page of the list, held as long as the request asks for.
    pub(crate) async fn answer<S, R, K, F, T>(&self, source: &S, request: &Request) -> Result<Reply, ApiError>
    where
        S: State,
        K: Key,
        F: Serialize,
        T: Serialize,
        Rows: Fn(&Snapshot) -> Result<At<Vec<Arc<R>>>, ApiError>,
        KeyOf: Fn(&R) -> K,
        Full: Fn(&Snapshot, &R) -> F,
        Stub: Fn(&Snapshot, &R) -> T,
    {
        let options = request.read_options()?;
        let wanted = request.page_options()?;
        let filter = Filter::parse(&wanted.filter, self.kind)?;
        let found = blocking(source, request, &options, |snapshot| {
            let rows = (self.rows)(snapshot)?;
            let condition = |row: &Arc<R>| filter.matches(&(self.full)(snapshot, row));
            let condition = filter.is_some().then_some(&condition as crate::page::Condition<'_, Arc<R>>);
            let page = page(rows.value.into_iter(), |row| (self.key)(row), condition, &wanted)?;
            let items: Vec<T> = page.items.iter().map(|row| (self.stub)(snapshot, row)).collect();
            Ok(At { index: rows.index, value: (items, page.next_token) })
        })
        .await?;
        let (items, next_token) = found.value;
        Ok(Reply::json(&items)?.meta(&Meta::at(found.index).next(next_token)))
    }
}

/// Answers with one object, held as long as the request asks for; 404 with `missing` when there is none.
pub(crate) async fn one<S: State, T: Serialize>(
    source: &S,
    request: &Request,
    missing: &str,
    read: impl Fn(&Snapshot) -> Result<At<Option<T>>, ApiError>,
) -> Result<Reply, ApiError> {
    let options = request.read_options()?;
    // What was missing at first is waited for; changes of other objects are no news about it.
    let missed = AtomicBool::new(false);
    let found = blocking(source, request, &options, |snapshot| {
        let mut found = read(snapshot)?;
        if found.value.is_none() && missed.swap(true, Ordering::Relaxed) {
            found.index = found.index.min(options.index);
        }
        Ok(found)
    })
    .await?;
    let meta = Meta::at(found.index);
    match found.value {
        Some(value) => Ok(Reply::json(&value)?.meta(&meta)),
        None => Err(ApiError::not_found(missing).with_meta(meta)),
    }
}

/// Answers with a value that is always there.
pub(crate) async fn value<S: State, T: Serialize>(
    source: &S,
    request: &Request,
    read: impl Fn(&Snapshot) -> Result<At<T>, ApiError>,
) -> Result<Reply, ApiError> {
    let options = request.read_options()?;
    let found = blocking(source, request, &options, read).await?;
    Ok(Reply::json(&found.value)?.meta(&Meta::at(found.index)))
}
