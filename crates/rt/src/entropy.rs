//! Randomness at the edge: ids, secrets and seeds, from the system or from a seed under simulation.

use std::sync::{Arc, Mutex, PoisonError};

use drover_base::{Id, Rng};

/// A source of random ids and seeds.
#[derive(Clone, Debug)]
pub struct Entropy(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Seeded(Arc<Mutex<Rng>>),
}

impl Entropy {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A replayable source.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(Rng::new(seed)))))
    }

    /// 128 random bits.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws from the system")]
    pub fn bits(&self) -> u128 {
        match &self.0 {
            // `uuid` takes 128 bits of a generator that the system seeds and fixes six of them; two draws make up for those.
            Source::System => {
                let (high, low) = (uuid::Uuid::new_v4().as_u128(), uuid::Uuid::new_v4().as_u128());
                high ^ low.rotate_left(64)
            }
            Source::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).next_u128(),
        }
    }

    /// A new id.
    pub fn id<K>(&self) -> Id<K> {
        Id::from_random(self.bits())
    }

    /// A seed for a generator of one's own.
    pub fn seed(&self) -> u64 {
        self.bits() as u64
    }
}
