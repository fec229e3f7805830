//! How many connections one address may hold, and how often a refusal is explained.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_base::Monotonic;

/// Refusals explained per second; beyond that the connection is just closed.
const EXPLAINED_PER_SECOND: u32 = 10;

/// Counts connections by address. Clones share the counts.
#[derive(Clone, Debug)]
pub struct ConnectionLimit {
    /// 0 is no limit.
    per_address: usize,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    open: BTreeMap<IpAddr, usize>,
    second: Monotonic,
    explained: u32,
}

/// What becomes of a new connection.
#[derive(Debug)]
pub enum Admission {
    /// Served; the slot is free again when this is dropped.
    Open(Slot),
    /// Refused with a reason.
    Explain,
    /// Closed without a word.
    Close,
}

/// A connection that counts.
#[derive(Debug)]
pub struct Slot {
    limit: ConnectionLimit,
    address: IpAddr,
}

impl ConnectionLimit {
    /// At most `per_address` connections each; 0 for any number.
    pub fn new(per_address: usize) -> Self {
        Self { per_address, inner: Arc::default() }
    }

    /// Takes a slot for a new connection.
    pub fn admit(&self, now: Monotonic, address: IpAddr) -> Admission {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let open = inner.open.entry(address).or_default();
        if self.per_address == 0 || *open < self.per_address {
            *open += 1;
            return Admission::Open(Slot { limit: self.clone(), address });
        }
        if now.since(inner.second) >= Duration::from_secs(1) {
            inner.second = now;
            inner.explained = 0;
        }
        inner.explained += 1;
        if inner.explained <= EXPLAINED_PER_SECOND { Admission::Explain } else { Admission::Close }
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).open.values().sum()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut inner = self.limit.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = inner.open.get_mut(&self.address) {
            *open -= 1;
            if *open == 0 {
                inner.open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_again_when_its_connection_ends() {
        let limit = ConnectionLimit::new(2);
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let now = Monotonic(5_000_000_000);
        let first = limit.admit(now, one);
        let _second = limit.admit(now, one);
        assert!(matches!(limit.admit(now, one), Admission::Explain));
        let _other = limit.admit(now, two);
        drop(first);
        assert!(matches!(limit.admit(now, one), Admission::Open(_)));
        assert_eq!(limit.open(), 2);
    }

    #[test]
    fn refusals_are_explained_ten_times_a_second() {
        let limit = ConnectionLimit::new(1);
        let address = IpAddr::from([127, 0, 0, 1]);
        let _held = limit.admit(Monotonic(0), address);
        let explained =
            |second: u64| (0..20).filter(|_| matches!(limit.admit(Monotonic(second * 1_000_000_000), address), Admission::Explain)).count();
        assert_eq!((explained(1), explained(2)), (10, 10));
    }
}
