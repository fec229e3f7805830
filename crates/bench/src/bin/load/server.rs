//! The server under load, as its kernel sees it, and what is put on it.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// MiB of memory that the process has to itself or shares, each page counted once among all who share it; 0 without a pid.
pub(crate) fn memory_mib(pid: Option<u32>) -> Result<f64> {
    let Some(pid) = pid else { return Ok(0.0) };
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// Processor time that the process has used; zero without a pid.
pub(crate) fn cpu(pid: Option<u32>) -> Result<Duration> {
    let Some(pid) = pid else { return Ok(Duration::ZERO) };
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the two looks.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// A job that only waits to be dispatched: registering it places nothing.
pub(crate) fn template_job(id: &str, note: &str) -> Value {
    json!({"Job": {
        "ID": id, "Name": id, "Type": "batch", "Datacenters": ["*"], "ParameterizedJob": {"Payload": "optional"}, "Meta": {"note": note},
        "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "t", "Driver": "mock_driver", "Config": {"run_for": "1s"}}]}],
    }})
}

/// The value below which so many parts of a hundred of the sorted values lie.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |value| value.as_secs_f64() * 1e3)
}
