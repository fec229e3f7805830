//! Variables and root keys: reading them, and changing them in a log entry.

use std::sync::Arc;

use drover_model::variable::{RootKey, RootKeyState, Variable, VariableChange, VariableOperation};

use crate::event::{EventKind, Payload};
use crate::store::{ApplyError, Transaction};
use crate::tables::{Snapshot, Table};

/// The refusal of a change that expected another state.
pub const VARIABLE_CONFLICT: &str = "cas error: expected another variable";

impl Snapshot {
    /// A variable.
    pub fn variable(&self, namespace: &str, path: &str) -> Option<&Arc<Variable>> {
        self.variables.get(&(Arc::from(namespace), Arc::from(path)))
    }

    /// All variables by namespace and path.
    pub fn variables(&self) -> impl DoubleEndedIterator<Item = &Arc<Variable>> {
        self.variables.iter().map(|(_, variable)| variable)
    }

    /// All root keys by id.
    pub fn root_keys(&self) -> impl DoubleEndedIterator<Item = &Arc<RootKey>> {
        self.root_keys.iter().map(|(_, key)| key)
    }

    /// A root key.
    pub fn root_key(&self, id: &str) -> Option<&Arc<RootKey>> {
        self.root_keys.get(id)
    }

    /// The root key that encrypts and signs.
    pub fn active_root_key(&self) -> Option<&Arc<RootKey>> {
        self.root_keys().find(|key| key.state == RootKeyState::Active)
    }
}

impl Transaction<'_> {
    /// Writes a root key; one that becomes active takes the place of the one that was.
    pub(crate) fn upsert_root_key(&mut self, mut key: RootKey) {
        let index = self.index();
        key.create_index = self.state.root_key(&key.id).map_or(index, |old| old.create_index);
        key.modify_index = index;
        if key.state == RootKeyState::Active {
            let others: Vec<Arc<RootKey>> =
                self.state.root_keys().filter(|other| other.state == RootKeyState::Active && other.id != key.id).cloned().collect();
            for other in others {
                let other = RootKey { state: RootKeyState::Inactive, modify_index: index, ..other.as_ref().clone() };
                self.state.root_keys.insert(Arc::from(other.id.as_str()), Arc::new(other));
            }
        }
        self.state.root_keys.insert(Arc::from(key.id.as_str()), Arc::new(key));
        self.touch(Table::RootKeys);
    }

    /// Changes a variable if it is as expected and the caller holds the lock on it, if there is one.
    pub(crate) fn change_variable(&mut self, change: VariableChange) -> Result<(), ApplyError> {
        let VariableChange { operation, variable, expected, lock_id } = change;
        let conflict = || ApplyError::Refused(VARIABLE_CONFLICT.to_owned());
        let key: (Arc<str>, Arc<str>) = (Arc::from(variable.namespace.as_str()), Arc::from(variable.path.as_str()));
        let stored = self.state.variables.get(&key).cloned();
        if expected.is_some_and(|expected| expected != stored.as_ref().map_or(0, |stored| stored.modify_index)) {
            return Err(conflict());
        }
        let held = stored.as_ref().and_then(|stored| stored.lock.as_ref());
        if held.is_some_and(|lock| lock.id != lock_id) || held.is_none() && !lock_id.is_empty() {
            return Err(conflict());
        }
        let (index, now) = (self.index(), self.state.time);
        let created = stored.as_ref().map_or((index, now), |stored| (stored.create_index, stored.create_time));
        let written = |variable: Variable| Variable {
            create_index: created.0,
            create_time: created.1,
            modify_index: index,
            modify_time: now,
            ..variable
        };
        match (operation, stored) {
            (VariableOperation::Delete, _) => {
                if let Some(variable) = self.state.variables.remove(&key) {
                    self.event(EventKind::VariableDeleted, Payload::Variable(variable));
                }
            }
            (VariableOperation::LockRelease, None) => return Err(conflict()),
            (VariableOperation::LockRelease, Some(stored)) => {
                let released = Arc::new(written(Variable { lock: None, ..stored.as_ref().clone() }));
                self.state.variables.insert(key, Arc::clone(&released));
                self.told(Payload::Variable(released));
            }
            (VariableOperation::Set | VariableOperation::LockAcquire, _) => {
                if self.state.root_key(&variable.key_id).is_none() {
                    return Err(ApplyError::Refused("the variable is encrypted with a key that is not there".to_owned()));
                }
                let variable = Arc::new(written(variable));
                self.state.variables.insert(key, Arc::clone(&variable));
                self.told(Payload::Variable(variable));
            }
        }
        self.touch(Table::Variables);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use drover_base::WallTime;
    use drover_macros::proves;
    use drover_model::Command;
    use drover_model::command::Change;
    use drover_model::variable::VariableLock;

    use super::*;
    use crate::persist::{SnapshotReader, write_snapshot};
    use crate::store::Store;

    struct World(Store, u64);

    impl World {
        fn new() -> Self {
            let mut world = Self(Store::default(), 0);
            world.apply(Change::UpsertRootKey(Box::new(key("k")))).unwrap();
            world
        }

        fn apply(&mut self, change: Change) -> Result<(), ApplyError> {
            self.1 += 1;
            self.0.apply(self.1, Command { time: WallTime(i64::try_from(self.1).unwrap()), change }).result
        }

        fn change(
            &mut self,
            operation: VariableOperation,
            lock: Option<&str>,
            expected: Option<u64>,
            lock_id: &str,
        ) -> Result<(), ApplyError> {
            let lock = lock.map(|id| VariableLock { id: id.to_owned(), ttl_ns: 1, delay_ns: 1 });
            let variable = Variable { namespace: "n".into(), path: "p".into(), key_id: "k".into(), lock, ..Variable::default() };
            let lock_id = lock_id.to_owned();
            self.apply(Change::Variable(Box::new(VariableChange { operation, variable, expected, lock_id })))
        }

        fn stored(&self) -> Option<Arc<Variable>> {
            self.0.snapshot().variable("n", "p").cloned()
        }
    }

    fn key(id: &str) -> RootKey {
        RootKey { id: id.to_owned(), state: RootKeyState::Active, ..RootKey::default() }
    }

    #[proves("VAR-004", "VAR-006")]
    #[test]
    fn a_variable_changes_only_from_the_index_that_is_expected() {
        let mut world = World::new();
        world.change(VariableOperation::Set, None, Some(0), "").unwrap();
        let first = world.stored().unwrap();
        assert!(world.change(VariableOperation::Set, None, Some(0), "").is_err());
        assert!(world.change(VariableOperation::Delete, None, Some(first.modify_index + 1), "").is_err());
        world.change(VariableOperation::Set, None, Some(first.modify_index), "").unwrap();
        let second = world.stored().unwrap();
        assert_eq!((second.create_index, second.create_time), (first.create_index, first.create_time));
        assert!(second.modify_index > first.modify_index && second.modify_time > first.modify_time);
        world.change(VariableOperation::Delete, None, Some(second.modify_index), "").unwrap();
        assert!(world.stored().is_none());
        // Deleting what is not there is no problem.
        world.change(VariableOperation::Delete, None, None, "").unwrap();
    }

    /// INV-14: at most one holder, and nobody else changes what is held.
    #[proves("VAR-015", "VAR-016", "VAR-018", "VAR-024")]
    #[test]
    fn only_its_holder_changes_a_locked_variable() {
        let mut world = World::new();
        world.change(VariableOperation::LockAcquire, Some("l"), None, "").unwrap();
        for operation in [VariableOperation::Set, VariableOperation::Delete, VariableOperation::LockAcquire, VariableOperation::LockRelease]
        {
            for lock_id in ["", "other"] {
                assert!(world.change(operation, Some("other"), None, lock_id).is_err(), "{operation} with {lock_id:?}");
            }
        }
        world.change(VariableOperation::LockAcquire, Some("l"), None, "l").unwrap();
        world.change(VariableOperation::Set, Some("l"), None, "l").unwrap();
        world.change(VariableOperation::LockRelease, None, None, "l").unwrap();
        let released = world.stored().unwrap();
        assert!(released.lock.is_none() && released.key_id == "k");
        world.change(VariableOperation::LockAcquire, Some("next"), None, "").unwrap();
    }

    #[proves("KEY-002")]
    #[test]
    fn one_key_is_active_and_what_another_encrypted_stays() {
        let mut world = World::new();
        world.change(VariableOperation::Set, None, None, "").unwrap();
        world.apply(Change::UpsertRootKey(Box::new(key("k2")))).unwrap();
        let state = world.0.snapshot();
        assert_eq!(state.active_root_key().unwrap().id, "k2");
        assert_eq!(state.root_key("k").unwrap().state, RootKeyState::Inactive);
        assert_eq!(state.root_keys().filter(|key| key.state == RootKeyState::Active).count(), 1);
        let read = SnapshotReader::read(&write_snapshot(&state)).unwrap();
        assert_eq!(read.variable("n", "p"), state.variable("n", "p"));
        assert_eq!(read.root_keys().collect::<Vec<_>>(), state.root_keys().collect::<Vec<_>>());
        assert_eq!(write_snapshot(&read), write_snapshot(&state));
    }
}
