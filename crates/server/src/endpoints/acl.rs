//! Access control: the first token, policies, tokens, roles, auth methods, binding rules and one-time tokens.

use drover_api as api;
use drover_base::WallTime;
use drover_base::time::go_duration;
use drover_lang::duration::parse_duration;
use drover_model::acl::{
    AclNames, AclObjects, AclPolicy, AclRole, AclToken, AuthMethod, AuthMethodType, BindingRule, OneTimeToken, PolicyTarget, TokenLocality,
    TokenType, parse_rules,
};
use drover_model::command::Change;
use drover_model::mirror::Carried;
use drover_state::Snapshot;

use crate::error::{EndpointError, NO_PATH};
use crate::server::Server;

/// The longest name of a token, in bytes.
const TOKEN_NAME_MAX: usize = 256;
/// The longest name of a policy or role, in letters.
const NAME_MAX: usize = 128;
/// The longest description, in bytes.
const DESCRIPTION_MAX: usize = 256;
/// How long a one-time token lasts.
const ONE_TIME_NS: i64 = 600_000_000_000;
/// How long an expired token is kept.
const EXPIRED_KEPT_NS: i64 = 3_600_000_000_000;
/// Tokens that one entry deletes.
const DELETED_AT_ONCE: usize = 4_096;
/// What is shown in place of a secret.
pub const REDACTED: &str = "redacted";
/// How tokens of an auth method are named unless it says so.
const TOKEN_NAME_FORMAT: &str = "${auth_method_type}-${auth_method_name}";

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn check(what: &str, problems: &[String]) -> Result<(), EndpointError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(EndpointError::bad_request(format!("{what} 0 invalid: {}", EndpointError::problems(problems).text)))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.parse::<drover_base::NodeId>().is_ok()
}

impl Server {
    fn new_uuid(&self) -> String {
        self.0.entropy.id::<drover_base::id::Allocation>().to_string()
    }

    /// Whether ACLs are on.
    pub fn acl_enabled(&self) -> bool {
        self.0.config.acl.enabled
    }

    /// The time by which tokens expire.
    pub fn wall_time(&self) -> WallTime {
        self.0.clock.now()
    }

    /// Makes the first token of the region, or another one if the operator has laid down the index of the last first one.
    ///
    /// # Errors
    /// 400 when there is one, or the secret is none.
    pub async fn acl_bootstrap(&self, secret: &str) -> Result<(AclToken, u64), EndpointError> {
        self.writes_for_all_regions()?;
        if !secret.is_empty() && !is_uuid(secret) {
            return Err(EndpointError::bad_request("invalid acl token"));
        }
        let done = self.snapshot().acl_bootstrap_index();
        let reset = &self.0.config.acl.reset;
        if done != 0 {
            let given = reset.as_ref().and_then(|file| file.read());
            let Some(given) = given else {
                return Err(EndpointError::bad_request(format!("ACL bootstrap already done (reset index: {done})")));
            };
            let given: u64 = given.trim().parse().unwrap_or(0);
            if given != done {
                let text = format!("Invalid bootstrap reset index (specified {given}, reset index: {done})");
                return Err(EndpointError::bad_request(text));
            }
        }
        let token = AclToken {
            accessor: self.new_uuid(),
            secret: if secret.is_empty() { self.new_uuid() } else { secret.to_owned() },
            name: "Bootstrap Token".to_owned(),
            kind: TokenType::Management,
            global: true,
            create_time: self.0.clock.now(),
            ..AclToken::default()
        };
        let accessor = token.accessor.clone();
        let wrong = |error: EndpointError| EndpointError::bad_request(error.text);
        let index = self.propose(Change::AclBootstrap { token, reset: done }).await.map_err(wrong)?;
        if let Some(file) = reset {
            file.remove();
        }
        self.written_token(&accessor, index)
    }

    fn written_token(&self, accessor: &str, index: u64) -> Result<(AclToken, u64), EndpointError> {
        let token = self.snapshot().acl_token(accessor).map(|token| token.as_ref().clone());
        token.map(|token| (token, index)).ok_or_else(|| EndpointError::not_found("ACL token not found"))
    }

    /// Refuses what another region writes for all: it was to be passed on there (ACL-004).
    pub(super) fn writes_for_all_regions(&self) -> Result<(), EndpointError> {
        match self.shared_region() {
            Some(region) if region != self.0.config.region => Err(EndpointError::internal(NO_PATH)),
            _ => Ok(()),
        }
    }

    async fn write_acl(&self, objects: AclObjects) -> Result<u64, EndpointError> {
        self.propose(Change::UpsertAcl(Box::new(objects))).await.map_err(|error| EndpointError::bad_request(error.text))
    }

    async fn delete_acl(&self, names: AclNames) -> Result<u64, EndpointError> {
        self.propose(Change::DeleteAcl(names)).await
    }

    /// Writes a policy.
    ///
    /// # Errors
    /// 400 with every problem.
    pub async fn upsert_acl_policy(&self, policy: api::ACLPolicy) -> Result<u64, EndpointError> {
        self.writes_for_all_regions()?;
        let mut problems = Vec::new();
        if !is_name(&policy.name) {
            problems.push(format!("invalid name '{}'", policy.name));
        }
        if let Err(found) = parse_rules(&policy.rules) {
            problems.extend(found.iter().map(|problem| format!("failed to parse rules: {problem}")));
        }
        if policy.description.len() > DESCRIPTION_MAX {
            problems.push(format!("description longer than {DESCRIPTION_MAX}"));
        }
        let target = policy.job_acl.map(|target| PolicyTarget {
            namespace: target.namespace,
            job: target.job_id,
            group: target.group,
            task: target.task,
        });
        if let Some(target) = &target {
            if target.namespace.is_empty() {
                problems.push("namespace must be set to set job ACL".to_owned());
            }
            if target.job.is_empty() && !target.group.is_empty() {
                problems.push("job ID must be set to set group".to_owned());
            }
            if target.group.is_empty() && !target.task.is_empty() {
                problems.push("group must be set to set task".to_owned());
            }
        }
        check("policy", &problems)?;
        let policy = AclPolicy { name: policy.name, description: policy.description, rules: policy.rules, target, ..AclPolicy::default() };
        self.write_acl(AclObjects { policies: vec![policy], ..AclObjects::default() }).await
    }

    /// Deletes a policy; one that is not there is no problem.
    ///
    /// # Errors
    /// When the change cannot be committed.
    pub async fn delete_acl_policy(&self, name: &str) -> Result<u64, EndpointError> {
        self.writes_for_all_regions()?;
        self.delete_acl(AclNames { policies: vec![name.to_owned()], ..AclNames::default() }).await
    }

    /// Writes a token; one without an accessor is new.
    ///
    /// # Errors
    /// 400 with every problem.
    pub async fn upsert_acl_token(&self, given: api::ACLToken) -> Result<(AclToken, u64), EndpointError> {
        if given.global {
            self.writes_for_all_regions()?;
        }
        let state = self.snapshot();
        let old = state.acl_token(&given.accessor_id);
        if old.is_none() && !given.accessor_id.is_empty() && given.secret_id.is_empty() {
            return Err(EndpointError::bad_request(format!("cannot find token {}", given.accessor_id)));
        }
        let now = self.0.clock.now();
        let mut problems = Vec::new();
        let ids = [("accessor", &given.accessor_id), ("secret", &given.secret_id)];
        for (what, id) in ids.into_iter().filter(|(_, id)| old.is_none() && !id.is_empty() && !is_uuid(id)) {
            problems.push(format!("invalid {what} id {id:?}: it must be a UUID"));
        }
        let (policies, links) = (given.policies.unwrap_or_default(), given.roles.unwrap_or_default());
        if given.name.len() > TOKEN_NAME_MAX {
            problems.push("token name too long".to_owned());
        }
        let kind = TokenType::parse(&given.r#type);
        match kind {
            None => problems.push("token type must be client or management".to_owned()),
            Some(TokenType::Client) if policies.is_empty() && links.is_empty() => {
                problems.push("client token missing policies or roles".to_owned());
            }
            Some(TokenType::Management) if !(policies.is_empty() && links.is_empty()) => {
                problems.push("management token cannot be associated with policies or roles".to_owned());
            }
            Some(_) => {}
        }
        if old.is_some_and(|old| old.global != given.global) {
            problems.push("cannot toggle global mode".to_owned());
        }
        let (ttl, expiration) = match old {
            Some(old) => {
                let asked = parse_duration(&given.expiration_ttl).unwrap_or(0);
                if asked != 0 && asked != old.expiration_ttl_ns {
                    problems.push("cannot update expiration TTL".to_owned());
                }
                (old.expiration_ttl_ns, old.expiration_time)
            }
            None => self.expiration(&given.expiration_ttl, given.expiration_time.as_deref(), now, &mut problems),
        };
        check("token", &problems)?;
        let roles = links.iter().map(|link| role_id(&state, link)).collect::<Result<Vec<_>, _>>()?;
        let fresh = |id: String| if id.is_empty() { self.new_uuid() } else { id };
        let token = AclToken {
            accessor: fresh(given.accessor_id),
            secret: old.map_or_else(|| fresh(given.secret_id), |old| old.secret.clone()),
            name: given.name,
            kind: kind.unwrap_or_default(),
            policies,
            roles,
            global: given.global,
            create_time: old.map_or(now, |old| old.create_time),
            expiration_time: expiration,
            expiration_ttl_ns: ttl,
            ..AclToken::default()
        };
        let accessor = token.accessor.clone();
        let index = self.write_acl(AclObjects { tokens: vec![token], ..AclObjects::default() }).await?;
        self.written_token(&accessor, index)
    }

    /// How long a new token lasts, by its time to live or its end.
    fn expiration(&self, ttl: &str, end: Option<&str>, now: WallTime, problems: &mut Vec<String>) -> (i64, WallTime) {
        let end = match end {
            None | Some("") => WallTime::default(),
            Some(text) => match WallTime::parse_rfc3339(text) {
                Some(end) => end,
                None => {
                    problems.push(format!("invalid expiration time {text:?}: it is a time such as 2026-01-02T15:04:05Z"));
                    WallTime::default()
                }
            },
        };
        let ttl = match ttl {
            "" => 0,
            text => parse_duration(text).unwrap_or_else(|error| {
                problems.push(format!("invalid expiration TTL: {error}"));
                0
            }),
        };
        if ttl < 0 {
            problems.push(format!("token expiration TTL {:?} should not be negative", go_duration(ttl)));
        }
        if ttl > 0 && !end.is_zero() {
            problems.push("token expiration time and expiration TTL cannot both be set".to_owned());
        }
        let end = if ttl > 0 { WallTime(now.0.saturating_add(ttl)) } else { end };
        if !end.is_zero() {
            let left = end.0.saturating_sub(now.0);
            let (min, max) = (self.0.config.acl.token_min_ttl_ns, self.0.config.acl.token_max_ttl_ns);
            if left < min {
                problems.push(format!(
                    "expiration time cannot be less than {} in the future (was {})",
                    go_duration(min),
                    go_duration(left)
                ));
            } else if left > max {
                problems.push(format!(
                    "expiration time cannot be more than {} in the future (was {})",
                    go_duration(max),
                    go_duration(left)
                ));
            }
        }
        (ttl, end)
    }

    /// Deletes tokens; all of them or none.
    ///
    /// # Errors
    /// 400 with those that are not there.
    pub async fn delete_acl_tokens(&self, accessors: Vec<String>) -> Result<u64, EndpointError> {
        let state = self.snapshot();
        let missing: Vec<&str> = accessors.iter().map(String::as_str).filter(|accessor| state.acl_token(accessor).is_none()).collect();
        if !missing.is_empty() {
            return Err(EndpointError::bad_request(format!("Cannot delete nonexistent tokens: {}", missing.join(", "))));
        }
        if accessors.iter().any(|accessor| state.acl_token(accessor).is_some_and(|token| token.global)) {
            self.writes_for_all_regions()?;
        }
        self.delete_acl(AclNames { tokens: accessors, ..AclNames::default() }).await
    }

    /// Writes a role; one without an id is new.
    ///
    /// # Errors
    /// 400 with every problem.
    pub async fn upsert_acl_role(&self, given: api::ACLRole) -> Result<(AclRole, u64), EndpointError> {
        self.writes_for_all_regions()?;
        let state = self.snapshot();
        let policies: Vec<String> = given.policies.unwrap_or_default().into_iter().map(|link| link.name).collect();
        let mut problems = Vec::new();
        if !is_name(&given.name) {
            problems.push(format!("invalid name '{}'", given.name));
        }
        if given.description.len() > DESCRIPTION_MAX {
            problems.push(format!("description longer than {DESCRIPTION_MAX}"));
        }
        if policies.is_empty() {
            problems.push("at least one policy should be specified".to_owned());
        }
        check("role", &problems)?;
        if !given.id.is_empty() && state.acl_role(&given.id).is_none() {
            return Err(EndpointError::bad_request(format!("cannot find role {}", given.id)));
        }
        let id = if given.id.is_empty() { self.new_uuid() } else { given.id };
        let mut unique: Vec<String> = Vec::new();
        for policy in policies {
            if !unique.contains(&policy) {
                unique.push(policy);
            }
        }
        let role = AclRole { id: id.clone(), name: given.name, description: given.description, policies: unique, ..AclRole::default() };
        let index = self.write_acl(AclObjects { roles: vec![role], ..AclObjects::default() }).await?;
        let role = self.snapshot().acl_role(&id).map(|role| role.as_ref().clone());
        role.map(|role| (role, index)).ok_or_else(|| EndpointError::not_found("ACL role not found"))
    }

    /// Deletes a role.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn delete_acl_role(&self, id: &str) -> Result<u64, EndpointError> {
        self.writes_for_all_regions()?;
        if self.snapshot().acl_role(id).is_none() {
            return Err(EndpointError::internal("ACL role not found"));
        }
        self.delete_acl(AclNames { roles: vec![id.to_owned()], ..AclNames::default() }).await
    }

    /// Writes an auth method; of one that exists, what is given replaces what was.
    ///
    /// # Errors
    /// 400 with every problem.
    pub async fn upsert_auth_method(&self, given: api::ACLAuthMethod) -> Result<(AuthMethod, u64), EndpointError> {
        self.writes_for_all_regions()?;
        let state = self.snapshot();
        let old = state.auth_method(&given.name);
        let or_old = |text: String, of_old: &dyn Fn(&AuthMethod) -> String| match old {
            Some(old) if text.is_empty() => of_old(old),
            _ => text,
        };
        let locality = or_old(given.token_locality, &|old| old.locality.text().to_owned());
        let kind = or_old(given.r#type, &|old| old.kind.text().to_owned());
        let format = or_old(given.token_name_format, &|old| old.token_name_format.clone());
        let ttl = or_old(given.max_token_ttl, &|old| go_duration(old.max_token_ttl_ns));
        let mut config = given.config.or_else(|| old.map(|old| old.config.0.clone()));
        // Whoever sends back what they were shown does not mean to change the secret to that.
        if let (Some(config), Some(old)) = (&mut config, old)
            && config.oidc_client_secret == REDACTED
        {
            config.oidc_client_secret.clone_from(&old.config.0.oidc_client_secret);
        }
        let mut problems = Vec::new();
        if !is_name(&given.name) {
            problems.push(format!("invalid name '{}'", given.name));
        }
        if TokenLocality::parse(&locality).is_none() {
            problems.push(format!("invalid token locality '{locality}'"));
        }
        if AuthMethodType::parse(&kind).is_none() {
            problems.push(format!("invalid token type '{kind}'"));
        }
        match &config {
            None => problems.push("invalid config: missing auth method Config".to_owned()),
            Some(config) => problems.extend(config_problem(&kind, config)),
        }
        let ttl_ns = if ttl.is_empty() { 0 } else { parse_duration(&ttl).unwrap_or(-1) };
        let (min, max) = (self.0.config.acl.token_min_ttl_ns, self.0.config.acl.token_max_ttl_ns);
        if !(min..=max).contains(&ttl_ns) {
            problems.push(format!(
                "invalid MaxTokenTTL value '{}' (should be between {} and {})",
                if ttl_ns < 0 { ttl } else { go_duration(ttl_ns) },
                go_duration(min),
                go_duration(max)
            ));
        }
        check("auth method", &problems)?;
        let now = self.0.clock.now();
        let method = AuthMethod {
            name: given.name.clone(),
            kind: AuthMethodType::parse(&kind).unwrap_or_default(),
            locality: TokenLocality::parse(&locality).unwrap_or_default(),
            token_name_format: if format.is_empty() { TOKEN_NAME_FORMAT.to_owned() } else { format },
            max_token_ttl_ns: ttl_ns,
            default: given.default,
            config: Carried(config.unwrap_or_default()),
            create_time: old.map_or(now, |old| old.create_time),
            modify_time: now,
            create_index: 0,
            modify_index: 0,
        };
        let index = self.write_acl(AclObjects { auth_methods: vec![method], ..AclObjects::default() }).await?;
        let method = self.snapshot().auth_method(&given.name).map(|method| method.as_ref().clone());
        method.map(|method| (method, index)).ok_or_else(|| EndpointError::not_found("ACL auth-method not found"))
    }

    /// Deletes an auth method.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn delete_auth_method(&self, name: &str) -> Result<u64, EndpointError> {
        self.writes_for_all_regions()?;
        if self.snapshot().auth_method(name).is_none() {
            return Err(EndpointError::internal("ACL auth method not found"));
        }
        self.delete_acl(AclNames { auth_methods: vec![name.to_owned()], ..AclNames::default() }).await
    }

    /// Writes a binding rule; one without an id is new, and of one that exists, what is given replaces what was.
    ///
    /// # Errors
    /// 400 with every problem.
    pub async fn upsert_binding_rule(&self, given: api::ACLBindingRule) -> Result<(BindingRule, u64), EndpointError> {
        self.writes_for_all_regions()?;
        let state = self.snapshot();
        let old = state.binding_rule(&given.id);
        if old.is_none() && !given.id.is_empty() {
            return Err(EndpointError::bad_request(format!("cannot find binding rule {}", given.id)));
        }
        let or_old = |text: String, of_old: &dyn Fn(&BindingRule) -> String| match old {
            Some(old) if text.is_empty() => of_old(old),
            _ => text,
        };
        let now = self.0.clock.now();
        let rule = BindingRule {
            id: if given.id.is_empty() { self.new_uuid() } else { given.id },
            description: given.description,
            auth_method: or_old(given.auth_method, &|old| old.auth_method.clone()),
            selector: given.selector,
            bind_type: or_old(given.bind_type, &|old| old.bind_type.clone()),
            bind_name: or_old(given.bind_name, &|old| old.bind_name.clone()),
            create_time: old.map_or(now, |old| old.create_time),
            modify_time: now,
            ..BindingRule::default()
        };
        let mut problems = Vec::new();
        if rule.auth_method.is_empty() {
            problems.push("auth method is missing".to_owned());
        }
        match rule.bind_type.as_str() {
            "" => problems.push("bind type is missing".to_owned()),
            "role" | "policy" if rule.bind_name.is_empty() => problems.push("bind name is missing".to_owned()),
            "management" if !rule.bind_name.is_empty() => problems.push("bind name should be empty".to_owned()),
            "role" | "policy" | "management" => {}
            other => problems.push(format!("unsupported bind type: {other:?}")),
        }
        if !rule.selector.is_empty()
            && let Err(error) = drover_lang::filter::Filter::parse(&rule.selector)
        {
            problems.push(format!("selector is invalid: {error}"));
        }
        if rule.description.len() > DESCRIPTION_MAX {
            problems.push(format!("description longer than {DESCRIPTION_MAX}"));
        }
        check("binding rule", &problems)?;
        let id = rule.id.clone();
        let index = self.write_acl(AclObjects { binding_rules: vec![rule], ..AclObjects::default() }).await?;
        let rule = self.snapshot().binding_rule(&id).map(|rule| rule.as_ref().clone());
        rule.map(|rule| (rule, index)).ok_or_else(|| EndpointError::not_found("ACL binding rule not found"))
    }

    /// Deletes a binding rule.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn delete_binding_rule(&self, id: &str) -> Result<u64, EndpointError> {
        self.writes_for_all_regions()?;
        if self.snapshot().binding_rule(id).is_none() {
            return Err(EndpointError::internal("ACL binding rule not found"));
        }
        self.delete_acl(AclNames { binding_rules: vec![id.to_owned()], ..AclNames::default() }).await
    }

    /// Makes a secret that is exchanged for a token once.
    ///
    /// # Errors
    /// When the change cannot be committed.
    pub async fn make_one_time_token(&self, accessor: &str) -> Result<(OneTimeToken, u64), EndpointError> {
        let secret = self.new_uuid();
        let expires = WallTime(self.0.clock.now().0.saturating_add(ONE_TIME_NS));
        let token = OneTimeToken { secret: secret.clone(), accessor: accessor.to_owned(), expires, ..OneTimeToken::default() };
        let index = self.write_acl(AclObjects { one_time_tokens: vec![token], ..AclObjects::default() }).await?;
        let token = self.snapshot().one_time_token(&secret).map(|token| token.as_ref().clone());
        token.map(|token| (token, index)).ok_or_else(|| EndpointError::not_found("one-time token not found"))
    }

    /// The token that a one-time secret stands for; the secret is spent.
    ///
    /// # Errors
    /// 403 when it is unknown, spent or too old.
    pub async fn exchange_one_time_token(&self, secret: &str) -> Result<(AclToken, u64), EndpointError> {
        let denied = || EndpointError { status: 403, text: "Permission denied".to_owned() };
        let state = self.snapshot();
        let now = self.0.clock.now();
        let one_time = state.one_time_token(secret).filter(|token| token.expires > now).ok_or_else(denied)?;
        let token = state.acl_token(&one_time.accessor).filter(|token| !token.expired(now)).cloned().ok_or_else(denied)?;
        let spent = AclNames { one_time_tokens: vec![secret.to_owned()], ..AclNames::default() };
        let index = self.delete_acl(spent).await.map_err(|_| denied())?;
        Ok((token.as_ref().clone(), index))
    }

    /// Deletes tokens that have expired long ago, and one-time tokens that nobody used.
    pub(crate) async fn collect_tokens(&self) -> Result<(), EndpointError> {
        let (state, now) = (self.snapshot(), self.0.clock.now());
        // Copies go when their originals do.
        let own = |token: &&std::sync::Arc<AclToken>| !token.global || self.writes_for_all_regions().is_ok();
        let old = state.acl_tokens().filter(own).filter(|token| token.expired(WallTime(now.0.saturating_sub(EXPIRED_KEPT_NS))));
        let tokens: Vec<String> = old.map(|token| token.accessor.clone()).take(DELETED_AT_ONCE).collect();
        let spent = state.one_time_tokens().filter(|token| token.expires <= now);
        let one_time_tokens: Vec<String> = spent.map(|token| token.secret.clone()).take(DELETED_AT_ONCE).collect();
        if tokens.is_empty() && one_time_tokens.is_empty() {
            return Ok(());
        }
        self.delete_acl(AclNames { tokens, one_time_tokens, ..AclNames::default() }).await.map(|_| ())
    }
}

/// The role that a link names, by id or by name.
fn role_id(state: &Snapshot, link: &api::ACLTokenRoleLink) -> Result<String, EndpointError> {
    let found = if link.id.is_empty() { state.acl_role_by_name(&link.name) } else { state.acl_role(&link.id) };
    let shown = if link.id.is_empty() { &link.name } else { &link.id };
    found.map(|role| role.id.clone()).ok_or_else(|| EndpointError::bad_request(format!("cannot find role {shown}")))
}

/// What keeps an auth method from knowing anybody.
fn config_problem(kind: &str, config: &api::ACLAuthMethodConfig) -> Option<String> {
    match AuthMethodType::parse(kind)? {
        AuthMethodType::Jwt => {
            let keys = config.jwt_validation_pub_keys.as_ref().is_some_and(|keys| !keys.is_empty());
            let known = keys || !config.jwks_url.is_empty() || !config.oidc_discovery_url.is_empty();
            (!known).then(|| {
                "invalid config: JWT auth method requires either OIDCDiscoveryURL, or JWKS URL, or JWTValidationPubKeys set".to_owned()
            })
        }
        AuthMethodType::Oidc => {
            let missing: Vec<&str> =
                [("OIDCDiscoveryURL", config.oidc_discovery_url.is_empty()), ("OIDCClientID", config.oidc_client_id.is_empty())]
                    .into_iter()
                    .filter_map(|(name, missing)| missing.then_some(name))
                    .collect();
            (!missing.is_empty()).then(|| format!("invalid config: missing {}", missing.join(", ")))
        }
    }
}
