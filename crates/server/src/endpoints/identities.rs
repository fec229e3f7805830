//! What the region vouches for with a signature: which node a client is, and that a new client was announced.

use std::sync::PoisonError;
use std::time::Duration;

use drover_base::NodeId;
use drover_lang::duration::parse_duration;
use drover_model::NODE_POOL_DEFAULT;
use serde_json::json;

use crate::error::EndpointError;
use crate::keyring::Claims;
use crate::server::Server;

/// Who identities are for.
const AUDIENCE: &str = "nomadproject.io";
/// How long the identity of a node lasts where its pool does not say.
const NODE_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an introduction lasts unless told, and at most.
const INTRODUCTION_TTL: Duration = Duration::from_secs(5 * 60);
const INTRODUCTION_TTL_MAX: Duration = Duration::from_secs(30 * 60);

impl Server {
    /// What every identity claims.
    fn claims(&self, subject: &str, ttl: Duration) -> Claims {
        let now = self.0.clock.now();
        let claims = json!({
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now.seconds(),
            "nbf": now.seconds(),
            "exp": (now + ttl).seconds(),
            "jti": self.0.entropy.id::<drover_base::id::Allocation>().to_string(),
        });
        claims.as_object().cloned().unwrap_or_default()
    }

    /// What the identity of a node claims. It is made when it is first asked for, and anew when less than a third of its time is left.
    ///
    /// # Errors
    /// 404 for an unknown node.
    pub fn node_identity(&self, node: NodeId) -> Result<Claims, EndpointError> {
        let known = self.0.keyring.identities.lock().unwrap_or_else(PoisonError::into_inner).get(&node).cloned();
        let time = |claims: &Claims, name: &str| claims.get(name).and_then(serde_json::Value::as_i64).unwrap_or(0);
        let now = self.0.clock.now().seconds();
        match known {
            Some(claims) if (time(&claims, "exp") - now) * 3 >= time(&claims, "exp") - time(&claims, "iat") => Ok(claims),
            _ => self.renew_node_identity(node),
        }
    }

    /// Vouches for a node anew.
    ///
    /// # Errors
    /// 404 for an unknown node.
    pub fn renew_node_identity(&self, id: NodeId) -> Result<Claims, EndpointError> {
        let state = self.snapshot();
        let node = &state.node(id).ok_or_else(|| EndpointError::not_found("node not found"))?.node;
        let ttl = state.node_pool(&node.node_pool).and_then(|pool| u64::try_from(pool.node_identity_ttl_ns).ok()).filter(|ttl| *ttl > 0);
        let region = &self.0.config.region;
        let subject = format!("node:{region}:{}:{id}:default", node.node_pool);
        let mut claims = self.claims(&subject, ttl.map_or(NODE_TTL, Duration::from_nanos));
        let own = [
            ("nomad_node_id", id.to_string()),
            ("nomad_node_pool", node.node_pool.clone()),
            ("nomad_node_datacenter", node.datacenter.clone()),
            ("nomad_node_class", node.node_class.clone()),
        ];
        claims.extend(own.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value.into())));
        let mut identities = self.0.keyring.identities.lock().unwrap_or_else(PoisonError::into_inner);
        // Nodes that are gone are not vouched for any longer.
        identities.retain(|known, _| state.node(*known).is_some());
        identities.insert(id, claims.clone());
        Ok(claims)
    }

    /// A token with which a new client introduces itself: its name and pool, "" for any and for the default, and how long it is good.
    ///
    /// # Errors
    /// 400 for a duration that is none; 500 before there is a key.
    pub async fn introduction(&self, name: &str, pool: &str, ttl: &str) -> Result<String, EndpointError> {
        let asked = match ttl {
            "" => 0,
            text => parse_duration(text).map_err(|error| EndpointError::bad_request(format!("invalid TTL: {error}")))?,
        };
        self.first_key_made().await;
        let asked = u64::try_from(asked).ok().filter(|asked| *asked > 0);
        let ttl = asked.map_or(INTRODUCTION_TTL, Duration::from_nanos).min(INTRODUCTION_TTL_MAX);
        let pool = if pool.is_empty() { NODE_POOL_DEFAULT } else { pool };
        let region = &self.0.config.region;
        let mut claims = self.claims(&format!("node-introduction:{region}:{pool}:{name}:default"), ttl);
        claims.insert("nomad_node_pool".to_owned(), pool.into());
        if !name.is_empty() {
            claims.insert("nomad_node_name".to_owned(), name.into());
        }
        self.0.keyring.sign(&self.snapshot(), &claims).map_err(|error| EndpointError::internal(error.to_string()))
    }
}
