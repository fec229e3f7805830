//! Who calls this agent, and what they may do: tokens, roles and policies of the region turned into rights.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use drover_base::{AllocId, NodeId};
use futures::future::BoxFuture;

use crate::access::{Caller, Forward, Guard, Object, Rights, Way, denied};
use crate::agent::Agent;
use crate::blocking::Source;
use crate::error::ApiError;
use crate::home::no_path;
use crate::relay::{Pipe, to_node};
use crate::request::Request;

/// Rights of so many callers are kept; more are worked out again.
const KEPT_MAX: usize = 4_096;

/// Rights as they follow from one state of policies, tokens and roles.
#[derive(Debug, Default)]
pub struct Known(Mutex<(u64, BTreeMap<String, Arc<Rights>>)>);

impl Known {
    /// The rights of whoever is called `name`, worked out unless they are known and nothing has changed since.
    fn rights(&self, index: u64, name: &str, work_out: impl FnOnce() -> Rights) -> Arc<Rights> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != index || known.1.len() >= KEPT_MAX {
            *known = (index, BTreeMap::new());
        }
        Arc::clone(known.1.entry(name.to_owned()).or_insert_with(|| Arc::new(work_out())))
    }
}

impl Guard for Agent {
    fn identify(&self, secret: &str) -> Result<Caller, ApiError> {
        let Some(server) = &self.server else {
            // An agent that cannot ask anybody about a token lets nobody in.
            return if self.facts.acl { Err(ApiError::by_text("No cluster leader")) } else { Ok(Caller::unrestricted()) };
        };
        if !server.acl_enabled() {
            return Ok(Caller::unrestricted());
        }
        let snapshot = server.snapshot();
        let index = snapshot.rights_index();
        if secret.is_empty() {
            let rights = self.known.rights(index, "", || snapshot.anonymous_rights());
            return Ok(Caller { rights, token: None, enforced: true });
        }
        // A task shows the identity that the region has signed for it.
        if secret.contains('.') {
            let workload = server.workload(&snapshot, secret).ok_or_else(denied)?;
            let name = [&workload.namespace, &workload.job, &workload.group, &workload.task].map(String::as_str).join("\0");
            let rights = self.known.rights(index, &name, || snapshot.rights_of_workload(workload));
            return Ok(Caller { rights, token: None, enforced: true });
        }
        let token = snapshot.acl_token_by_secret(secret).ok_or_else(denied)?;
        if token.expired(server.wall_time()) {
            return Err(ApiError::new(http::StatusCode::FORBIDDEN, "ACL token expired"));
        }
        let rights = self.known.rights(index, &token.accessor, || snapshot.rights_of(token));
        Ok(Caller { rights, token: Some(Arc::clone(token)), enforced: true })
    }

    fn namespace_of(&self, object: Object, id: &str) -> Option<String> {
        let snapshot = self.snapshot();
        match object {
            Object::Allocation if self.server.is_none() => self.placed(id.parse().ok()?).map(|placed| placed.job.id.namespace.clone()),
            Object::Allocation => snapshot.alloc(id.parse().ok()?).map(|alloc| alloc.job.id.namespace.clone()),
            Object::Evaluation => snapshot.eval(id.parse().ok()?).map(|eval| eval.job_id.namespace.clone()),
            Object::Deployment => snapshot.deployment(id.parse().ok()?).map(|deployment| deployment.job_id.namespace.clone()),
        }
    }

    fn ask_about(&self, secret: &str) -> Option<BoxFuture<'static, Result<Caller, ApiError>>> {
        self.upstream.as_ref().map(|servers| servers.identify(secret))
    }

    fn way(&self, forward: Forward, request: &Request) -> Way {
        match forward {
            Forward::Local => Way::Here,
            Forward::Server | Forward::Leader if self.upstream.is_some() => Way::Servers,
            Forward::Server | Forward::Leader => Way::Here,
            Forward::Client => self.way_to_client(request),
        }
    }

    fn way_to_region(&self, region: String) -> Way {
        if self.upstream.is_some() { Way::Servers } else { Way::Region(region) }
    }

    fn shared_region(&self) -> Option<&str> {
        self.server.as_ref().and_then(drover_server::Server::shared_region)
    }

    fn knows_regions(&self) -> bool {
        self.server.as_ref().is_some_and(drover_server::Server::knows_regions)
    }

    fn token_is_global(&self, accessor: &str) -> bool {
        self.server.as_ref().is_some_and(|server| server.snapshot().acl_token(accessor).is_some_and(|token| token.global))
    }

    fn open(&self, way: &Way) -> BoxFuture<'static, Result<Pipe, ApiError>> {
        match (way, &self.upstream, &self.server) {
            (Way::Servers, Some(servers), _) => servers.open(),
            (Way::Node(node), _, Some(server)) => Box::pin(to_node(server.clone(), *node)),
            (Way::Region(region), _, _) => match &self.regions {
                Some(regions) => regions.open(region),
                None => Box::pin(std::future::ready(Err(no_path()))),
            },
            _ => Box::pin(std::future::ready(Err(ApiError::not_found("No path to node")))),
        }
    }
}

impl Agent {
    /// Where the allocation or the node is that a request names. What nobody knows is refused here.
    fn way_to_client(&self, request: &Request) -> Way {
        let own = self.client.as_ref().map(drover_client::ClientHandle::node_id);
        let to = |node: Option<NodeId>| match node {
            Some(node) if Some(node) == own => Way::Here,
            Some(node) => Way::Node(node),
            None => Way::Here,
        };
        let alloc = [request.parameter("alloc_id"), request.query.get("allocID")].into_iter().find(|text| !text.is_empty());
        if let Some(text) = alloc {
            let Ok(id) = text.parse::<AllocId>() else { return Way::Here };
            return match (&self.client, &self.server) {
                (Some(client), _) if client.has_alloc(id) => Way::Here,
                (_, Some(server)) => to(server.snapshot().alloc(id).map(|alloc| alloc.node_id)),
                (_, None) if self.upstream.is_some() => Way::Servers,
                _ => Way::Here,
            };
        }
        let named = request.query.get("node_id");
        if named.is_empty() {
            let server = !request.query.get("server_id").is_empty();
            return if server && self.upstream.is_some() { Way::Servers } else { Way::Here };
        }
        let Ok(id) = named.parse::<NodeId>() else { return Way::Here };
        match &self.server {
            Some(server) => to(server.snapshot().node(id).map(|row| row.node.id)),
            None if Some(id) != own && self.upstream.is_some() => Way::Servers,
            None => Way::Here,
        }
    }

    /// Who sends a secret, asking the servers where only they know.
    ///
    /// # Errors
    /// As of [`Guard::identify`].
    pub(crate) async fn caller_with(&self, secret: &str) -> Result<Caller, ApiError> {
        match self.ask_about(secret) {
            Some(asked) => asked.await,
            None => self.identify(secret),
        }
    }
}
