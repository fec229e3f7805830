//! Tables of access control, and what a token may do by them.

use std::sync::Arc;

use drover_model::acl::{ANONYMOUS, Access, PolicyRow, TokenType, Workload};
use drover_model::{AclRole, AclToken, AuthMethod, BindingRule, Index, OneTimeToken};
use imbl::OrdMap;

use crate::tables::{Snapshot, Table};

/// Everything about access control.
#[derive(Clone, Debug, Default)]
pub(crate) struct AclTables {
    /// The entry that made the first token; 0 while there is none.
    pub(crate) bootstrap_index: Index,
    pub(crate) policies: OrdMap<Arc<str>, Arc<PolicyRow>>,
    /// By accessor.
    pub(crate) tokens: OrdMap<Arc<str>, Arc<AclToken>>,
    /// Accessors by secret.
    pub(crate) secrets: OrdMap<Arc<str>, Arc<str>>,
    /// By id.
    pub(crate) roles: OrdMap<Arc<str>, Arc<AclRole>>,
    pub(crate) auth_methods: OrdMap<Arc<str>, Arc<AuthMethod>>,
    /// By id.
    pub(crate) binding_rules: OrdMap<Arc<str>, Arc<BindingRule>>,
    /// By secret.
    pub(crate) one_time_tokens: OrdMap<Arc<str>, Arc<OneTimeToken>>,
}

impl AclTables {
    pub(crate) fn put_policy(&mut self, row: Arc<PolicyRow>) {
        self.policies.insert(Arc::from(row.policy.name.as_str()), row);
    }

    pub(crate) fn put_token(&mut self, token: Arc<AclToken>) {
        let accessor: Arc<str> = Arc::from(token.accessor.as_str());
        if let Some(old) = self.tokens.get(&accessor) {
            self.secrets.remove(old.secret.as_str());
        }
        self.secrets.insert(Arc::from(token.secret.as_str()), Arc::clone(&accessor));
        self.tokens.insert(accessor, token);
    }

    pub(crate) fn remove_token(&mut self, accessor: &str) -> Option<Arc<AclToken>> {
        let old = self.tokens.remove(accessor)?;
        self.secrets.remove(old.secret.as_str());
        Some(old)
    }
}

impl Snapshot {
    /// The entry that made the first token; 0 while there is none.
    pub fn acl_bootstrap_index(&self) -> Index {
        self.acl.bootstrap_index
    }

    /// All policies by name.
    pub fn acl_policies(&self) -> impl DoubleEndedIterator<Item = &Arc<PolicyRow>> {
        self.acl.policies.iter().map(|(_, row)| row)
    }

    /// A policy.
    pub fn acl_policy(&self, name: &str) -> Option<&Arc<PolicyRow>> {
        self.acl.policies.get(name)
    }

    /// All tokens by accessor.
    pub fn acl_tokens(&self) -> impl DoubleEndedIterator<Item = &Arc<AclToken>> {
        self.acl.tokens.iter().map(|(_, token)| token)
    }

    /// A token by accessor.
    pub fn acl_token(&self, accessor: &str) -> Option<&Arc<AclToken>> {
        self.acl.tokens.get(accessor)
    }

    /// A token by its secret.
    pub fn acl_token_by_secret(&self, secret: &str) -> Option<&Arc<AclToken>> {
        self.acl.tokens.get(self.acl.secrets.get(secret)?)
    }

    /// All roles by id.
    pub fn acl_roles(&self) -> impl DoubleEndedIterator<Item = &Arc<AclRole>> {
        self.acl.roles.iter().map(|(_, role)| role)
    }

    /// A role by id.
    pub fn acl_role(&self, id: &str) -> Option<&Arc<AclRole>> {
        self.acl.roles.get(id)
    }

    /// A role by name.
    pub fn acl_role_by_name(&self, name: &str) -> Option<&Arc<AclRole>> {
        self.acl_roles().find(|role| role.name == name)
    }

    /// All auth methods by name.
    pub fn auth_methods(&self) -> impl DoubleEndedIterator<Item = &Arc<AuthMethod>> {
        self.acl.auth_methods.iter().map(|(_, method)| method)
    }

    /// An auth method.
    pub fn auth_method(&self, name: &str) -> Option<&Arc<AuthMethod>> {
        self.acl.auth_methods.get(name)
    }

    /// All binding rules by id.
    pub fn binding_rules(&self) -> impl DoubleEndedIterator<Item = &Arc<BindingRule>> {
        self.acl.binding_rules.iter().map(|(_, rule)| rule)
    }

    /// A binding rule by id.
    pub fn binding_rule(&self, id: &str) -> Option<&Arc<BindingRule>> {
        self.acl.binding_rules.get(id)
    }

    /// All one-time tokens by secret.
    pub fn one_time_tokens(&self) -> impl Iterator<Item = &Arc<OneTimeToken>> {
        self.acl.one_time_tokens.iter().map(|(_, token)| token)
    }

    /// A one-time token by its secret.
    pub fn one_time_token(&self, secret: &str) -> Option<&Arc<OneTimeToken>> {
        self.acl.one_time_tokens.get(secret)
    }

    /// The names of the policies that a token has, of its own and by its roles. What is gone by now is left out.
    pub fn policies_of(&self, token: &AclToken) -> Vec<&Arc<PolicyRow>> {
        let by_role = token.roles.iter().filter_map(|id| self.acl_role(id)).flat_map(|role| &role.policies);
        let mut names: Vec<&str> = token.policies.iter().chain(by_role).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter_map(|name| self.acl_policy(name)).collect()
    }

    /// What the holder of a token may do.
    pub fn rights_of(&self, token: &AclToken) -> Access {
        match token.kind {
            TokenType::Management => Access::management(),
            TokenType::Client => Access::of(self.policies_of(token).into_iter().map(|row| &row.rules)),
        }
    }

    /// The policies that are attached to a task (ACL-037).
    pub fn policies_of_workload(&self, workload: &Workload) -> Vec<&Arc<PolicyRow>> {
        self.acl_policies().filter(|row| row.policy.target.as_ref().is_some_and(|target| workload.has(target))).collect()
    }

    /// What a task with its own identity may do.
    pub fn rights_of_workload(&self, workload: Workload) -> Access {
        Access::of(self.policies_of_workload(&workload).into_iter().map(|row| &row.rules)).of_workload(workload)
    }

    /// What anybody may do.
    pub fn anonymous_rights(&self) -> Access {
        Access::of(self.acl_policy(ANONYMOUS).map(|row| &row.rules))
    }

    /// The last change of anything that rights follow from.
    pub fn rights_index(&self) -> Index {
        [Table::AclPolicies, Table::AclTokens, Table::AclRoles].into_iter().map(|table| self.table_index(table)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use drover_base::WallTime;
    use drover_macros::proves;
    use drover_model::acl::{AclNames, AclObjects, Capability};
    use drover_model::command::Change;
    use drover_model::{AclPolicy, Command};

    use super::*;
    use crate::persist::{SnapshotReader, write_snapshot};
    use crate::store::{ApplyError, Store};

    struct World(Store, u64);

    impl World {
        fn apply(&mut self, change: Change) -> Result<(), ApplyError> {
            self.1 += 1;
            self.0.apply(self.1, Command { time: WallTime(1), change }).result
        }
    }

    fn policy(name: &str, capability: &str) -> AclPolicy {
        let rules = format!("namespace \"default\" {{ capabilities = [\"{capability}\"] }}");
        AclPolicy { name: name.to_owned(), rules, ..AclPolicy::default() }
    }

    fn names(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    fn objects() -> AclObjects {
        let token =
            AclToken { accessor: "a".into(), secret: "s".into(), policies: names("list"), roles: names("r"), ..AclToken::default() };
        let role = AclRole { id: "r".into(), name: "readers".into(), policies: names("read"), ..AclRole::default() };
        let once = OneTimeToken { secret: "once".into(), accessor: "a".into(), ..OneTimeToken::default() };
        AclObjects { tokens: vec![token], roles: vec![role], one_time_tokens: vec![once], ..AclObjects::default() }
    }

    fn world() -> World {
        let mut world = World(Store::default(), 0);
        let policies = vec![policy("list", "list-jobs"), policy("read", "read-job")];
        world.apply(Change::UpsertAcl(Box::new(AclObjects { policies, ..AclObjects::default() }))).unwrap();
        world.apply(Change::UpsertAcl(Box::new(objects()))).unwrap();
        world
    }

    fn may(world: &World) -> [bool; 2] {
        let state = world.0.snapshot();
        let token = state.acl_token_by_secret("s").unwrap();
        let rights = state.rights_of(token);
        [Capability::ListJobs, Capability::ReadJob].map(|capability| rights.namespace("default", capability))
    }

    #[proves("ACL-022", "ACL-034")]
    #[test]
    fn deleting_a_role_or_policy_shrinks_tokens_at_once() {
        let mut world = world();
        assert_eq!(may(&world), [true, true]);
        let before = world.0.snapshot().rights_index();
        world.apply(Change::DeleteAcl(AclNames { policies: names("list"), ..AclNames::default() })).unwrap();
        assert_eq!(may(&world), [false, true]);
        assert!(world.0.snapshot().rights_index() > before);
        world.apply(Change::DeleteAcl(AclNames { roles: names("r"), ..AclNames::default() })).unwrap();
        assert_eq!(may(&world), [false, false]);
    }

    #[proves("ACL-003", "ACL-036")]
    #[test]
    fn what_must_be_unique_is_refused_in_the_log_too() {
        let mut world = world();
        let token = || AclToken { accessor: "root".into(), secret: "root".into(), kind: TokenType::Management, ..AclToken::default() };
        world.apply(Change::AclBootstrap { token: token(), reset: 0 }).unwrap();
        let done = world.0.snapshot().acl_bootstrap_index();
        assert!(world.apply(Change::AclBootstrap { token: token(), reset: 0 }).is_err());
        world.apply(Change::AclBootstrap { token: token(), reset: done }).unwrap();
        let roles = |role: AclRole| Change::UpsertAcl(Box::new(AclObjects { roles: vec![role], ..AclObjects::default() }));
        let twin = AclRole { id: "r2".into(), name: "readers".into(), policies: names("read"), ..AclRole::default() };
        assert!(world.apply(roles(twin)).is_err());
        let unknown = AclRole { id: "r3".into(), name: "x".into(), policies: names("none"), ..AclRole::default() };
        assert!(world.apply(roles(unknown)).is_err());
        let spent = || Change::DeleteAcl(AclNames { one_time_tokens: names("once"), ..AclNames::default() });
        world.apply(spent()).unwrap();
        assert!(world.apply(spent()).is_err());
    }

    #[test]
    fn everything_is_in_snapshots() {
        let world = world();
        let state = world.0.snapshot();
        let read = SnapshotReader::read(&write_snapshot(&state)).unwrap();
        assert_eq!(write_snapshot(&read), write_snapshot(&state));
        let token = read.acl_token_by_secret("s").unwrap();
        assert_eq!(read.rights_of(token), state.rights_of(token));
    }
}
