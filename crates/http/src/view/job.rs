//! Jobs: in full, as list entries, their counts, versions, sources and scaling.

use std::collections::BTreeMap;

use drover_api as api;
use drover_model::command::Submission;
use drover_state::{JobRow, JobVersion, Snapshot};

/// The newest version of a job.
pub fn job(row: &JobRow) -> api::Job {
    version(row, &row.versions[0])
}

/// A version of a job.
pub fn version(row: &JobRow, version: &JobVersion) -> api::Job {
    version.job.to_api(&row.view(version))
}

/// The counts of a job's allocations, and of its children if it is a parent.
pub fn summary(row: &JobRow) -> api::JobSummary {
    let groups = row.summary.iter().map(|(name, counts)| {
        let counts = api::TaskGroupSummary {
            queued: i64::from(counts.queued),
            complete: i64::from(counts.complete),
            failed: i64::from(counts.failed),
            running: i64::from(counts.running),
            starting: i64::from(counts.starting),
            lost: i64::from(counts.lost),
            unknown: i64::from(counts.unknown),
        };
        (name.clone(), counts)
    });
    let job = row.job();
    let children = api::JobChildrenSummary {
        pending: i64::from(row.children.pending),
        running: i64::from(row.children.running),
        dead: i64::from(row.children.dead),
    };
    api::JobSummary {
        job_id: job.id.id.clone(),
        namespace: job.id.namespace.clone(),
        summary: Some(groups.collect()),
        children: Some(children),
        create_index: job.create_index,
        modify_index: row.summary_index,
        why: None,
    }
}

/// A job as a list entry, with its meta if wanted.
pub fn job_stub(_: &Snapshot, row: &JobRow, with_meta: bool) -> api::JobListStub {
    let job = row.job();
    api::JobListStub {
        id: job.id.id.clone(),
        parent_id: job.parent_id.clone(),
        name: job.name.clone(),
        namespace: job.id.namespace.clone(),
        datacenters: Some(job.datacenters.clone()),
        r#type: job.kind.text().to_owned(),
        priority: i64::from(job.priority),
        periodic: job.is_periodic(),
        parameterized_job: job.is_parameterized(),
        stop: job.stop,
        status: row.status.text().to_owned(),
        status_description: String::new(),
        job_summary: Some(summary(row)),
        create_index: job.create_index,
        modify_index: row.modify_index,
        job_modify_index: job.job_modify_index,
        submit_time: job.submit_time.0,
        meta: if with_meta { Some(job.meta.clone()) } else { None },
        node_pool: job.node_pool.clone(),
        multiregion: None,
    }
}

/// The source of a version.
pub fn submission(row: &JobRow, version: &JobVersion, source: &Submission) -> api::JobSubmission {
    let flags = source.variable_flags.clone();
    api::JobSubmission {
        source: source.source.clone(),
        format: source.format.clone(),
        variable_flags: (!flags.is_empty()).then_some(flags),
        variables: source.variables.clone(),
        namespace: row.id().namespace.clone(),
        job_id: row.id().id.clone(),
        version: version.job.version,
        job_modify_index: version.job.job_modify_index,
    }
}

/// Counts wanted and had, and who changed them.
pub fn scale_status(snapshot: &Snapshot, row: &JobRow) -> api::JobScaleStatusResponse {
    let job = row.job();
    let mut groups: BTreeMap<String, api::TaskGroupScaleStatus> = BTreeMap::new();
    for group in job.task_groups.iter() {
        let events = row.scaling.get(&group.name).into_iter().flatten().map(|event| api::ScalingEvent {
            count: event.count,
            previous_count: event.previous_count,
            error: event.error,
            message: event.message.clone(),
            // Kept as text; an object when it was sent, null when there was none.
            meta: serde_json::from_str(&event.meta).unwrap_or_default(),
            eval_id: event.eval_id.map(|id| id.to_string()),
            time: event.time.0,
            create_index: event.create_index,
        });
        let status = api::TaskGroupScaleStatus {
            desired: i64::from(group.count),
            events: super::list(events.collect()),
            ..api::TaskGroupScaleStatus::default()
        };
        groups.insert(group.name.clone(), status);
    }
    if let Some(slot) = snapshot.job_slot(row.id()) {
        for alloc in snapshot.allocs_of_job(slot).filter(|alloc| !alloc.terminal()) {
            let Some(status) = groups.get_mut(alloc.group_name()) else { continue };
            status.placed += 1;
            if alloc.client_status == drover_model::ClientStatus::Running {
                status.running += 1;
            }
            match alloc.is_healthy() {
                Some(true) => status.healthy += 1,
                Some(false) => status.unhealthy += 1,
                None => {}
            }
        }
    }
    api::JobScaleStatusResponse {
        job_id: job.id.id.clone(),
        namespace: job.id.namespace.clone(),
        job_create_index: job.create_index,
        job_modify_index: job.job_modify_index,
        job_stopped: job.stop,
        task_groups: Some(groups),
    }
}
