//! Who calls this agent, and what they may do: tokens, roles and policies of the region turned into rights.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::{Caller, Guard, Object, Rights, denied};
use crate::agent::Agent;
use crate::blocking::Source;
use crate::error::ApiError;

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
            Object::Allocation => snapshot.alloc(id.parse().ok()?).map(|alloc| alloc.job.id.namespace.clone()),
            Object::Evaluation => snapshot.eval(id.parse().ok()?).map(|eval| eval.job_id.namespace.clone()),
            Object::Deployment => snapshot.deployment(id.parse().ok()?).map(|deployment| deployment.job_id.namespace.clone()),
        }
    }
}
