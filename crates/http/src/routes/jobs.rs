//! Reading jobs and what belongs to them.

use std::sync::Arc;

use drover_api as api;
use drover_model::JobId;
use drover_server::Concern;
use drover_server::why;
use drover_state::{JobRow, Snapshot, Table};
use http::StatusCode;

use super::ordered::Jobs;
use super::{State, job_id, one, value};
use crate::blocking::At;
use crate::error::ApiError;
use crate::reply::{Meta, Reply};
use crate::request::Request;
use crate::view;

/// `GET /v1/jobs`.
pub async fn list<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let meta = request.query.boolean("meta", StatusCode::INTERNAL_SERVER_ERROR)?.unwrap_or(false);
    let jobs = Jobs {
        scope: &request.scope(),
        prefix: request.query.get("prefix"),
        full: |_: &Snapshot, row: &JobRow| view::job(row),
        stub: |snapshot: &Snapshot, row: &JobRow| view::job_stub(snapshot, row, meta),
    };
    jobs.answer(&*source, &request).await
}

fn row<'a>(snapshot: &'a Snapshot, id: &JobId) -> Option<&'a Arc<JobRow>> {
    snapshot.job(id)
}

/// `GET /v1/job/{job_id}`.
pub async fn read<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Job(id.clone()));
    one(&*source, &request, "job not found", |snapshot| {
        let found = row(snapshot, &id);
        let index = found.map_or_else(|| snapshot.table_index(Table::Jobs), |row| row.modify_index);
        Ok(At { index, value: found.map(|row| view::job(row)) })
    })
    .await
}

/// `GET /v1/job/{job_id}/summary`.
pub async fn summary<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Job(id.clone()));
    one(&*source, &request, "job not found", |snapshot| {
        let found = row(snapshot, &id);
        let index = found.map_or_else(|| snapshot.table_index(Table::Summaries), |row| row.summary_index);
        let value = found.map(|row| api::JobSummary { why: view::why(why::job(snapshot, row)), ..view::summary(row) });
        Ok(At { index, value })
    })
    .await
}

/// `GET /v1/job/{job_id}/scale`.
pub async fn scale_status<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Job(id.clone()));
    one(&*source, &request, "job not found", |snapshot| {
        let found = row(snapshot, &id);
        let own = found.map_or(0, |row| row.modify_index.max(row.summary_index));
        let index = if found.is_some() { own } else { snapshot.table_index(Table::Jobs) };
        Ok(At { index: index.max(1), value: found.map(|row| view::scale_status(snapshot, row)) })
    })
    .await
}

/// `GET /v1/job/{job_id}/versions`.
pub async fn versions<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Job(id.clone()));
    let wants_diffs = request.query.boolean("diffs", StatusCode::INTERNAL_SERVER_ERROR)?.unwrap_or(false);
    let tag = request.query.find("diff_tag").filter(|tag| !tag.is_empty()).map(str::to_owned);
    let version = match request.query.get("diff_version") {
        "" => None,
        text => Some(text.parse::<u64>().map_err(|_| {
            let reason = crate::query::not_a_number("ParseUint", text);
            ApiError::by_text(format!("Failed to parse value of \"diff_version\" ({text}) as a uint64: {reason}"))
        })?),
    };
    one(&*source, &request, "job versions not found", |snapshot| {
        let Some(row) = row(snapshot, &id) else {
            return Ok(At { index: snapshot.table_index(Table::Jobs), value: None });
        };
        let all: Vec<api::Job> = row.versions.iter().map(|entry| view::version(row, entry)).collect();
        let diffs = if wants_diffs { Some(diffs(row, &all, tag.as_deref(), version)?) } else { None };
        let index = row.modify_index;
        let response = api::JobVersionsResponse { versions: Some(all), diffs, index, known_leader: true, ..Default::default() };
        Ok(At { index, value: Some(response) })
    })
    .await
}

/// What each version changed against the one before, or against a fixed one.
fn diffs(row: &JobRow, all: &[api::Job], tag: Option<&str>, version: Option<u64>) -> Result<Vec<api::JobDiff>, ApiError> {
    let base = match (tag, version) {
        (None, None) => None,
        (Some(tag), _) => {
            let found = row.versions.iter().position(|entry| entry.tag.as_ref().is_some_and(|own| own.name == tag));
            Some(found.ok_or_else(|| ApiError::by_text(format!("tag {tag:?} not found")))?)
        }
        (None, Some(version)) => {
            let found = row.versions.iter().position(|entry| entry.job.version == version);
            Some(found.ok_or_else(|| ApiError::by_text(format!("version {version} not found")))?)
        }
    };
    let against = |position: usize| base.map_or_else(|| all.get(position + 1), |base| all.get(base));
    Ok((0..all.len()).filter_map(|position| Some(drover_model::diff::job(Some(against(position)?), &all[position]))).collect())
}

/// `GET /v1/job/{job_id}/submission`.
pub async fn submission<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Job(id.clone()));
    let version: u64 =
        request.query.get("version").parse().map_err(|_| ApiError::bad_request("Unable to parse job submission version parameter"))?;
    request.permit(&id.namespace)?;
    one(&*source, &request, "job source not found", |snapshot| {
        let found = row(snapshot, &id).and_then(|row| {
            let entry = row.version(version)?;
            Some((row, entry, entry.submission.as_ref()?))
        });
        let index = found.map_or(0, |(_, entry, _)| entry.job.job_modify_index);
        Ok(At { index, value: found.map(|(row, entry, source)| view::submission(row, entry, source)) })
    })
    .await
}

/// `GET /v1/job/{job_id}/allocations`.
pub async fn allocations<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Job(id.clone()));
    let all = request.query.boolean("all", StatusCode::INTERNAL_SERVER_ERROR)?.unwrap_or(false);
    value(&*source, &request, |snapshot| {
        let mut index = 0;
        let mut stubs = Vec::new();
        // Allocations of a job that had the id before belong to another row.
        let created = row(snapshot, &id).map(|row| row.job().create_index);
        let fits = |alloc: &drover_state::Alloc| alloc.job.id == id && (all || Some(alloc.job.create_index) == created);
        let found: Vec<_> = match snapshot.job_slot(&id) {
            Some(slot) if !all => snapshot.allocs_of_job(slot).filter(|alloc| fits(alloc)).collect(),
            _ => snapshot.allocs().filter(|alloc| fits(alloc)).collect(),
        };
        for alloc in found {
            index = index.max(alloc.modify_index);
            stubs.push(view::alloc_stub(snapshot, alloc, false, true));
        }
        stubs.sort_by_key(|stub| std::cmp::Reverse(stub.create_index));
        let index = if index == 0 { snapshot.table_index(Table::Allocs) } else { index };
        Ok(At { index, value: stubs })
    })
    .await
}

/// `GET /v1/job/{job_id}/evaluations`.
pub async fn evaluations<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Job(id.clone()));
    value(&*source, &request, |snapshot| {
        let mut evals: Vec<_> = snapshot.evals_of_job(&id).collect();
        evals.reverse();
        let index = evals.iter().map(|eval| eval.modify_index).max();
        let value: Vec<api::Evaluation> = evals.into_iter().map(|eval| view::evaluation_in(snapshot, eval)).collect();
        Ok(At { index: index.unwrap_or_else(|| snapshot.table_index(Table::Evals)), value })
    })
    .await
}

/// `GET /v1/job/{job_id}/deployments`.
pub async fn deployments<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Job(id.clone()));
    let all = request.query.boolean("all", StatusCode::INTERNAL_SERVER_ERROR)?.unwrap_or(false);
    value(&*source, &request, |snapshot| {
        let created = row(snapshot, &id).map(|row| row.job().create_index);
        let fits = |deployment: &&Arc<drover_model::Deployment>| all || Some(deployment.job_create_index) == created;
        let found: Vec<_> = snapshot.deployments_of_job(&id).rev().filter(fits).collect();
        let index = found.iter().map(|deployment| deployment.modify_index).max();
        let value: Vec<api::Deployment> = found.into_iter().map(|deployment| view::deployment(deployment)).collect();
        Ok(At { index: index.unwrap_or_else(|| snapshot.table_index(Table::Deployments)), value })
    })
    .await
}

/// `GET /v1/job/{job_id}/deployment`: the newest, or null.
pub async fn deployment<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Job(id.clone()));
    value(&*source, &request, |snapshot| {
        let found = snapshot.latest_deployment(&id);
        let index = found.map_or_else(|| snapshot.table_index(Table::Deployments), |deployment| deployment.modify_index);
        let value = found
            .map(|deployment| api::Deployment { why: view::why(why::deployment(snapshot, deployment)), ..view::deployment(deployment) });
        Ok(At { index, value })
    })
    .await
}

/// `GET /v1/job/{job_id}/services`.
pub async fn services<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let request = request.about(Concern::Table(Table::Services));
    one(&*source, &request, "job not found", |snapshot| {
        let own = |service: &&Arc<drover_model::ServiceRegistration>| service.job_id == id.id && service.namespace == id.namespace;
        let found = row(snapshot, &id)
            .map(|_| snapshot.services().filter(own).map(|service| view::service(service)).collect::<Vec<api::ServiceRegistration>>());
        Ok(At { index: snapshot.table_index(Table::Services), value: found })
    })
    .await
}

/// `GET /v1/job/{job_id}/actions`: tells neither an index nor a leader.
pub async fn actions<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = job_id(&request);
    let snapshot = source.snapshot();
    let job = row(&snapshot, &id).map(|row| view::job(row));
    let job = job.ok_or_else(|| ApiError::by_text(format!("Unknown job {:?}", id.id)))?;
    let mut actions = Vec::new();
    for group in job.task_groups.iter().flatten() {
        for task in group.tasks.iter().flatten() {
            actions.extend(task.actions.iter().flatten().map(|action| api::JobAction {
                name: action.name.clone(),
                command: action.command.clone(),
                args: action.args.clone(),
                task_name: task.name.clone(),
                task_group_name: group.name.clone().unwrap_or_default(),
            }));
        }
    }
    Ok(Reply::json(&actions)?.meta(&Meta::default()))
}
