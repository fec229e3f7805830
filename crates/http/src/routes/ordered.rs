//! Lists of what there may be very much of: allocations, evaluations, deployments, nodes. The state keeps them in order, so that a page
//! costs what is on it, not what is in the table.

use std::ops::RangeInclusive;
use std::sync::Arc;

use drover_base::{Id, id};
use drover_model::{Deployment, Evaluation};
use drover_state::{Alloc, NodeRow, Snapshot, Table};
use serde::Serialize;

use super::State;
use crate::blocking::{At, blocking_at};
use crate::error::ApiError;
use crate::filter::{Filter, Kind};
use crate::ids;
use crate::page::{CreateKey, IdKey, Key, Page, page_in_order};
use crate::query::PageOptions;
use crate::reply::{Meta, Reply};
use crate::request::Request;

type Rows<'s, R> = Box<dyn DoubleEndedIterator<Item = &'s Arc<R>> + 's>;

/// A row that the state keeps by its id and in the order of its creation.
pub(crate) trait Listed: Sized {
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
        cut: impl for<'s> Fn(&'s Snapshot, &PageOptions, Option<crate::page::Condition<'_, &'s Arc<R>>>) -> Result<Page<&'s Arc<R>>, ApiError>,
    ) -> Result<Reply, ApiError>
    where
        S: State,
        R: Listed,
        F: Serialize,
        T: Serialize,
        Full: Fn(&Snapshot, &R) -> F,
        Stub: Fn(&Snapshot, &R) -> T,
    {
        let options = request.read_options()?;
        let wanted = request.page_options()?;
        let filter = Filter::parse(&wanted.filter, self.kind)?;
        let index = |snapshot: &Snapshot| snapshot.table_index(R::TABLE);
        let found = blocking_at(source, request, &options, index, |snapshot| {
            let condition = |row: &&Arc<R>| filter.matches(&(self.full)(snapshot, row));
            let condition = filter.is_some().then_some(&condition as crate::page::Condition<'_, &Arc<R>>);
            let page = cut(snapshot, &wanted, condition)?;
            let items: Vec<T> = page.items.iter().map(|row| (self.stub)(snapshot, row)).collect();
            Ok((items, page.next_token))
        })
        .await?;
        let At { index, value: (items, next_token) } = found;
        Ok(Reply::json(&items)?.meta(&Meta::at(index).next(next_token)))
    }
}
