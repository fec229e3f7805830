//! Reading services.

use std::sync::Arc;

use drover_model::ServiceRegistration;
use drover_server::Concern;
use drover_state::{Snapshot, Table};

use super::{List, State, value};
use crate::blocking::At;
use crate::error::ApiError;
use crate::filter::Kind;
use crate::page::NamespacedKey;
use crate::reply::Reply;
use crate::request::Request;
use crate::view;

/// `GET /v1/services`.
pub async fn list<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let scope = request.scope();
    let request = request.about(Concern::Table(Table::Services));
    value(&*source, &request, |snapshot| {
        let own = snapshot.services().filter(|service| scope.includes(&service.namespace));
        let value = view::service_stubs(own.map(|service| &**service));
        Ok(At { index: snapshot.table_index(Table::Services), value })
    })
    .await
}

/// `GET /v1/service/{service_name}`.
pub async fn read<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let name = request.parameter("service_name").to_owned();
    if name.is_empty() {
        return Err(ApiError::bad_request("missing service name"));
    }
    let choice = choice(request.query.get("choose"))?;
    let namespace = request.namespace().to_owned();
    let request = request.about(Concern::Service(namespace.clone(), name.clone()));
    let list = List {
        rows: |snapshot: &Snapshot| {
            let mut found: Vec<Arc<ServiceRegistration>> = snapshot.services_named(&namespace, &name).cloned().collect();
            if let Some((count, key)) = &choice {
                found.sort_by_key(|service| std::cmp::Reverse(weight(key, &service.id)));
                found.truncate(*count);
            }
            Ok(At { index: snapshot.table_index(Table::Services), value: found })
        },
        key: |service: &ServiceRegistration| NamespacedKey(service.namespace.clone(), service.id.clone()),
        full: |_: &Snapshot, service: &ServiceRegistration| view::service(service),
        stub: |_: &Snapshot, service: &ServiceRegistration| view::service(service),
        kind: Kind::Full,
    };
    list.answer(&*source, &request).await
}

fn choice(text: &str) -> Result<Option<(usize, String)>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || ApiError::bad_request("failed to choose services: Parameter for choose must be in form '<number>|<key>'");
    let (count, key) = text.split_once('|').ok_or_else(wrong)?;
    Ok(Some((count.parse().map_err(|_| wrong())?, key.to_owned())))
}

/// Rendezvous hashing: each instance has its own order for each key, so that few choices change when instances come and
/// go (Thaler and Ravishankar, 1998).
fn weight(key: &str, id: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = key.bytes().chain([0]).chain(id.bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    // The last bytes must reach all bits.
    let spread = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    spread ^ (spread >> 33)
}
