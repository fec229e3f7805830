//! Variables: encrypted before they reach the log, and their locks.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_base::Monotonic;
use drover_base::time::go_duration;
use drover_lang::duration::parse_duration;
use drover_model::command::Change;
use drover_model::variable::{
    LOCK_DEFAULT_NS, LOCK_TTL_MAX_NS, LOCK_TTL_MIN_NS, VARIABLE_SIZE_MAX, Variable, VariableChange, VariableLock, VariableOperation,
    path_problem,
};
use drover_state::{Snapshot, VARIABLE_CONFLICT};

use crate::error::EndpointError;
use crate::keyring::PublicKey;
use crate::server::Server;

/// How long a write waits for the first key of a region.
const KEY_WAIT: Duration = Duration::from_secs(10);
/// How often an expired lock is tried to be cleared, and how long it waits after the first failure, twice as long after each.
const CLEAR_ATTEMPTS: u32 = 6;
const CLEAR_BACKOFF: Duration = Duration::from_secs(10);

/// What a variable holds.
pub type Items = BTreeMap<String, String>;

/// A lock as a caller asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedLock {
    /// The id, "" for none.
    pub id: String,
    /// The time to live, as a text; "" for the usual.
    pub ttl: String,
    /// The delay, as a text; "" for the usual.
    pub delay: String,
}

/// What a caller wants done to a variable.
#[derive(Clone, Debug, Default)]
pub struct VariableRequest {
    /// The namespace.
    pub namespace: String,
    /// The path.
    pub path: String,
    /// The operation.
    pub operation: VariableOperation,
    /// What it is to hold.
    pub items: Items,
    /// The lock.
    pub lock: Option<AskedLock>,
    /// Only if the stored variable has this index; 0: only if there is none.
    pub expected: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum VariableOutcome {
    /// It is done: the variable as it is now, none when it was deleted, and the log entry.
    Done(Option<Variable>, u64),
    /// The variable is not as expected, or somebody else holds it: as it is, if it is there.
    Conflict(Option<Variable>),
}

/// A lock that somebody holds, and when it ends unless it is renewed.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    lock: VariableLock,
    ends: Monotonic,
    attempts: u32,
}

/// Locks by namespace and path; bounded by the variables there are.
pub(crate) type Locks = BTreeMap<(String, String), Held>;

fn wrong(text: impl Into<String>) -> EndpointError {
    EndpointError::bad_request(format!("RPC Error:: 400,{}", text.into()))
}

fn nanoseconds(text: &str, default: i64) -> Result<i64, EndpointError> {
    match text {
        "" => Ok(default),
        text => parse_duration(text).map_err(|_| EndpointError::bad_request(format!("time: invalid duration {text:?}"))),
    }
}

fn name(namespace: &str, path: &str) -> String {
    format!("{namespace}\0{path}")
}

impl Server {
    /// Whether the region has variables.
    fn keyring_on(&self) -> Result<(), EndpointError> {
        if self.0.config.keyring { Ok(()) } else { Err(EndpointError::unsupported("variables need a keyring, which this server has not")) }
    }

    /// What a variable holds.
    ///
    /// # Errors
    /// When its key is not there or it is damaged.
    pub fn variable_items(&self, state: &Snapshot, variable: &Variable) -> Result<Items, EndpointError> {
        let internal = |error: &dyn std::fmt::Display| EndpointError::internal(error.to_string());
        let name = name(&variable.namespace, &variable.path);
        let plain = self.0.keyring.decrypt(state, &variable.key_id, &name, &variable.data).map_err(|error| internal(&error))?;
        serde_json::from_slice(&plain).map_err(|error| internal(&error))
    }

    /// How signatures of the region's root keys are checked.
    ///
    /// # Errors
    /// When a key is damaged.
    pub fn public_keys(&self, state: &Snapshot) -> Result<Vec<PublicKey>, EndpointError> {
        self.0.keyring.public_keys(state).map_err(|error| EndpointError::internal(error.to_string()))
    }

    fn stored(&self, namespace: &str, path: &str) -> Option<Variable> {
        self.snapshot().variable(namespace, path).map(|variable| variable.as_ref().clone())
    }

    /// Writes, deletes, locks or releases a variable.
    ///
    /// # Errors
    /// 400 for what is wrong in itself; 500 when the change cannot be committed.
    pub async fn change_variable(&self, request: VariableRequest) -> Result<VariableOutcome, EndpointError> {
        self.keyring_on()?;
        let VariableRequest { namespace, path, operation, items, lock: asked, expected } = request;
        if namespace == "*" {
            return Err(wrong("can not target wildcard (\"*\")namespace"));
        }
        if let Some(problem) = path_problem(&path) {
            return Err(wrong(problem));
        }
        let size: usize = items.iter().map(|(key, value)| key.len() + value.len()).sum();
        if size > VARIABLE_SIZE_MAX {
            return Err(wrong("variables are limited to 64KiB in total size"));
        }
        let asked_id = asked.as_ref().map(|lock| lock.id.clone()).unwrap_or_default();
        let stored = self.stored(&namespace, &path);
        let held = stored.as_ref().and_then(|stored| stored.lock.clone());
        let lock = match operation {
            VariableOperation::Delete => None,
            VariableOperation::Set => {
                let asked = asked.unwrap_or_default();
                if asked.id.is_empty() && !(asked.ttl.is_empty() && asked.delay.is_empty()) {
                    return Err(wrong("RPC Error:: 400,variable should not contain lock definition"));
                }
                match held {
                    Some(held) if held.id == asked.id => Some(new_lock(held.id, &asked)?),
                    Some(_) => return Ok(VariableOutcome::Conflict(stored)),
                    None if !asked.id.is_empty() => return Ok(VariableOutcome::Conflict(stored)),
                    None => None,
                }
            }
            VariableOperation::LockAcquire => {
                let asked = asked.unwrap_or_default();
                // What is wrong in itself is told first.
                new_lock(String::new(), &asked)?;
                match held {
                    Some(held) if held.id == asked.id => Some(new_lock(held.id, &asked)?),
                    Some(_) => return Ok(VariableOutcome::Conflict(stored)),
                    None if !asked.id.is_empty() => return Ok(VariableOutcome::Conflict(stored)),
                    None => Some(new_lock(self.0.entropy.id::<drover_base::id::Allocation>().to_string(), &asked)?),
                }
            }
            VariableOperation::LockRelease => {
                if !items.is_empty() {
                    return Err(wrong("lock release operation doesn't take variable items"));
                }
                if asked_id.is_empty() {
                    return Err(wrong("missing lock information"));
                }
                match held {
                    None => return Err(EndpointError::internal("variable doesn't hold a lock")),
                    Some(held) if held.id != asked_id => return Ok(VariableOutcome::Conflict(stored)),
                    Some(_) => None,
                }
            }
        };
        if expected.is_some_and(|expected| expected != stored.as_ref().map_or(0, |stored| stored.modify_index)) {
            return Ok(VariableOutcome::Conflict(stored));
        }
        // What would not change stays as it is, its index and time too.
        if operation == VariableOperation::Set
            && let Some(stored) = stored.as_ref().filter(|stored| stored.lock == lock)
            && self.variable_items(&self.snapshot(), stored)? == items
        {
            let index = stored.modify_index;
            return Ok(VariableOutcome::Done(Some(stored.clone()), index));
        }
        let (key_id, data) = match operation {
            VariableOperation::Set | VariableOperation::LockAcquire => self.encrypted(&namespace, &path, &items).await?,
            VariableOperation::Delete | VariableOperation::LockRelease => Default::default(),
        };
        let lock_id = if held_before(&stored) { asked_id } else { String::new() };
        let variable =
            Variable { namespace: namespace.clone(), path: path.clone(), key_id, data, lock: lock.clone(), ..Variable::default() };
        let change = VariableChange { operation, variable, expected, lock_id };
        let index = match self.propose(Change::Variable(Box::new(change))).await {
            Ok(index) => index,
            Err(error) if error.text == VARIABLE_CONFLICT => return Ok(VariableOutcome::Conflict(self.stored(&namespace, &path))),
            Err(error) => return Err(error),
        };
        self.watch_lock(&namespace, &path, lock);
        Ok(VariableOutcome::Done(self.stored(&namespace, &path), index))
    }

    /// Waits for the first key of a region, which takes a moment; without one nothing is encrypted or signed.
    pub(crate) async fn first_key_made(&self) {
        let wait = async {
            while self.snapshot().active_root_key().is_none() {
                self.changed(self.snapshot().index()).await;
            }
        };
        if self.snapshot().active_root_key().is_none() {
            self.0.clock.timeout(KEY_WAIT, wait).await;
        }
    }

    async fn encrypted(&self, namespace: &str, path: &str, items: &Items) -> Result<(String, Vec<u8>), EndpointError> {
        self.first_key_made().await;
        let plain = serde_json::to_vec(items).map_err(|error| EndpointError::internal(error.to_string()))?;
        let sealed = self.0.keyring.encrypt(&self.snapshot(), &name(namespace, path), plain, &self.0.entropy);
        sealed.map_err(|error| EndpointError::internal(error.to_string()))
    }

    /// Lets a lock last from now again. Nothing is written to the log.
    ///
    /// # Errors
    /// When there is no such variable, it has no lock, or the lock is somebody else's.
    pub fn renew_variable_lock(&self, namespace: &str, path: &str, lock_id: &str) -> Result<Variable, EndpointError> {
        let conflict = |text: &str| EndpointError { status: 409, text: text.to_owned() };
        if lock_id.is_empty() {
            return Err(wrong("missing lock information"));
        }
        let stored = self.stored(namespace, path).ok_or_else(|| EndpointError::not_found("variable doesn't exist"))?;
        match &stored.lock {
            None => Err(conflict("variable doesn't hold a lock")),
            Some(lock) if lock.id != lock_id => Err(conflict("attempting to modify locked variable")),
            Some(lock) => {
                self.watch_lock(namespace, path, Some(lock.clone()));
                Ok(stored)
            }
        }
    }

    fn locks(&self) -> std::sync::MutexGuard<'_, Locks> {
        self.0.locks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// When a lock that is renewed now ends: twice its time to live, and then its delay.
    fn lock_end(&self, lock: &VariableLock) -> Monotonic {
        let nanoseconds = lock.ttl_ns.saturating_mul(2).saturating_add(lock.delay_ns);
        self.0.clock.monotonic() + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
    }

    fn watch_lock(&self, namespace: &str, path: &str, lock: Option<VariableLock>) {
        let key = (namespace.to_owned(), path.to_owned());
        match lock {
            Some(lock) => {
                let ends = self.lock_end(&lock);
                self.locks().insert(key, Held { lock, ends, attempts: 0 });
            }
            None => drop(self.locks().remove(&key)),
        }
        self.0.lock_changed.notify_one();
    }

    /// Forgets all locks: the state they were of is another one.
    pub(crate) fn forget_locks(&self) {
        self.locks().clear();
    }

    /// Takes up all locks of the state: each lasts its whole time again.
    pub(crate) fn take_up_locks(&self) {
        let state = self.snapshot();
        for variable in state.variables() {
            if let Some(lock) = &variable.lock {
                self.watch_lock(&variable.namespace, &variable.path, Some(lock.clone()));
            }
        }
    }

    /// Clears locks whose time is up.
    pub(crate) async fn clear_expired_locks(&self) {
        let now = self.0.clock.monotonic();
        let due: Vec<((String, String), Held)> =
            self.locks().iter().filter(|(_, held)| held.ends <= now).map(|(key, held)| (key.clone(), held.clone())).collect();
        for ((namespace, path), held) in due {
            let variable = Variable { namespace: namespace.clone(), path: path.clone(), ..Variable::default() };
            let operation = VariableOperation::LockRelease;
            let change = VariableChange { operation, variable, expected: None, lock_id: held.lock.id.clone() };
            let cleared = self.propose(Change::Variable(Box::new(change))).await;
            let mut locks = self.locks();
            let Some(current) = locks.get_mut(&(namespace.clone(), path.clone())).filter(|current| current.lock.id == held.lock.id) else {
                continue;
            };
            match cleared {
                Err(error) if error.text != VARIABLE_CONFLICT && current.attempts < CLEAR_ATTEMPTS => {
                    tracing::warn!(%error, namespace, path, "an expired lock could not be cleared, trying again");
                    current.ends = now + CLEAR_BACKOFF * 2_u32.pow(current.attempts);
                    current.attempts += 1;
                }
                _ => drop(locks.remove(&(namespace, path))),
            }
        }
    }

    /// When the next lock ends.
    pub(crate) fn next_lock_end(&self) -> Option<Monotonic> {
        self.locks().values().map(|held| held.ends).min()
    }
}

fn held_before(stored: &Option<Variable>) -> bool {
    stored.as_ref().is_some_and(|stored| stored.lock.is_some())
}

fn new_lock(id: String, asked: &AskedLock) -> Result<VariableLock, EndpointError> {
    let lock =
        VariableLock { id, ttl_ns: nanoseconds(&asked.ttl, LOCK_DEFAULT_NS)?, delay_ns: nanoseconds(&asked.delay, LOCK_DEFAULT_NS)? };
    let mut problems = Vec::new();
    if !(LOCK_TTL_MIN_NS..=LOCK_TTL_MAX_NS).contains(&lock.ttl_ns) {
        problems.push("TTL must be between 10 seconds and 24 hours".to_owned());
    }
    if lock.delay_ns < 0 {
        problems.push(format!("lock delay must be positive, not {}", go_duration(lock.delay_ns)));
    }
    if problems.is_empty() { Ok(lock) } else { Err(wrong(EndpointError::problems(&problems).text)) }
}

/// Clears locks when their time is up.
pub(crate) async fn run_locks(server: Server) {
    server.take_up_locks();
    loop {
        let end = server.next_lock_end();
        tokio::select! {
            () = server.0.lock_changed.notified() => {}
            () = server.0.clock.sleep_until(end) => server.clear_expired_locks().await,
        }
    }
}

/// Makes the first key of a region.
pub(crate) async fn first_key(server: Server) {
    let mut wait = Duration::from_secs(1);
    while server.snapshot().active_root_key().is_none() {
        let (entropy, now) = (server.0.entropy.clone(), server.0.clock.now());
        // Looking for primes would hold up everything else on this thread.
        let made = tokio::task::spawn_blocking(move || crate::keyring::generate(&entropy, now)).await;
        let written = match made {
            Ok(Ok(key)) => server.propose(Change::UpsertRootKey(Box::new(key))).await.map(|_| ()),
            Ok(Err(error)) => Err(EndpointError::internal(error.to_string())),
            Err(error) => Err(EndpointError::internal(error.to_string())),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the first key of the region could not be made, trying again");
            server.0.clock.sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(60));
        }
    }
}
