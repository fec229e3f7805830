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
                choose(&mut found, *count, key, |service| &service.id);
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

/// Keeps so many of all, the same for the same key as long as they are there.
fn choose<T>(all: &mut Vec<T>, count: usize, key: &str, id: impl Fn(&T) -> &str) {
    all.sort_by_key(|one| std::cmp::Reverse(weight(key, id(one))));
    all.truncate(count);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use drover_macros::proves;

    use super::*;

    fn chosen(instances: &[String], count: usize, key: &str) -> Vec<String> {
        let mut all = instances.to_vec();
        choose(&mut all, count, key, |id| id);
        all
    }

    #[proves("SVC-010")]
    #[test]
    fn a_key_chooses_the_same_instances_and_few_change_when_some_come_or_go() {
        let instances: Vec<String> = (0..20).map(|number| format!("_nomad-task-{number}-web")).collect();
        let keys: Vec<String> = (0..1_000).map(|number| format!("client-{number}")).collect();
        let mut used: BTreeMap<String, usize> = BTreeMap::new();
        for key in &keys {
            let own = chosen(&instances, 3, key);
            let mut turned = instances.clone();
            turned.reverse();
            assert_eq!((own.len(), &chosen(&turned, 3, key)), (3, &own), "whatever the order");
            own.into_iter().for_each(|id| *used.entry(id).or_default() += 1);
            // One that goes takes only its own place; the others stay in order.
            let fewer: Vec<String> = instances.iter().filter(|id| **id != instances[7]).cloned().collect();
            let (before, after) = (chosen(&instances, 3, key), chosen(&fewer, 3, key));
            let kept: Vec<&String> = before.iter().filter(|id| **id != instances[7]).collect();
            assert!(after.iter().filter(|id| before.contains(id)).eq(kept.iter().copied()), "{before:?} {after:?}");
        }
        assert!(used.len() == 20 && used.values().all(|count| (75..250).contains(count)), "all have their share: {used:?}");
        assert_eq!(chosen(&instances, 50, "x").len(), 20);
    }

    #[proves("SVC-010")]
    #[test]
    fn a_choice_is_a_number_and_a_key() {
        assert_eq!(choice("").unwrap(), None);
        assert_eq!(choice("2|a|b").unwrap(), Some((2, "a|b".to_owned())));
        for text in ["2", "|a", "x|a", "-1|a", "2.5|a", "99999999999999999999999|a"] {
            assert_eq!(choice(text).unwrap_err().status, http::StatusCode::BAD_REQUEST, "{text}");
        }
    }
}
