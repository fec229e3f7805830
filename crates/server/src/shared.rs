//! What all regions share: policies, roles, global tokens, auth methods, binding rules, namespaces and node pools. One region writes
//! it; the leader of every other one keeps copies in its own log, secrets and times as they are.
//!
//! `difference` says what a region has to write so that it has what was told: pure, and the same whatever was missed before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drover_model::acl::{AclNames, AclObjects, AclPolicy, AclRole, AclToken, AuthMethod, BindingRule, TokenType};
use drover_model::command::Change;
use drover_model::{NAMESPACE_DEFAULT, NODE_POOL_ALL, Namespace, NodePool};
pub use drover_rpc::Shared;
use drover_rpc::{Reason, Refusal};
use drover_state::{Snapshot, Table};
use futures::future::select_all;

use crate::concern::Concern;
use crate::error::EndpointError;
use crate::server::Server;

/// Bytes of one part, and of one entry of the log, unless a single object is larger.
const PART_MAX: usize = 256 << 10;
/// Names that one entry deletes.
const NAMES_MAX: usize = 2_000;
/// The longest that somebody who asks for changes waits.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// The tables that are shared, those that refer to each other together.
const GROUPS: [&[Table]; 5] = [
    &[Table::AclPolicies, Table::AclRoles],
    &[Table::AclTokens],
    &[Table::AuthMethods, Table::BindingRules],
    &[Table::Namespaces],
    &[Table::NodePools],
];

fn changed_at(state: &Snapshot, tables: &[Table]) -> u64 {
    tables.iter().map(|table| state.table_index(*table)).max().unwrap_or(0)
}

/// An object that is the same in all regions but for when it was written there.
trait Common: Clone + PartialEq + minicbor::Encode<()> {
    fn key(&self) -> &str;
    fn with_indexes_of(&mut self, other: &Self);

    /// Whether only the indexes are different.
    fn is_copy_of(&self, other: &Self) -> bool {
        let mut copy = other.clone();
        copy.with_indexes_of(self);
        copy == *self
    }
}

macro_rules! common {
    ($($type:ty, $key:ident;)+) => {$(
        impl Common for $type {
            fn key(&self) -> &str {
                &self.$key
            }

            fn with_indexes_of(&mut self, other: &Self) {
                (self.create_index, self.modify_index) = (other.create_index, other.modify_index);
            }
        }
    )+};
}

common! {
    AclPolicy, name;
    AclRole, id;
    AclToken, accessor;
    AuthMethod, name;
    BindingRule, id;
    Namespace, name;
    NodePool, name;
}

/// How many bytes an object takes.
fn encoded<T: minicbor::Encode<()>>(object: &T) -> usize {
    minicbor::to_vec(object).map_or(0, |bytes| bytes.len())
}

/// Objects in groups of a bounded size, in their order.
fn grouped<T: minicbor::Encode<()>>(objects: Vec<T>) -> Vec<Vec<T>> {
    let (mut groups, mut room) = (Vec::<Vec<T>>::new(), 0);
    for object in objects {
        let size = encoded(&object);
        match groups.last_mut() {
            Some(group) if size <= room => {
                room -= size;
                group.push(object);
            }
            _ => {
                room = PART_MAX.saturating_sub(size);
                groups.push(vec![object]);
            }
        }
    }
    groups
}

/// What is to be written, and what to be deleted, of a kind.
fn compare<'a, T: Common + 'a>(own: impl Iterator<Item = &'a T>, told: &[T]) -> (Vec<T>, Vec<String>) {
    let mut gone: BTreeMap<&str, &T> = own.map(|object| (object.key(), object)).collect();
    let new = told.iter().filter(|object| gone.remove(object.key()).is_none_or(|old| !old.is_copy_of(object)));
    let new = new.cloned().collect();
    (new, gone.into_keys().map(str::to_owned).collect())
}

/// What a region has to write.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// In this order.
    pub(crate) changes: Vec<Change>,
    /// What is gone elsewhere but in use here, and stays until it is not any more; for people.
    pub(crate) kept: Vec<String>,
}

/// What a region has to write so that it has what was told. What is its own (local tokens, what is built in) is left alone, and
/// what refers to nothing is left out, as it has no effect.
pub(crate) fn difference(own: &Snapshot, told: &Shared) -> Difference {
    let (mut names, mut kept) = (AclNames::default(), Vec::new());
    let mut upserts: Vec<AclObjects> = Vec::new();
    let some = AclObjects::default;

    if let Some(told) = &told.policies {
        let (new, gone) = compare(own.acl_policies().map(|row| &row.policy), told);
        upserts.extend(grouped(new).into_iter().map(|policies| AclObjects { policies, ..some() }));
        names.policies = gone;
    }
    if let Some(roles) = &told.roles {
        let known: BTreeSet<&str> = match &told.policies {
            Some(policies) => policies.iter().map(|policy| policy.name.as_str()).collect(),
            None => own.acl_policies().map(|row| row.policy.name.as_str()).collect(),
        };
        let mut roles = roles.clone();
        roles.iter_mut().for_each(|role| role.policies.retain(|policy| known.contains(policy.as_str())));
        let (new, mut gone) = compare(own.acl_roles().map(AsRef::as_ref), &roles);
        // Names change hands: whoever had it makes way, and is written again.
        for role in &new {
            let holder = own.acl_role_by_name(&role.name).filter(|holder| holder.id != role.id && !gone.contains(&holder.id));
            gone.extend(holder.map(|holder| holder.id.clone()));
        }
        upserts.extend(grouped(new).into_iter().map(|roles| AclObjects { roles, ..some() }));
        names.roles = gone;
    }
    if let Some(told) = &told.auth_methods {
        let (new, gone) = compare(own.auth_methods().map(AsRef::as_ref), told);
        // There is one default at most, so the old one stops being it first.
        let (default, others): (Vec<_>, Vec<_>) = new.into_iter().partition(|method| method.default);
        let methods = grouped(others).into_iter().chain(grouped(default));
        upserts.extend(methods.map(|auth_methods| AclObjects { auth_methods, ..some() }));
        names.auth_methods = gone;
    }
    if let Some(rules) = &told.binding_rules {
        let known: BTreeSet<&str> = match &told.auth_methods {
            Some(methods) => methods.iter().map(|method| method.name.as_str()).collect(),
            None => own.auth_methods().map(|method| method.name.as_str()).collect(),
        };
        let rules: Vec<BindingRule> = rules.iter().filter(|rule| known.contains(rule.auth_method.as_str())).cloned().collect();
        let (new, gone) = compare(own.binding_rules().map(AsRef::as_ref), &rules);
        upserts.extend(grouped(new).into_iter().map(|binding_rules| AclObjects { binding_rules, ..some() }));
        names.binding_rules = gone;
    }
    if let Some(told) = &told.tokens {
        // A token of this region alone is not taken over by one that came to be called the same.
        let taken = |token: &AclToken| {
            let local = |found: &AclToken| !found.global;
            own.acl_token(&token.accessor).is_some_and(|found| local(found))
                || own.acl_token_by_secret(&token.secret).is_some_and(|found| local(found))
        };
        let (clash, told): (Vec<&AclToken>, Vec<&AclToken>) = told.iter().filter(|token| token.global).partition(|token| taken(token));
        kept.extend(
            clash.iter().map(|token| format!("the local token that has the accessor or secret of the global token {}", token.accessor)),
        );
        let told: Vec<AclToken> = told.into_iter().cloned().collect();
        let (new, gone) = compare(own.acl_tokens().filter(|token| token.global).map(AsRef::as_ref), &told);
        upserts.extend(grouped(new).into_iter().map(|tokens| AclObjects { tokens, ..some() }));
        names.tokens = gone;
    }
    let mut changes: Vec<Change> = deletions(names).into_iter().map(Change::DeleteAcl).collect();
    changes.extend(upserts.into_iter().map(|objects| Change::UpsertAcl(Box::new(objects))));

    if let Some(told) = &told.namespaces {
        let (new, mut gone) = compare(own.namespaces().map(AsRef::as_ref), told);
        gone.retain(|name| name != NAMESPACE_DEFAULT);
        let used = |name: &String| {
            let used = own.namespace_use(name);
            used.jobs || used.allocs
        };
        let (used, gone): (Vec<String>, Vec<String>) = gone.into_iter().partition(used);
        kept.extend(used.iter().map(|name| format!("namespace {name}, in which jobs run")));
        changes.extend(grouped(new).into_iter().map(Change::UpsertNamespaces));
        changes.extend(gone.chunks(NAMES_MAX).map(|names| Change::DeleteNamespaces(names.to_vec())));
    }
    if let Some(told) = &told.node_pools {
        let told: Vec<NodePool> = told.iter().filter(|pool| !pool.is_built_in()).cloned().collect();
        let (new, gone) = compare(own.node_pools().map(AsRef::as_ref).filter(|pool| !pool.is_built_in()), &told);
        let used = |name: &String| {
            own.nodes().any(|(_, row)| row.node.node_pool == *name)
                || own.jobs().any(|row| !row.job().stop && row.job().node_pool == *name && name != NODE_POOL_ALL)
        };
        // Nodes make pools where they register, so one that stays is nothing that anybody has to look after.
        let gone: Vec<String> = gone.into_iter().filter(|name| !used(name)).collect();
        changes.extend(grouped(new).into_iter().map(Change::UpsertNodePools));
        changes.extend(gone.chunks(NAMES_MAX).map(|names| Change::DeleteNodePools(names.to_vec())));
    }
    Difference { changes, kept }
}

/// What is deleted in access control, in entries of a bounded size: whoever had rights by it loses them first.
fn deletions(names: AclNames) -> Vec<AclNames> {
    let AclNames { policies, tokens, roles, auth_methods, binding_rules, one_time_tokens: _ } = names;
    let none = AclNames::default;
    let mut out = Vec::new();
    out.extend(tokens.chunks(NAMES_MAX).map(|names| AclNames { tokens: names.to_vec(), ..none() }));
    out.extend(roles.chunks(NAMES_MAX).map(|names| AclNames { roles: names.to_vec(), ..none() }));
    out.extend(policies.chunks(NAMES_MAX).map(|names| AclNames { policies: names.to_vec(), ..none() }));
    out.extend(binding_rules.chunks(NAMES_MAX).map(|names| AclNames { binding_rules: names.to_vec(), ..none() }));
    out.extend(auth_methods.chunks(NAMES_MAX).map(|names| AclNames { auth_methods: names.to_vec(), ..none() }));
    out
}

/// What is newer than `since`, in parts; one part that says nothing if nothing is. What is not known here counts as nothing.
fn told(state: &Snapshot, since: u64) -> Vec<Shared> {
    let since = if since > state.index() { 0 } else { since };
    let index = GROUPS.iter().map(|tables| changed_at(state, tables)).max().unwrap_or(0);
    let none = || Shared { index, ..Shared::default() };
    let mut parts = vec![none()];
    let newer = |tables: &[Table]| changed_at(state, tables) > since;
    let [rights, tokens, logins, namespaces, pools] = GROUPS;
    if newer(rights) {
        parts.push(Shared { policies: Some(Vec::new()), roles: Some(Vec::new()), ..none() });
        let policies = grouped(state.acl_policies().map(|row| row.policy.clone()).collect());
        parts.extend(policies.into_iter().map(|policies| Shared { policies: Some(policies), ..none() }));
        let roles = grouped(state.acl_roles().map(|role| role.as_ref().clone()).collect());
        parts.extend(roles.into_iter().map(|roles| Shared { roles: Some(roles), ..none() }));
    }
    if newer(tokens) {
        parts.push(Shared { tokens: Some(Vec::new()), ..none() });
        let tokens = grouped(state.acl_tokens().filter(|token| token.global).map(|token| token.as_ref().clone()).collect());
        parts.extend(tokens.into_iter().map(|tokens| Shared { tokens: Some(tokens), ..none() }));
    }
    if newer(logins) {
        parts.push(Shared { auth_methods: Some(Vec::new()), binding_rules: Some(Vec::new()), ..none() });
        let methods = grouped(state.auth_methods().map(|method| method.as_ref().clone()).collect());
        parts.extend(methods.into_iter().map(|methods| Shared { auth_methods: Some(methods), ..none() }));
        let rules = grouped(state.binding_rules().map(|rule| rule.as_ref().clone()).collect());
        parts.extend(rules.into_iter().map(|rules| Shared { binding_rules: Some(rules), ..none() }));
    }
    if newer(namespaces) {
        parts.push(Shared { namespaces: Some(Vec::new()), ..none() });
        let namespaces = grouped(state.namespaces().map(|namespace| namespace.as_ref().clone()).collect());
        parts.extend(namespaces.into_iter().map(|namespaces| Shared { namespaces: Some(namespaces), ..none() }));
    }
    if newer(pools) {
        parts.push(Shared { node_pools: Some(Vec::new()), ..none() });
        let pools = grouped(state.node_pools().map(|pool| pool.as_ref().clone()).collect());
        parts.extend(pools.into_iter().map(|pools| Shared { node_pools: Some(pools), ..none() }));
    }
    parts
}

impl Server {
    /// Whether whoever shows a secret may have what all regions share.
    fn may_copy(&self, secret: &str) -> Result<(), Refusal> {
        let refuse = |text: String| Err(Refusal::new(Reason::Refused, text));
        if !self.acl_enabled() {
            return refuse(format!("ACLs are off in region {}: it shares nothing", self.0.config.region));
        }
        if self.shared_region() != Some(self.0.config.region.as_str()) {
            return refuse(format!("region {} is not the authoritative one", self.0.config.region));
        }
        let state = self.snapshot();
        match state.acl_token_by_secret(secret) {
            Some(token) if token.kind == TokenType::Management && !token.expired(self.wall_time()) => Ok(()),
            _ => refuse("acl.replication_token is not a management token of the authoritative region".to_owned()),
        }
    }

    /// What all regions share, once it is newer than `since` or `wait` is over.
    pub(crate) async fn shared(&self, secret: &str, since: u64, wait: Duration) -> Result<Vec<Shared>, Refusal> {
        self.may_copy(secret)?;
        let newer = |state: &Snapshot| since > state.index() || GROUPS.iter().any(|tables| changed_at(state, tables) > since);
        let changed = async {
            let concerns: Vec<Concern> = GROUPS.iter().flat_map(|tables| tables.iter().map(|table| Concern::Table(*table))).collect();
            while !newer(&self.snapshot()) {
                let index = self.snapshot().index();
                select_all(concerns.iter().map(|concern| Box::pin(self.changed_in(index, concern)))).await;
            }
        };
        // That the time is over is told by a part that says nothing.
        let _ = self.0.clock.timeout(wait.min(WAIT_MAX), changed).await;
        // The token may have gone meanwhile.
        self.may_copy(secret)?;
        Ok(told(&self.snapshot(), since))
    }

    /// Writes what another region has told that all share. Returns how many entries it took, and what stays although it is gone
    /// there, because it is in use here.
    ///
    /// # Errors
    /// When an entry is refused; the others are written.
    pub async fn take_over(&self, told: &Shared) -> Result<(usize, Vec<String>), EndpointError> {
        let Difference { changes, kept } = difference(&self.snapshot(), told);
        let (mut written, mut refused) = (0, None);
        for change in changes {
            match self.propose(change).await {
                Ok(_) => written += 1,
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            None => Ok((written, kept)),
            Some(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
