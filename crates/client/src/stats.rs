//! What this node and its tasks use, measured when somebody asks and not otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_api as api;
use drover_base::WallTime;
use drover_driver::TaskStats;
use drover_linux::fingerprint::CoreTime;
use drover_linux::path::FileSystemUse;

/// What was measured of memory and processors.
const MEMORY_MEASURED: &[&str] = &["RSS", "Cache", "Usage", "Max Usage"];
const CPU_MEASURED: &[&str] = &["System Mode", "User Mode", "Percent"];

fn measured(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Two looks at a task, some time apart.
pub(crate) struct TaskSample {
    pub(crate) before: TaskStats,
    pub(crate) after: TaskStats,
    pub(crate) between: Duration,
}

/// Use of a task. `mhz` is the speed of one core, in which ticks are counted.
pub(crate) fn task_usage(sample: &TaskSample, mhz: f64, now: WallTime) -> api::TaskResourceUsage {
    let TaskSample { before, after, between } = sample;
    let nanoseconds = between.as_nanos().max(1) as f64;
    let share = |after: u64, before: u64| after.saturating_sub(before) as f64 / nanoseconds * 100.0;
    let user = share(after.user_nanoseconds, before.user_nanoseconds);
    let system = share(after.system_nanoseconds, before.system_nanoseconds);
    let usage = api::ResourceUsage {
        memory_stats: Some(api::MemoryStats {
            rss: after.resident_bytes,
            cache: after.cache_bytes,
            usage: after.memory_bytes,
            max_usage: after.memory_max_bytes,
            measured: measured(MEMORY_MEASURED),
            ..api::MemoryStats::default()
        }),
        cpu_stats: Some(api::CpuStats {
            system_mode: system,
            user_mode: user,
            total_ticks: (user + system) / 100.0 * mhz,
            throttled_periods: after.throttled_periods,
            throttled_time: after.throttled_nanoseconds,
            percent: user + system,
            measured: measured(CPU_MEASURED),
        }),
        device_stats: None,
    };
    let pids = after.processes.iter().map(|pid| {
        let (memory, cpu) = process_usage(*pid);
        let usage = api::ResourceUsage { memory_stats: Some(memory), cpu_stats: Some(cpu), device_stats: None };
        (pid.to_string(), Some(usage))
    });
    api::TaskResourceUsage { pids: Some(pids.collect()), resource_usage: Some(usage), timestamp: now.0 }
}

fn process_usage(pid: i32) -> (api::MemoryStats, api::CpuStats) {
    let resident = drover_linux::process::read_stat(pid).map_or(0, |stat| stat.resident_pages * drover_linux::process::page_size());
    let memory = api::MemoryStats { rss: resident, measured: measured(&["RSS"]), ..api::MemoryStats::default() };
    (memory, api::CpuStats { measured: measured(CPU_MEASURED), ..api::CpuStats::default() })
}

/// Use of an allocation: its tasks, and their sum.
pub(crate) fn alloc_usage(tasks: BTreeMap<String, Option<api::TaskResourceUsage>>, now: WallTime) -> api::AllocResourceUsage {
    let mut memory = api::MemoryStats::default();
    let mut cpu = api::CpuStats::default();
    for usage in tasks.values().flatten().filter_map(|task| task.resource_usage.as_ref()) {
        if let Some(found) = &usage.memory_stats {
            memory.rss += found.rss;
            memory.cache += found.cache;
            memory.usage += found.usage;
            memory.max_usage += found.max_usage;
            memory.measured.clone_from(&found.measured);
        }
        if let Some(found) = &usage.cpu_stats {
            cpu.system_mode += found.system_mode;
            cpu.user_mode += found.user_mode;
            cpu.total_ticks += found.total_ticks;
            cpu.percent += found.percent;
            cpu.throttled_periods += found.throttled_periods;
            cpu.throttled_time += found.throttled_time;
            cpu.measured.clone_from(&found.measured);
        }
    }
    api::AllocResourceUsage {
        resource_usage: Some(api::ResourceUsage { memory_stats: Some(memory), cpu_stats: Some(cpu), device_stats: Some(Vec::new()) }),
        tasks: Some(tasks),
        timestamp: now.0,
    }
}

fn disk(device: String, mountpoint: &str, used: FileSystemUse) -> api::HostDiskStats {
    api::HostDiskStats {
        device,
        mountpoint: mountpoint.to_owned(),
        size: used.bytes_total,
        used: used.bytes_used,
        available: used.bytes_available,
        used_percent: used.used_percent(),
        inodes_used_percent: used.inodes_used_percent(),
    }
}

/// Use of the machine between two looks at its processors.
pub(crate) fn host_stats(before: &[CoreTime], after: &[CoreTime], mhz: f64, alloc_dir: FileSystemUse, now: WallTime) -> api::HostStats {
    let memory = drover_linux::fingerprint::memory().unwrap_or_default();
    let mut consumed = 0.0;
    let cores = after
        .iter()
        .map(|core| {
            let earlier = before.iter().find(|earlier| earlier.core == core.core).copied().unwrap_or_default();
            let total = core.total().saturating_sub(earlier.total()).max(1) as f64;
            let share = |after: u64, before: u64| after.saturating_sub(before) as f64 / total * 100.0;
            let (user, system) = (share(core.user, earlier.user), share(core.system, earlier.system));
            let ticks = (user + system) / 100.0 * mhz;
            consumed += ticks;
            api::HostCPUStats {
                cpu: format!("cpu{}", core.core),
                user,
                system,
                idle: share(core.idle, earlier.idle),
                total_percent: user + system,
                total_ticks: ticks,
            }
        })
        .collect();
    let root = drover_linux::path::file_system_use(std::path::Path::new("/")).unwrap_or_default();
    let device = drover_linux::fingerprint::volume_of(std::path::Path::new("/")).unwrap_or_default();
    api::HostStats {
        memory: Some(api::HostMemoryStats {
            total: memory.total,
            available: memory.available,
            used: memory.total.saturating_sub(memory.available),
            free: memory.free,
        }),
        cpu: Some(cores),
        disk_stats: Some(vec![disk(device, "/", root)]),
        alloc_dir_stats: Some(disk(String::new(), "", alloc_dir)),
        device_stats: None,
        uptime: drover_linux::fingerprint::uptime_seconds(),
        cpu_ticks_consumed: consumed,
        timestamp: now.0,
    }
}
