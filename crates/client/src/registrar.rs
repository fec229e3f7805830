//! Keeps the catalogue of services in step with this node's tasks: registers in batches, removes with retries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_base::NodeId;
use drover_model::ServiceRegistration;
use drover_rt::Clock;
use tokio::sync::mpsc;

use crate::link::{LinkError, ServerLink};

/// Orders waiting to be carried out; whoever gives one waits when it is full.
pub(crate) const ORDERS_MAX: usize = 256;
/// The first and the longest wait before servers are asked again.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What shall be in the catalogue, or no longer.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Register(Vec<ServiceRegistration>),
    Remove { namespace: String, ids: Vec<String> },
}

/// The last word on a registration.
enum Wanted {
    There(Box<ServiceRegistration>),
    Gone { namespace: String },
}

/// Carries orders out, the last word on each registration winning.
pub(crate) async fn run(mut orders: mpsc::Receiver<Order>, link: Arc<dyn ServerLink>, node: NodeId, clock: Clock) {
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    let mut wait = RETRY_FIRST;
    loop {
        if wanted.is_empty() {
            match orders.recv().await {
                Some(order) => merge(&mut wanted, order),
                None => return,
            }
        }
        while let Ok(order) = orders.try_recv() {
            merge(&mut wanted, order);
        }
        if carry_out(&mut wanted, link.as_ref(), node).await {
            wait = RETRY_FIRST;
            continue;
        }
        tokio::select! {
            () = clock.sleep(wait) => {}
            order = orders.recv() => match order {
                Some(order) => merge(&mut wanted, order),
                None => return,
            },
        }
        wait = (wait * 2).min(RETRY_MAX);
    }
}

fn merge(wanted: &mut BTreeMap<String, Wanted>, order: Order) {
    match order {
        Order::Register(services) => {
            for service in services {
                wanted.insert(service.id.clone(), Wanted::There(Box::new(service)));
            }
        }
        Order::Remove { namespace, ids } => {
            for id in ids {
                wanted.insert(id, Wanted::Gone { namespace: namespace.clone() });
            }
        }
    }
}

/// True when nothing is left to do.
async fn carry_out(wanted: &mut BTreeMap<String, Wanted>, link: &dyn ServerLink, node: NodeId) -> bool {
    let services: Vec<ServiceRegistration> = wanted
        .values()
        .filter_map(|wanted| if let Wanted::There(service) = wanted { Some(service.as_ref().clone()) } else { None })
        .collect();
    if !services.is_empty() {
        match link.upsert_services(node, services).await {
            Ok(()) => wanted.retain(|_, wanted| matches!(wanted, Wanted::Gone { .. })),
            Err(LinkError::Unreachable(reason)) => {
                tracing::debug!(%reason, "services could not be registered yet");
                return false;
            }
            Err(error) => {
                tracing::error!(%error, "servers refused services");
                wanted.retain(|_, wanted| matches!(wanted, Wanted::Gone { .. }));
            }
        }
    }
    let gone: Vec<(String, String)> = wanted
        .iter()
        .filter_map(|(id, wanted)| if let Wanted::Gone { namespace } = wanted { Some((id.clone(), namespace.clone())) } else { None })
        .collect();
    for (id, namespace) in gone {
        match link.delete_service(node, namespace, id.clone()).await {
            // What is gone already is as good as removed.
            Ok(()) | Err(LinkError::NotFound) => {}
            Err(LinkError::Unreachable(_)) => return false,
            Err(error) => tracing::error!(%error, service_id = %id, "servers refused to remove a service"),
        }
        wanted.remove(&id);
    }
    true
}
