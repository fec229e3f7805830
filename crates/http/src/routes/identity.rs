//! Identities: the region's public keys, which others check them with, the region as a provider of them for OpenID Connect, those of
//! nodes, and the introductions of new ones.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use drover_api as api;
use drover_base::NodeId;
use drover_lang::duration::parse_duration;
use drover_model::variable::RootKeyState;
use drover_server::state::{Snapshot, Table};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::blocking::{At, blocking};
use crate::error::ApiError;
use crate::ids;
use crate::reply::{Meta, Reply};
use crate::request::Request;

/// Where the keys are.
const KEYS: &str = "/.well-known/jwks.json";
/// How long a root key is used where the configuration does not say.
const ROTATION: Duration = Duration::from_secs(720 * 60 * 60);
/// For how long the keys are good at least.
const AGE_MIN: Duration = Duration::from_secs(15 * 60);
/// The largest part of the age that is added at random, in parts of a hundred.
const JITTER_PERCENT: u64 = 10;

/// How long callers may keep the keys: half the time until the newest one is due to be replaced.
fn age(snapshot: &Snapshot, now: drover_base::WallTime, rotation: Duration, random: u64) -> Duration {
    let newest = snapshot.root_keys().filter(|key| key.state != RootKeyState::Deprecated).map(|key| key.create_time).max();
    let due = newest.map_or(Duration::ZERO, |made| (made + rotation).since(now));
    let half = due / 2;
    half.max(AGE_MIN) + half.mul_f64((random % (JITTER_PERCENT + 1)) as f64 / 100.0)
}

/// `GET /.well-known/jwks.json`.
pub async fn keys(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let options = request.read_options()?;
    let server = agent.server()?;
    let configured = agent.facts.config.server.as_ref().map(|server| server.root_key_rotation_threshold.as_str()).unwrap_or("");
    let rotation = parse_duration(configured).ok().and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0);
    let rotation = rotation.map_or(ROTATION, Duration::from_nanos);
    let found = blocking(&*agent, &request, &options, |snapshot: &Snapshot| {
        let keys: Vec<Value> = server
            .public_keys(snapshot)?
            .into_iter()
            .map(|key| {
                let (n, e) = (URL_SAFE_NO_PAD.encode(&key.modulus), URL_SAFE_NO_PAD.encode(&key.exponent));
                json!({ "use": "sig", "kty": "RSA", "kid": key.id, "alg": "RS256", "n": n, "e": e })
            })
            .collect();
        let age = age(snapshot, request.clock.now(), rotation, request.entropy.seed());
        Ok(At { index: snapshot.table_index(Table::RootKeys), value: (keys, age) })
    })
    .await?;
    let (keys, age) = found.value;
    let cached = HeaderValue::from_str(&format!("max-age={}", age.as_secs())).map_err(|error| ApiError::by_text(error.to_string()))?;
    Ok(Reply::json(&json!({ "keys": keys }))?.meta(&Meta::at(found.index)).header(CACHE_CONTROL, cached))
}

/// `GET /.well-known/openid-configuration`.
pub async fn discovery(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let issuer = agent.facts.config.server.as_ref().map(|server| server.oidc_issuer.as_str()).unwrap_or("");
    if issuer.is_empty() {
        return Err(ApiError::not_found("OIDC Discovery endpoint disabled"));
    }
    Reply::json(&json!({
        "issuer": issuer,
        "jwks_uri": format!("{}{KEYS}", issuer.trim_end_matches('/')),
        "id_token_signing_alg_values_supported": ["RS256", "EdDSA"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
    }))
}

/// The node that is meant, in the words of this route. The servers know the identities of all of them.
fn node(agent: &Agent, named: &str) -> Result<NodeId, ApiError> {
    match &agent.client {
        None if named.is_empty() => Err(ApiError::bad_request("no local Node and node_id not provided")),
        Some(client) if named.is_empty() => Ok(client.node_id()),
        _ => {
            let id = ids::full(named, "node")?;
            let known = agent.server()?.snapshot().node(id).is_some();
            if known { Ok(id) } else { Err(ApiError::by_text(format!("Unknown node {id}"))) }
        }
    }
}

/// `GET /v1/client/identity`.
pub async fn of_node(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    // Whether there is a node here is no secret.
    request.caller();
    let node = node(&agent, request.query.get("node_id"))?;
    request.permit("")?;
    let claims = agent.server()?.node_identity(node)?;
    Reply::json(&json!({ "Claims": claims }))
}

/// `PUT /v1/client/identity/renew`.
pub async fn renew(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    request.permit("")?;
    let body: api::NodeIdentityRenewRequest = request.json_optional().await?.unwrap_or_default();
    let named = if body.node_id.is_empty() { request.query.get("node_id").to_owned() } else { body.node_id };
    agent.server()?.renew_node_identity(node(&agent, &named)?)?;
    Reply::json(&json!({}))
}

/// `PUT /v1/acl/identity/client-introduction-token`.
pub async fn introduce(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let mut body: Value = request.json().await?;
    // Clients send durations as texts or as nanoseconds.
    if let Some(ttl) = body.get_mut("TTL")
        && ttl.is_number()
    {
        *ttl = json!(format!("{ttl}ns"));
    }
    let asked: api::ACLIdentityClientIntroductionTokenRequest =
        serde_json::from_value(body).map_err(|error| ApiError::bad_request(format!("decode the request body: {error}")))?;
    let jwt = agent.server()?.introduction(&asked.node_name, &asked.node_pool, &asked.ttl).await?;
    Reply::json(&api::ACLIdentityClientIntroductionTokenResponse { jwt })
}

#[cfg(test)]
mod tests {
    use drover_base::WallTime;
    use drover_macros::proves;
    use drover_model::Command;
    use drover_model::command::Change;
    use drover_model::variable::RootKey;
    use drover_server::state::Store;

    use super::*;

    #[proves("KEY-027")]
    #[test]
    fn keys_are_kept_for_half_the_time_that_they_have_left() {
        let mut store = Store::default();
        let hours = |count: u64| Duration::from_secs(count * 3600);
        let rotation = hours(720);
        assert_eq!(age(&store.snapshot(), WallTime(0), rotation, 0), AGE_MIN);
        let root = RootKey { id: "k".to_owned(), state: RootKeyState::Active, create_time: WallTime(0), ..RootKey::default() };
        let change = Change::UpsertRootKey(Box::new(root));
        store.apply(1, Command { time: WallTime(0), change }).result.unwrap();
        let age = |hour: u64, random| age(&store.snapshot(), WallTime(0) + hours(hour), rotation, random);
        assert_eq!(age(0, 0), hours(360));
        assert_eq!(age(0, 10), hours(396));
        assert!(age(0, 21) <= hours(396));
        assert_eq!(age(620, 0), hours(50));
        assert_eq!(age(900, 3), AGE_MIN);
    }
}
