//! What an agent measures of itself and its node, gathered once for each interval of collection.

use drover_model::{ClientStatus, TaskStatus};
use drover_rt::Clock;
use drover_server::Gauge;

use crate::agent::Agent;

/// A mebibyte.
const MIB: f64 = 1_048_576.0;

impl Agent {
    /// Gathers what servers and clients measure now, unless that was just done; what is not told any more is dropped. Nobody asks,
    /// nothing is gathered.
    pub async fn measure(&self, clock: &Clock) {
        if !self.telemetry.begin_gathering(clock.monotonic()) {
            return;
        }
        let mut gauges = self.server.as_ref().map(drover_server::Server::gauges).unwrap_or_default();
        self.measure_node(&mut gauges).await;
        let host = || ("host".to_owned(), self.facts.name.clone());
        self.telemetry.gather(gauges.into_iter().map(|gauge| {
            let labels = gauge.labels.into_iter().map(|(name, value)| (name.to_owned(), value)).chain([host()]).collect();
            (gauge.name.to_owned(), labels, gauge.value)
        }));
    }

    async fn measure_node(&self, out: &mut Vec<Gauge>) {
        let Some(client) = &self.client else { return };
        let node = client.node();
        let mut statuses = [0_u32; 3];
        let (mut ended, mut tasks) = (0_u32, [0_u32; 3]);
        let (mut cpu, mut memory, mut memory_most, mut disk) = (0.0, 0.0, 0.0, 0.0);
        let allocs = client.statuses();
        for (alloc, status, states) in &allocs {
            match status {
                ClientStatus::Pending => statuses[0] += 1,
                ClientStatus::Running => statuses[1] += 1,
                ClientStatus::Unknown => statuses[2] += 1,
                ClientStatus::Complete | ClientStatus::Failed | ClientStatus::Lost => {
                    ended += 1;
                    continue;
                }
            }
            for state in states {
                tasks[match state {
                    TaskStatus::Pending => 0,
                    TaskStatus::Running => 1,
                    TaskStatus::Dead => 2,
                }] += 1;
            }
            disk += f64::from(alloc.resources.disk_mb);
            for task in alloc.resources.tasks.values() {
                cpu += f64::from(task.cpu_mhz);
                memory += f64::from(task.memory_mb);
                memory_most += f64::from(task.memory_max_mb.max(task.memory_mb));
            }
        }
        let size = &node.resources;
        let left = |whole: u32, kept: u32, used: f64| f64::from(whole.saturating_sub(kept)) - used;
        // As far as this node was told.
        let contact = client.contact();
        let eligible = contact.as_ref().is_none_or(|contact| contact.answer.eligible);
        let own = |name: &'static str, value: f64| {
            Gauge::new(name, value)
                .about("node_id", node.id.to_string())
                .about("datacenter", node.datacenter.clone())
                .about("node_class", if node.node_class.is_empty() { "none".to_owned() } else { node.node_class.clone() })
                .about("node_pool", node.node_pool.clone())
                .about("node_status", (if contact.is_some() { "ready" } else { "initializing" }).to_owned())
                .about("node_scheduling_eligibility", (if eligible { "eligible" } else { "ineligible" }).to_owned())
        };
        out.extend([
            own("nomad.client.allocated.cpu", cpu),
            own("nomad.client.allocated.memory", memory),
            own("nomad.client.allocated.max_memory", memory_most),
            own("nomad.client.allocated.disk", disk),
            own("nomad.client.unallocated.cpu", left(size.cpu_mhz, size.reserved_cpu_mhz, cpu)),
            own("nomad.client.unallocated.memory", left(size.memory_mb, size.reserved_memory_mb, memory)),
            own("nomad.client.unallocated.disk", left(size.disk_mb, size.reserved_disk_mb, disk)),
            own("nomad.client.allocations.pending", statuses[0].into()),
            own("nomad.client.allocations.running", statuses[1].into()),
            own("nomad.client.allocations.blocked", 0.0),
            own("nomad.client.allocations.migrating", 0.0),
            own("nomad.client.allocations.terminal", ended.into()),
            own("nomad.client.tasks.pending", tasks[0].into()),
            own("nomad.client.tasks.running", tasks[1].into()),
            own("nomad.client.tasks.dead", tasks[2].into()),
        ]);
        let wanted = self.facts.config.telemetry.as_ref();
        if wanted.is_some_and(|telemetry| telemetry.publish_node_metrics) {
            let stats = client.host_stats().await;
            if let Some(memory) = stats.memory {
                out.extend([
                    own("nomad.client.host.memory.total", memory.total as f64),
                    own("nomad.client.host.memory.available", memory.available as f64),
                    own("nomad.client.host.memory.used", memory.used as f64),
                    own("nomad.client.host.memory.free", memory.free as f64),
                ]);
            }
            for core in stats.cpu.iter().flatten() {
                out.extend([
                    own("nomad.client.host.cpu.user", core.user).about("cpu", core.cpu.clone()),
                    own("nomad.client.host.cpu.system", core.system).about("cpu", core.cpu.clone()),
                    own("nomad.client.host.cpu.idle", core.idle).about("cpu", core.cpu.clone()),
                    own("nomad.client.host.cpu.total_percent", core.total_percent).about("cpu", core.cpu.clone()),
                    own("nomad.client.host.cpu.total_ticks", core.total_ticks).about("cpu", core.cpu.clone()),
                ]);
            }
            for disk in stats.disk_stats.iter().flatten() {
                out.extend([
                    own("nomad.client.host.disk.size", disk.size as f64).about("disk", disk.device.clone()),
                    own("nomad.client.host.disk.used", disk.used as f64).about("disk", disk.device.clone()),
                    own("nomad.client.host.disk.available", disk.available as f64).about("disk", disk.device.clone()),
                    own("nomad.client.host.disk.used_percent", disk.used_percent).about("disk", disk.device.clone()),
                    own("nomad.client.host.disk.inodes_percent", disk.inodes_used_percent).about("disk", disk.device.clone()),
                ]);
            }
            out.push(own("nomad.client.uptime", stats.uptime as f64));
        }
        if wanted.is_some_and(|telemetry| telemetry.publish_allocation_metrics) {
            for (alloc, _, _) in allocs.iter().filter(|(_, status, _)| *status == ClientStatus::Running) {
                let Ok(usage) = client.alloc_stats(alloc.id, None).await else { continue };
                for (task, used) in usage.tasks.into_iter().flatten() {
                    let Some(used) = used.and_then(|used| used.resource_usage) else { continue };
                    let about = |name: &'static str, value: f64| {
                        Gauge::new(name, value)
                            .about("alloc_id", alloc.id.to_string())
                            .about("job", alloc.job.id.id.clone())
                            .about("namespace", alloc.job.id.namespace.clone())
                            .about("task_group", alloc.group.clone())
                            .about("task", task.clone())
                    };
                    let size = alloc.resources.tasks.get(&task);
                    if let Some(memory) = used.memory_stats {
                        out.extend([
                            about("nomad.client.allocs.memory.rss", memory.rss as f64),
                            about("nomad.client.allocs.memory.swap", memory.swap as f64),
                            about("nomad.client.allocs.memory.allocated", size.map_or(0.0, |size| f64::from(size.memory_mb) * MIB)),
                        ]);
                    }
                    if let Some(cpu) = used.cpu_stats {
                        out.extend([
                            about("nomad.client.allocs.cpu.allocated", size.map_or(0.0, |size| size.cpu_mhz.into())),
                            about("nomad.client.allocs.cpu.system", cpu.system_mode),
                            about("nomad.client.allocs.cpu.user", cpu.user_mode),
                            about("nomad.client.allocs.cpu.total_percent", cpu.percent),
                            about("nomad.client.allocs.cpu.total_ticks", cpu.total_ticks),
                            about("nomad.client.allocs.cpu.throttled_periods", cpu.throttled_periods as f64),
                            about("nomad.client.allocs.cpu.throttled_time", cpu.throttled_time as f64),
                        ]);
                    }
                }
            }
        }
    }
}
