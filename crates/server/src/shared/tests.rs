//! Two states, what the one is told of the other, and what it writes then.

use drover_base::WallTime;
use drover_model::Command;
use drover_model::acl::{AuthMethodType, TokenLocality};
use drover_state::Store;

use super::*;

/// A region's state, and how it came to be.
struct Farm {
    store: Store,
    index: u64,
}

impl Farm {
    fn new() -> Self {
        Self { store: Store::default(), index: 1 }
    }

    fn write(&mut self, change: Change) {
        self.index += 1;
        let command = Command { time: WallTime(1_000_000_000), change };
        self.store.apply(self.index, command).result.unwrap();
    }

    fn acl(&mut self, objects: AclObjects) {
        self.write(Change::UpsertAcl(Box::new(objects)));
    }

    fn drop_acl(&mut self, names: AclNames) {
        self.write(Change::DeleteAcl(names));
    }

    fn state(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// What another region is told, as it gets it.
    fn tells(&self, since: u64) -> Shared {
        let mut whole = Shared::default();
        for part in told(&self.state(), since) {
            let bytes = minicbor::to_vec(&part).unwrap();
            whole.absorb(minicbor::decode(&bytes).unwrap());
        }
        whole
    }

    /// Takes over what another region tells; returns how many entries it took.
    fn take(&mut self, told: &Shared) -> usize {
        let changes = difference(&self.state(), told).changes;
        let count = changes.len();
        changes.into_iter().for_each(|change| self.write(change));
        count
    }

    fn tokens(&self) -> Vec<String> {
        self.state().acl_tokens().map(|token| token.accessor.clone()).collect()
    }
}

fn policy(name: &str) -> AclPolicy {
    AclPolicy { name: name.to_owned(), rules: "node { policy = \"read\" }".to_owned(), ..AclPolicy::default() }
}

fn token(accessor: &str, global: bool) -> AclToken {
    AclToken {
        accessor: accessor.to_owned(),
        secret: format!("secret of {accessor}"),
        policies: vec!["readers".to_owned()],
        global,
        create_time: WallTime(7),
        expiration_time: WallTime(9),
        ..AclToken::default()
    }
}

fn role(id: &str, name: &str, policies: &[&str]) -> AclRole {
    let policies = policies.iter().map(|policy| (*policy).to_owned()).collect();
    AclRole { id: id.to_owned(), name: name.to_owned(), policies, ..AclRole::default() }
}

fn method(name: &str, default: bool) -> AuthMethod {
    AuthMethod {
        name: name.to_owned(),
        kind: AuthMethodType::Oidc,
        locality: TokenLocality::Global,
        token_name_format: String::new(),
        max_token_ttl_ns: 1,
        default,
        config: drover_model::mirror::Carried(drover_api::ACLAuthMethodConfig {
            oidc_client_secret: "hush".to_owned(),
            ..drover_api::ACLAuthMethodConfig::default()
        }),
        create_time: WallTime(3),
        modify_time: WallTime(4),
        create_index: 0,
        modify_index: 0,
    }
}

fn rule(id: &str, method: &str) -> BindingRule {
    BindingRule { id: id.to_owned(), auth_method: method.to_owned(), bind_type: "management".to_owned(), ..BindingRule::default() }
}

/// A region with one of each kind.
fn filled() -> Farm {
    let mut farm = Farm::new();
    farm.acl(AclObjects { policies: vec![policy("readers")], ..AclObjects::default() });
    farm.acl(AclObjects {
        tokens: vec![token("a", true), token("own", false)],
        roles: vec![role("r", "role", &["readers"])],
        auth_methods: vec![method("m", true)],
        binding_rules: vec![rule("b", "m")],
        ..AclObjects::default()
    });
    farm.write(Change::UpsertNamespaces(vec![Namespace { name: "barn".to_owned(), ..Namespace::default() }]));
    farm.write(Change::UpsertNodePools(vec![NodePool { name: "big".to_owned(), ..NodePool::default() }]));
    farm
}

#[test]
fn copies_are_the_same_but_for_their_indexes_and_nothing_is_written_twice() {
    let one = filled();
    let mut two = Farm::new();
    two.acl(AclObjects { tokens: vec![token("local", false)], ..AclObjects::default() });
    assert!(two.take(&one.tells(0)) > 0);
    let (one_has, two_has) = (one.state(), two.state());
    for (original, copy) in one_has.acl_policies().zip(two_has.acl_policies()) {
        assert!(original.policy.is_copy_of(&copy.policy));
    }
    assert!(one_has.acl_role("r").unwrap().is_copy_of(two_has.acl_role("r").unwrap()));
    assert!(one_has.auth_method("m").unwrap().is_copy_of(two_has.auth_method("m").unwrap()));
    assert!(one_has.binding_rule("b").unwrap().is_copy_of(two_has.binding_rule("b").unwrap()));
    assert!(one_has.namespace("barn").unwrap().is_copy_of(two_has.namespace("barn").unwrap()));
    assert!(one_has.node_pool("big").unwrap().is_copy_of(two_has.node_pool("big").unwrap()));
    let copy = two_has.acl_token("a").unwrap();
    assert_eq!((copy.secret.as_str(), copy.create_time, copy.expiration_time), ("secret of a", WallTime(7), WallTime(9)));
    assert_eq!(two.tokens(), ["a", "local"], "each keeps its own and no more");
    assert_eq!(two.take(&one.tells(0)), 0);
    // Of a kind that has not changed nothing is told, and what is not told is left alone.
    let mut one = one;
    let since = one.tells(0).index;
    assert_eq!(one.tells(since), Shared { index: since, ..Shared::default() });
    one.acl(AclObjects { tokens: vec![token("later", true)], ..AclObjects::default() });
    let news = one.tells(since);
    assert!(news.tokens.is_some() && news.policies.is_none() && news.namespaces.is_none() && news.index > since);
    assert_eq!((two.take(&news), two.tokens()), (1, vec!["a".to_owned(), "later".to_owned(), "local".to_owned()]));
    // A region that began anew is not taken for one that has told everything.
    assert_eq!(one.tells(since + 1_000).policies.map(|policies| policies.len()), Some(1));
}

#[test]
fn deletions_take_copies_along_and_nothing_that_is_the_regions_own() {
    let mut one = filled();
    let mut two = Farm::new();
    two.acl(AclObjects { tokens: vec![token("local", false), token("stale", true)], ..AclObjects::default() });
    two.take(&one.tells(0));
    assert_eq!(two.tokens(), ["a", "local"], "a global token that the other region does not have is none");
    one.drop_acl(AclNames {
        policies: vec!["readers".to_owned()],
        tokens: vec!["a".to_owned()],
        roles: vec!["r".to_owned()],
        auth_methods: vec!["m".to_owned()],
        binding_rules: vec!["b".to_owned()],
        ..AclNames::default()
    });
    one.write(Change::DeleteNamespaces(vec!["barn".to_owned()]));
    one.write(Change::DeleteNodePools(vec!["big".to_owned()]));
    two.take(&one.tells(0));
    let state = two.state();
    assert_eq!(two.tokens(), ["local"]);
    let rest = (state.acl_policies().count(), state.acl_roles().count(), state.auth_methods().count(), state.binding_rules().count());
    assert_eq!(rest, (0, 0, 0, 0));
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(state.namespaces().map(|namespace| namespace.name.clone()).collect::<Vec<_>>(), names(vec!["default"]));
    assert_eq!(state.node_pools().map(|pool| pool.name.clone()).collect::<Vec<_>>(), names(vec!["all", "default"]));
}

#[test]
fn what_refers_to_nothing_what_changes_hands_and_what_is_taken_does_not_stop_the_rest() {
    let mut one = filled();
    let mut two = Farm::new();
    two.take(&one.tells(0));
    // The policy of the role goes, the auth method of the rule goes, and the role's name goes to another one.
    one.acl(AclObjects { policies: vec![policy("writers")], ..AclObjects::default() });
    one.drop_acl(AclNames { policies: vec!["readers".to_owned()], auth_methods: vec!["m".to_owned()], ..AclNames::default() });
    one.acl(AclObjects { roles: vec![role("r", "former", &["writers"])], ..AclObjects::default() });
    one.acl(AclObjects { roles: vec![role("s", "role", &["writers"])], auth_methods: vec![method("n", true)], ..AclObjects::default() });
    one.acl(AclObjects { policies: vec![policy("fleeting")], ..AclObjects::default() });
    one.acl(AclObjects { roles: vec![role("t", "third", &["writers", "fleeting"])], ..AclObjects::default() });
    one.drop_acl(AclNames { policies: vec!["fleeting".to_owned()], ..AclNames::default() });
    two.take(&one.tells(0));
    let state = two.state();
    let roles: Vec<(String, usize)> = state.acl_roles().map(|role| (role.name.clone(), role.policies.len())).collect();
    assert_eq!(roles, [("former".to_owned(), 1), ("role".to_owned(), 1), ("third".to_owned(), 1)]);
    assert_eq!(state.auth_methods().map(|method| method.name.clone()).collect::<Vec<_>>(), ["n"]);
    assert_eq!(state.binding_rules().count(), 0);
    assert_eq!(two.take(&one.tells(0)), 0);
    // The default moves from one method to another.
    one.acl(AclObjects { auth_methods: vec![method("n", false)], ..AclObjects::default() });
    one.acl(AclObjects { auth_methods: vec![method("a", true)], ..AclObjects::default() });
    two.take(&one.tells(0));
    assert!(two.state().auth_method("a").unwrap().default && !two.state().auth_method("n").unwrap().default);
    // A local token keeps its name and secret.
    let mut thief = token("thief", true);
    thief.secret = "secret of local".to_owned();
    two.acl(AclObjects { tokens: vec![token("local", false)], ..AclObjects::default() });
    one.acl(AclObjects { tokens: vec![thief, AclToken { secret: "other".to_owned(), ..token("local", true) }], ..AclObjects::default() });
    let difference = difference(&two.state(), &one.tells(0));
    assert_eq!((difference.changes.len(), difference.kept.len()), (0, 2), "{difference:?}");
}

#[test]
fn entries_and_parts_are_bounded() {
    let mut one = Farm::new();
    let rules = format!("# {}\nnode {{ policy = \"read\" }}", "x".repeat(100_000));
    let policies: Vec<AclPolicy> = (0..20).map(|number| AclPolicy { rules: rules.clone(), ..policy(&format!("p{number}")) }).collect();
    one.acl(AclObjects { policies, ..AclObjects::default() });
    let tokens: Vec<AclToken> = (0..5_000).map(|number| token(&format!("t{number}"), true)).collect();
    one.acl(AclObjects { tokens, ..AclObjects::default() });
    assert!(told(&one.state(), 0).iter().all(|part| encoded(part) <= PART_MAX + 1_024));
    let mut two = Farm::new();
    let changes = difference(&two.state(), &one.tells(0)).changes;
    let size = |change: &Change| Command { time: WallTime(1), change: change.clone() }.to_bytes().len();
    assert!(changes.len() > 10 && changes.iter().all(|change| size(change) <= 1 << 20));
    two.take(&one.tells(0));
    assert_eq!((two.state().acl_policies().count(), two.tokens().len()), (20, 5_000));
    let gone = Farm::new();
    let deletions = difference(&two.state(), &gone.tells(0)).changes;
    assert!(deletions.len() >= 4 && deletions.iter().all(|change| size(change) <= 1 << 20));
}
