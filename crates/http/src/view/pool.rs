//! Node pools.

use drover_api as api;
use drover_model::NodePool;

/// How long identities of nodes last unless their pool says so, in nanoseconds.
const IDENTITY_TTL_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// A node pool. Pools that are built in have no digest, as nobody could change them.
pub fn node_pool(pool: &NodePool) -> api::NodePool {
    let settings = pool.scheduler_algorithm.is_some() || pool.memory_oversubscription.is_some();
    api::NodePool {
        name: pool.name.clone(),
        description: pool.description.clone(),
        meta: (!pool.meta.is_empty()).then(|| pool.meta.clone()),
        node_identity_ttl: if pool.node_identity_ttl_ns == 0 { IDENTITY_TTL_NS } else { pool.node_identity_ttl_ns },
        scheduler_configuration: settings.then(|| api::NodePoolSchedulerConfiguration {
            scheduler_algorithm: pool.scheduler_algorithm.map(|algorithm| algorithm.text().to_owned()).unwrap_or_default(),
            memory_oversubscription_enabled: pool.memory_oversubscription,
        }),
        create_index: pool.create_index,
        modify_index: pool.modify_index,
        hash: (!pool.is_built_in()).then(|| api::wire::Base64(digest(pool))),
    }
}

/// Equal for pools that say the same.
fn digest(pool: &NodePool) -> Vec<u8> {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.as_bytes());
        hash.update([0]);
    };
    add(&pool.name);
    add(&pool.description);
    for (key, value) in &pool.meta {
        add(key);
        add(value);
    }
    add(&format!("{:?} {:?} {}", pool.scheduler_algorithm, pool.memory_oversubscription, pool.node_identity_ttl_ns));
    hash.finalize().to_vec()
}
