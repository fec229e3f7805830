//! The first token, and locks on variables, over a whole server.

use std::sync::Mutex as Shared;

use drover_macros::proves;
use drover_model::variable::VariableOperation;

use super::*;
use crate::config::{AclConfig, ResetFile};
use crate::{AskedLock, Items, VariableOutcome, VariableRequest};
use std::time::Duration;

#[derive(Default)]
struct Laid(Shared<Option<String>>);

impl ResetFile for Laid {
    fn read(&self) -> Option<String> {
        self.0.lock().unwrap().clone()
    }

    fn remove(&self) {
        self.0.lock().unwrap().take();
    }
}

async fn server(acl: AclConfig) -> (Server, TaskScope) {
    server_with(Config { acl, ..Config::new(Storage::Memory) }).await
}

async fn server_with(config: Config) -> (Server, TaskScope) {
    let scope = TaskScope::new();
    let config = Config { keyring: true, ..config };
    let server = Server::start(config, Clock::system(), Entropy::system(), &scope).await.unwrap();
    (server, scope)
}

async fn end(server: Server, scope: TaskScope) {
    scope.shutdown(Duration::from_secs(5)).await;
    server.shutdown().await;
}

#[proves("ACL-003")]
#[tokio::test]
async fn another_first_token_needs_the_index_of_the_last_one() {
    let file = Arc::new(Laid::default());
    let reset: Arc<dyn ResetFile> = Arc::clone(&file) as Arc<dyn ResetFile>;
    let (server, scope) = server(AclConfig { enabled: true, reset: Some(reset), ..AclConfig::default() }).await;
    let given = "11111111-2222-4333-8444-555555555555";
    let (token, index) = server.acl_bootstrap(given).await.unwrap();
    assert_eq!((token.secret.as_str(), token.global), (given, true));
    let text = |error: EndpointError| error.text;
    let again = text(server.acl_bootstrap("").await.unwrap_err());
    assert_eq!(again, format!("ACL bootstrap already done (reset index: {index})"));
    *file.0.lock().unwrap() = Some("1".to_owned());
    let wrong = text(server.acl_bootstrap("").await.unwrap_err());
    assert_eq!(wrong, format!("Invalid bootstrap reset index (specified 1, reset index: {index})"));
    *file.0.lock().unwrap() = Some(format!("{index}\n"));
    let (second, _) = server.acl_bootstrap("").await.unwrap();
    assert_ne!(second.secret, token.secret);
    assert!(file.read().is_none() && server.acl_bootstrap("").await.is_err());
    assert_eq!(text(server.acl_bootstrap("nope").await.unwrap_err()), "invalid acl token");
    end(server, scope).await;
}

fn request(operation: VariableOperation, lock: Option<AskedLock>) -> VariableRequest {
    let items = if operation == VariableOperation::LockRelease { Items::new() } else { Items::from([("a".to_owned(), "1".to_owned())]) };
    VariableRequest { namespace: "default".into(), path: "gate".into(), operation, items, lock, expected: None }
}

fn lock(id: &str, ttl: &str, delay: &str) -> Option<AskedLock> {
    Some(AskedLock { id: id.to_owned(), ttl: ttl.to_owned(), delay: delay.to_owned() })
}

fn id(outcome: VariableOutcome) -> Option<String> {
    match outcome {
        VariableOutcome::Done(variable, _) => variable?.lock.map(|lock| lock.id),
        VariableOutcome::Conflict(_) => None,
    }
}

#[proves("VAR-013", "VAR-015", "VAR-019", "VAR-020", "VAR-021", "VAR-022", "KEY-005")]
#[tokio::test(start_paused = true)]
async fn a_lock_that_is_not_renewed_ends_after_twice_its_time_and_its_delay() {
    let (server, scope) = server(AclConfig::default()).await;
    let acquire = |lock| server.change_variable(request(VariableOperation::LockAcquire, lock));
    for (ttl, delay) in [("9s", ""), ("25h", ""), ("", "-1s")] {
        assert_eq!(acquire(lock("", ttl, delay)).await.unwrap_err().status, 400, "{ttl} {delay}");
    }
    let held = id(acquire(lock("", "10s", "7s")).await.unwrap()).unwrap();
    let stored = || server.snapshot().variable("default", "gate").cloned().unwrap();
    let began = server.0.clock.monotonic();
    // Its holder may acquire it again, nobody else may.
    assert_eq!(id(acquire(lock(&held, "10s", "7s")).await.unwrap()).as_deref(), Some(held.as_str()));
    assert_eq!(id(acquire(None).await.unwrap()), None);
    server.0.clock.sleep(Duration::from_secs(15)).await;
    let index = server.snapshot().index();
    assert_eq!(server.renew_variable_lock("default", "gate", "other").unwrap_err().status, 409);
    server.renew_variable_lock("default", "gate", &held).unwrap();
    assert_eq!(server.snapshot().index(), index, "a renewal is not written to the log");
    server.0.clock.sleep(Duration::from_secs(26)).await;
    assert!(stored().lock.is_some(), "twice 10s and 7s are not over");
    assert_eq!(id(acquire(None).await.unwrap()), None, "nobody gets it during the delay");
    while stored().lock.is_some() {
        server.changed(server.snapshot().index()).await;
    }
    let lasted = server.0.clock.monotonic().since(began);
    assert!(lasted >= Duration::from_secs(15 + 27) && lasted < Duration::from_secs(15 + 28), "{lasted:?}");
    // A new leader gives every lock its whole time again.
    let held = id(acquire(lock("", "10s", "7s")).await.unwrap()).unwrap();
    server.0.clock.sleep(Duration::from_secs(20)).await;
    server.take_up_locks();
    server.0.clock.sleep(Duration::from_secs(26)).await;
    assert_eq!(stored().lock.as_ref().map(|lock| lock.id.clone()), Some(held));
    let items = server.variable_items(&server.snapshot(), &stored()).unwrap();
    assert_eq!(items["a"], "1");
    end(server, scope).await;
}

#[proves("KEY-003", "KEY-004")]
#[tokio::test]
async fn variables_and_tokens_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let start = async || {
        let log = drover_raft::DiskLogOptions::default();
        let storage = Storage::Disk { disk: Arc::new(drover_rt::RealDisk), directory: directory.path().to_owned(), log };
        let config = Config { keyring: true, acl: AclConfig { enabled: true, ..AclConfig::default() }, ..Config::new(storage) };
        let scope = TaskScope::new();
        (Server::start(config, Clock::system(), Entropy::system(), &scope).await.unwrap(), scope)
    };
    let (server, scope) = start().await;
    let (token, _) = server.acl_bootstrap("").await.unwrap();
    assert!(id(server.change_variable(request(VariableOperation::LockAcquire, None)).await.unwrap()).is_some());
    let key = server.snapshot().active_root_key().unwrap().id.clone();
    end(server, scope).await;
    let (server, scope) = start().await;
    let state = server.snapshot();
    assert_eq!(state.acl_token_by_secret(&token.secret).map(|found| found.as_ref()), Some(&token));
    let variable = state.variable("default", "gate").unwrap();
    assert_eq!(server.variable_items(&state, variable).unwrap()["a"], "1");
    assert!(variable.lock.is_some());
    // Its lock is watched again.
    while server.next_lock_end().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(state.root_keys().map(|root| root.id.clone()).collect::<Vec<_>>(), [key], "the first key is the only one");
    end(server, scope).await;
}

#[tokio::test]
async fn what_holds_in_all_regions_is_not_written_where_the_authoritative_region_cannot_be_reached() {
    let acl = AclConfig { enabled: true, ..AclConfig::default() };
    let (server, scope) = server_with(Config { acl, authoritative_region: "elsewhere".to_owned(), ..Config::new(Storage::Memory) }).await;
    let policy = drover_api::ACLPolicy {
        name: "readers".to_owned(),
        rules: "namespace \"default\" { policy = \"read\" }".to_owned(),
        ..drover_api::ACLPolicy::default()
    };
    let token = |global| drover_api::ACLToken { r#type: "management".to_owned(), global, ..drover_api::ACLToken::default() };
    let namespace = drover_model::Namespace { name: "apart".to_owned(), ..drover_model::Namespace::default() };
    let refused = [
        server.acl_bootstrap("").await.map(|_| ()),
        server.upsert_acl_policy(policy).await.map(|_| ()),
        server.delete_acl_policy("readers").await.map(|_| ()),
        server.upsert_acl_role(drover_api::ACLRole::default()).await.map(|_| ()),
        server.delete_acl_role("any").await.map(|_| ()),
        server.upsert_auth_method(drover_api::ACLAuthMethod::default()).await.map(|_| ()),
        server.delete_auth_method("any").await.map(|_| ()),
        server.upsert_binding_rule(drover_api::ACLBindingRule::default()).await.map(|_| ()),
        server.delete_binding_rule("any").await.map(|_| ()),
        server.upsert_acl_token(token(true)).await.map(|_| ()),
        server.upsert_namespace(namespace).await.map(|_| ()),
        server.delete_namespace("apart").await.map(|_| ()),
    ];
    for (number, refused) in refused.into_iter().enumerate() {
        assert_eq!(refused.unwrap_err(), EndpointError::internal("No path to region"), "write {number}");
    }
    let state = server.snapshot();
    assert!(state.acl_policy("readers").is_none() && state.namespace("apart").is_none() && state.acl_bootstrap_index() == 0);
    // A token of this region is the region's own.
    let (local, _) = server.upsert_acl_token(token(false)).await.unwrap();
    assert_eq!(server.snapshot().acl_token(&local.accessor).map(|token| token.global), Some(false));
    server.delete_acl_tokens(vec![local.accessor]).await.unwrap();
    end(server, scope).await;
}
