//! Lists of what there may be very much of: jobs, allocations, evaluations, deployments, nodes. The state keeps them in order, so that a page
//! costs what is on it, not what is in the table.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::RangeInclusive;
use std::sync::Arc;

use drover_base::{Id, id};
use drover_model::{Deployment, Evaluation, JobId};
use drover_state::{Alloc, JobRow, NodeRow, Snapshot, Table};
use serde::Serialize;

use super::State;
use crate::access::Scope;
use crate::blocking::{At, blocking_at};
use crate::error::ApiError;
use crate::filter::{Filter, Kind};
use crate::ids;
use crate::page::{Condition, CreateKey, IdKey, Key, NamespacedKey, Page, page_in_order};
use crate::query::PageOptions;
use crate::reply::{Meta, Reply};
use crate::request::Request;

type Rows<'s, R> = Box<dyn DoubleEndedIterator<Item = &'s Arc<R>> + 's>;

/// A row that the state keeps by its id and in the order of its creation.
pub(crate) trait Listed: Sized + 'static {
    /// The kind of its id.
    type Kind;
    /// Its table.
    const TABLE: Table;
    fn by_id(snapshot: &Snapshot, ids: RangeInclusive<Id<Self::Kind>>) -> Rows<'_, Self>;
    fn id(&self) -> Id<Self::Kind>;
}

/// A row whose list is in the order of creation.
pub(crate) trait Created: Listed {
    fn created(snapshot: &Snapshot, indexes: RangeInclusive<u64>) -> Rows<'_, Self>;
    fn create_index(&self) -> u64;
}

macro_rules! listed {
    ($row:ty, $kind:ty, $table:ident, $by_id:ident, $created:ident) => {
        listed!($row, $kind, $table, $by_id, |row| row.id);
        impl Created for $row {
            fn created(snapshot: &Snapshot, indexes: RangeInclusive<u64>) -> Rows<'_, Self> {
                Box::new(snapshot.$created(indexes))
            }
            fn create_index(&self) -> u64 {
                self.create_index
            }
        }
    };
    ($row:ty, $kind:ty, $table:ident, $by_id:ident, |$of:ident| $id:expr) => {
        impl Listed for $row {
            type Kind = $kind;
            const TABLE: Table = Table::$table;
            fn by_id(snapshot: &Snapshot, ids: RangeInclusive<Id<$kind>>) -> Rows<'_, Self> {
                Box::new(snapshot.$by_id(ids))
            }
            fn id(&self) -> Id<$kind> {
                let $of = self;
                $id
            }
        }
    };
}

listed!(Alloc, id::Allocation, Allocs, allocs_by_id, allocs_created);
listed!(Evaluation, id::Evaluation, Evals, evals_by_id, evals_created);
listed!(Deployment, id::Deployment, Deployments, deployments_by_id, deployments_created);
listed!(NodeRow, id::Node, Nodes, nodes_by_id, |row| row.node.id);

/// How such a list is read.
pub(crate) struct Ordered<'a, Fits, Full, Stub> {
    /// Digits from [`ids::prefix`] that ids start with. With some, or where rows are not kept by creation, the list is by id.
    pub(crate) prefix: &'a str,
    /// Which rows may be on the list.
    pub(crate) fits: Fits,
    /// The object that filters look at.
    pub(crate) full: Full,
    /// The entry that is sent.
    pub(crate) stub: Stub,
    /// What kind of object filters look at.
    pub(crate) kind: Kind,
}

impl<Fits, Full, Stub> Ordered<'_, Fits, Full, Stub> {
    /// Answers with a page of the list in the order of creation, or by id if a prefix is asked for.
    pub(crate) async fn by_creation<S, R, F, T>(&self, source: &S, request: &Request) -> Result<Reply, ApiError>
    where
        S: State,
        R: Created,
        F: Serialize,
        T: Serialize,
        Fits: Fn(&R) -> bool,
        Full: Fn(&Snapshot, &R) -> F,
        Stub: Fn(&Snapshot, &R) -> T,
    {
        if !self.prefix.is_empty() {
            return self.by_id(source, request).await;
        }
        self.answer(source, request, |snapshot, wanted, condition| {
            let start = CreateKey::parse(&wanted.next_token).map(|key| key.0);
            let rows = if wanted.reverse {
                Box::new(R::created(snapshot, 0..=start.unwrap_or(u64::MAX)).rev()) as Box<dyn Iterator<Item = &Arc<R>>>
            } else {
                R::created(snapshot, start.unwrap_or(0)..=u64::MAX)
            };
            let rows = rows.filter(|row| (self.fits)(row));
            let together = |left: &&Arc<R>, right: &&Arc<R>| left.create_index() == right.create_index();
            page_in_order(rows, together, |row| CreateKey(row.create_index(), row.id().to_string()), condition, wanted)
        })
        .await
    }

    /// Answers with a page of the list by id.
    pub(crate) async fn by_id<S, R, F, T>(&self, source: &S, request: &Request) -> Result<Reply, ApiError>
    where
        S: State,
        R: Listed,
        F: Serialize,
        T: Serialize,
        Fits: Fn(&R) -> bool,
        Full: Fn(&Snapshot, &R) -> F,
        Stub: Fn(&Snapshot, &R) -> T,
    {
        self.answer(source, request, |snapshot, wanted, condition| {
            let (first, last) = ids::range(self.prefix).into_inner();
            // A token that is no id is compared as text, from the start.
            let start = wanted.next_token.parse().ok();
            let rows = if wanted.reverse {
                Box::new(R::by_id(snapshot, first..=start.unwrap_or(last)).rev()) as Box<dyn Iterator<Item = &Arc<R>>>
            } else {
                R::by_id(snapshot, start.unwrap_or(first).max(first)..=last)
            };
            let rows = rows.filter(|row| (self.fits)(row));
            page_in_order(rows, |_, _| false, |row| IdKey(row.id().to_string()), condition, wanted)
        })
        .await
    }

    async fn answer<S, R, F, T>(
        &self,
        source: &S,
        request: &Request,
        cut: impl for<'s> Fn(&'s Snapshot, &PageOptions, Option<Condition<'_, &'s Arc<R>>>) -> Result<Page<&'s Arc<R>>, ApiError>,
    ) -> Result<Reply, ApiError>
    where
        S: State,
        R: Listed,
        F: Serialize,
        T: Serialize,
        Full: Fn(&Snapshot, &R) -> F,
        Stub: Fn(&Snapshot, &R) -> T,
    {
        let index = |snapshot: &Snapshot| snapshot.table_index(R::TABLE);
        answer(source, request, self.kind, index, &self.full, &self.stub, cut).await
    }
}

/// The list of jobs, which are kept by namespace and id.
pub(crate) struct Jobs<'a, Full, Stub> {
    /// Which namespaces.
    pub(crate) scope: &'a Scope,
    /// What ids start with.
    pub(crate) prefix: &'a str,
    /// The object that filters look at.
    pub(crate) full: Full,
    /// The entry that is sent.
    pub(crate) stub: Stub,
}

impl<Full, Stub> Jobs<'_, Full, Stub> {
    /// Answers with a page of the list.
    pub(crate) async fn answer<S, F, T>(&self, source: &S, request: &Request) -> Result<Reply, ApiError>
    where
        S: State,
        F: Serialize,
        T: Serialize,
        Full: Fn(&Snapshot, &JobRow) -> F,
        Stub: Fn(&Snapshot, &JobRow) -> T,
    {
        let index = |snapshot: &Snapshot| snapshot.table_index(Table::Jobs).max(snapshot.table_index(Table::Summaries));
        answer(source, request, Kind::Full, index, &self.full, &self.stub, |snapshot, wanted, condition| {
            let rows = self.rows(snapshot, wanted).filter(|row| self.scope.includes(&row.id().namespace));
            let rows = rows.filter(|row| row.id().id.starts_with(self.prefix));
            let key = |row: &&Arc<JobRow>| NamespacedKey(row.id().namespace.clone(), row.id().id.clone());
            page_in_order(rows, |_, _| false, key, condition, wanted)
        })
        .await
    }

    /// Not much more than what may be on the page, from its beginning on.
    fn rows<'s>(&self, snapshot: &'s Snapshot, wanted: &PageOptions) -> Box<dyn Iterator<Item = &'s Arc<JobRow>> + 's> {
        let id = |namespace: &str, id: &str| JobId { namespace: namespace.to_owned(), id: id.to_owned() };
        let token = NamespacedKey::parse(&wanted.next_token).filter(|_| !wanted.next_token.is_empty());
        let token = token.map(|NamespacedKey(namespace, id)| JobId { namespace, id });
        let asked = self.scope.namespace();
        if wanted.reverse {
            // No namespace has this name, and it follows the one that is asked for.
            let after = asked.map(|asked| id(&format!("{asked}\0"), ""));
            let end = match (token, after) {
                (Some(token), after) if after.as_ref().is_none_or(|after| token < *after) => Included(token),
                (_, after) => after.map_or(Unbounded, Excluded),
            };
            let rows = snapshot.jobs_by_id((Unbounded, end)).rev();
            return match asked.map(str::to_owned) {
                None => Box::new(rows),
                Some(asked) => Box::new(rows.take_while(move |row| row.id().namespace == asked)),
            };
        }
        Box::new(jobs_with_prefix(snapshot, asked, self.prefix, token))
    }
}

/// The jobs of a namespace whose ids start with a prefix, or all of all namespaces, from an id on if there is one. Reads no
/// others.
pub(crate) fn jobs_with_prefix<'s>(
    snapshot: &'s Snapshot,
    namespace: Option<&str>,
    prefix: &str,
    from: Option<JobId>,
) -> impl Iterator<Item = &'s Arc<JobRow>> + use<'s> {
    let first = namespace.map(|namespace| JobId { namespace: namespace.to_owned(), id: prefix.to_owned() });
    let rows = snapshot.jobs_by_id((from.max(first.clone()).map_or(Unbounded, Included), Unbounded));
    rows.take_while(move |row| {
        first.as_ref().is_none_or(|first| row.id().namespace == first.namespace && row.id().id.starts_with(&first.id))
    })
}

/// Answers with the page that `cut` takes out of the state.
async fn answer<S, R, F, T>(
    source: &S,
    request: &Request,
    kind: Kind,
    index: impl Fn(&Snapshot) -> u64,
    full: impl Fn(&Snapshot, &R) -> F,
    stub: impl Fn(&Snapshot, &R) -> T,
    cut: impl for<'s> Fn(&'s Snapshot, &PageOptions, Option<Condition<'_, &'s Arc<R>>>) -> Result<Page<&'s Arc<R>>, ApiError>,
) -> Result<Reply, ApiError>
where
    S: State,
    F: Serialize,
    T: Serialize,
    R: 'static,
{
    let options = request.read_options()?;
    let wanted = request.page_options()?;
    let filter = Filter::parse(&wanted.filter, kind)?;
    let found = blocking_at(source, request, &options, index, |snapshot| {
        let condition = |row: &&Arc<R>| filter.matches(&full(snapshot, row));
        let condition = filter.is_some().then_some(&condition as Condition<'_, &Arc<R>>);
        let page = cut(snapshot, &wanted, condition)?;
        let items: Vec<T> = page.items.iter().map(|row| stub(snapshot, row)).collect();
        Ok((items, page.next_token))
    })
    .await?;
    let At { index, value: (items, next_token) } = found;
    Ok(Reply::json(&items)?.meta(&Meta::at(index).next(next_token)))
}
