//! Variables, encrypted, and the root keys that they are encrypted with.

use std::fmt;

use drover_base::WallTime;
use minicbor::{Decode, Encode};

use crate::Index;

/// The most that a variable's keys and values have together, in bytes.
pub const VARIABLE_SIZE_MAX: usize = 64 * 1024;
/// The longest path of a variable, in bytes.
const PATH_MAX: usize = 128;
/// The shortest time to live of a lock.
pub const LOCK_TTL_MIN_NS: i64 = 10_000_000_000;
/// The longest time to live of a lock.
pub const LOCK_TTL_MAX_NS: i64 = 86_400_000_000_000;
/// The time to live of a lock, and its delay, where none is given.
pub const LOCK_DEFAULT_NS: i64 = 15_000_000_000;

text_enum! {
    /// What a root key is used for.
    RootKeyState {
        0 Inactive = "inactive", 1 Active = "active", 2 Prepublished = "prepublished", 3 Rekeying = "rekeying", 4 Deprecated = "deprecated",
    }
}

/// A root key: what encrypts variables and signs identities, wrapped.
#[derive(Clone, Default, PartialEq, Encode, Decode)]
pub struct RootKey {
    /// The id.
    #[n(0)]
    pub id: String,
    /// What it is used for.
    #[n(1)]
    pub state: RootKeyState,
    /// When it was made.
    #[n(2)]
    pub create_time: WallTime,
    /// When it is to be used, for one that is published before.
    #[n(3)]
    #[cbor(default)]
    pub publish_time: WallTime,
    /// The key that the others are wrapped with (the built-in provider keeps it beside them).
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub wrapping_key: Vec<u8>,
    /// The key that encrypts, wrapped.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub wrapped_encryption_key: Vec<u8>,
    /// The key that signs, in PKCS #8, wrapped.
    #[n(6)]
    #[cbor(with = "minicbor::bytes")]
    pub wrapped_signing_key: Vec<u8>,
    /// The log entry that made it.
    #[n(7)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(8)]
    #[cbor(default)]
    pub modify_index: Index,
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Key material stays out of logs.
        f.debug_struct("RootKey").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// A lock on a variable.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct VariableLock {
    /// What its holder knows it by.
    #[n(0)]
    pub id: String,
    /// How long it is held without being renewed.
    #[n(1)]
    pub ttl_ns: i64,
    /// How long nobody gets it after it has expired.
    #[n(2)]
    pub delay_ns: i64,
}

/// A variable.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Variable {
    /// Its namespace.
    #[n(0)]
    pub namespace: String,
    /// Its path.
    #[n(1)]
    pub path: String,
    /// The root key that it is encrypted with.
    #[n(2)]
    pub key_id: String,
    /// Nonce and ciphertext.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub data: Vec<u8>,
    /// Who holds it.
    #[n(4)]
    pub lock: Option<VariableLock>,
    /// When it was made.
    #[n(5)]
    #[cbor(default)]
    pub create_time: WallTime,
    /// When it was changed last.
    #[n(6)]
    #[cbor(default)]
    pub modify_time: WallTime,
    /// The log entry that made it.
    #[n(7)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(8)]
    #[cbor(default)]
    pub modify_index: Index,
}

text_enum! {
    /// What is done to a variable.
    VariableOperation { 0 Set = "set", 1 Delete = "delete", 2 LockAcquire = "lock-acquire", 3 LockRelease = "lock-release", }
}

/// A change of a variable.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct VariableChange {
    /// What is done.
    #[n(0)]
    pub operation: VariableOperation,
    /// The variable as it is to be; of one that is deleted or released, its name alone.
    #[n(1)]
    pub variable: Variable,
    /// Refused unless the stored variable has this index; 0: unless there is none.
    #[n(2)]
    pub expected: Option<Index>,
    /// The lock that the caller holds; "" for none.
    #[n(3)]
    #[cbor(default)]
    pub lock_id: String,
}

/// What is wrong with a path.
pub fn path_problem(path: &str) -> Option<String> {
    let letters = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_~/".contains(&byte));
    if !(1..=PATH_MAX).contains(&path.len()) || !letters {
        return Some(format!("invalid path {path:?}"));
    }
    let parts: Vec<&str> = path.split('/').collect();
    if parts[0] != "nomad" {
        return None;
    }
    match parts.get(1) {
        None => Some("\"nomad\" is a reserved top-level directory path, but you may write variables to \"nomad/jobs\", \"nomad/job-templates\", or below".to_owned()),
        Some(&"jobs" | &"sentinel") => None,
        Some(&"job-templates") if parts.len() == 3 => None,
        Some(&"job-templates") => Some("\"nomad/job-templates\" is a reserved directory path, but you may write variables at the level below it, for example, \"nomad/job-templates/template-name\"".to_owned()),
        Some(_) => Some("only paths at \"nomad/jobs\" or \"nomad/job-templates\" and below are valid paths under the top-level \"nomad\" directory".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use drover_macros::proves;

    use super::*;

    #[proves("VAR-002")]
    #[test]
    fn paths_have_an_alphabet_a_length_and_a_reserved_part() {
        for good in ["farm/barn", "a", "A-b_c~d/e", "nomad/jobs", "nomad/jobs/web/group/task", "nomad/job-templates/one", "nomads/x"] {
            assert_eq!(path_problem(good), None, "{good}");
        }
        let long = "x".repeat(129);
        for bad in ["", "b@d", "a b", "nomad", "nomad/evil", "nomad/job-templates", "nomad/job-templates/a/b", long.as_str()] {
            assert!(path_problem(bad).is_some(), "{bad}");
        }
    }
}
