//! Reading evaluations.

use std::sync::Arc;

use drover_api as api;
use drover_base::EvalId;
use drover_model::Evaluation;
use drover_server::{Concern, why};
use drover_state::{Snapshot, Table};
use http::StatusCode;

use super::ordered::Ordered;
use super::{State, one, value};
use crate::blocking::{At, blocking};
use crate::error::ApiError;
use crate::filter::{Filter, Kind};
use crate::reply::{Meta, Reply};
use crate::request::Request;
use crate::{ids, view};

/// `GET /v1/evaluations`.
pub async fn list<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let text = |name: &str| request.query.get(name).to_owned();
    let (job, status) = (text("job"), text("status"));
    let narrowed = !job.is_empty() || !status.is_empty();
    if narrowed && !text("filter").is_empty() {
        return Err(ApiError::bad_request("Filter expression cannot be used with other filter parameters"));
    }
    let prefix = ids::prefix(request.query.get("prefix"), "eval")?;
    let scope = request.scope();
    let request = request.about(Concern::Table(Table::Evals));
    let full = |snapshot: &Snapshot, eval: &Evaluation| view::evaluation_in(snapshot, eval);
    let fits = |eval: &Evaluation| {
        scope.includes(&eval.job_id.namespace)
            && (job.is_empty() || eval.job_id.id == job)
            && (status.is_empty() || eval.status.text() == status)
    };
    Ordered { prefix: &prefix, fits, full, stub: full, kind: Kind::Evaluation }.by_creation(&*source, &request).await
}

/// `GET /v1/evaluations/count`.
pub async fn count<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let options = request.read_options()?;
    let filter = Filter::parse(request.query.get("filter"), Kind::Evaluation).map_err(|error| {
        // Counting is no page of a list: the reason alone is told.
        ApiError::by_text(error.text.rsplit("filter expression: ").next().unwrap_or(""))
    })?;
    let scope = request.scope();
    let found = blocking(&*source, &request, &options, |snapshot| {
        let mut count = 0;
        for eval in snapshot.evals().filter(|eval| scope.includes(&eval.job_id.namespace)) {
            // One that a selector does not fit is not counted, and no reason to refuse.
            if !filter.is_some() || filter.matches(&view::evaluation(eval)).unwrap_or(false) {
                count += 1;
            }
        }
        Ok(At { index: snapshot.table_index(Table::Evals), value: count })
    })
    .await?;
    let response =
        api::EvalCountResponse { count: found.value, index: found.index, known_leader: true, ..api::EvalCountResponse::default() };
    Ok(Reply::json(&response)?.meta(&Meta::at(found.index)))
}

fn id(request: &Request) -> Result<EvalId, ApiError> {
    ids::full(request.parameter("eval_id"), "eval")
        .map_err(|error| ApiError::new(error.status, format!("failed to lookup eval: {}", error.text)))
}

/// `GET /v1/evaluation/{eval_id}`.
pub async fn read<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = id(&request)?;
    let related = request.query.boolean("related", StatusCode::INTERNAL_SERVER_ERROR)?.unwrap_or(false);
    let request = if related { request } else { request.about(Concern::Eval(id)) };
    one(&*source, &request, "eval not found", |snapshot| {
        let Some(eval) = snapshot.eval(id) else {
            return Ok(At { index: snapshot.table_index(Table::Evals), value: None });
        };
        let mut shown = view::evaluation_in(snapshot, eval);
        shown.why = view::why(why::evaluation(snapshot, eval));
        if related {
            let stubs: Vec<api::EvaluationStub> = relatives(snapshot, eval).iter().map(|eval| view::evaluation_stub(eval)).collect();
            shown.related_evals = Some(stubs);
        }
        Ok(At { index: eval.modify_index, value: Some(shown) })
    })
    .await
}

/// Everything that an evaluation leads to or comes from, itself left out, in the order of creation.
fn relatives(snapshot: &Snapshot, eval: &Evaluation) -> Vec<Arc<Evaluation>> {
    let mut seen = std::collections::BTreeSet::from([eval.id]);
    let neighbours = |eval: &Evaluation| [eval.next_eval, eval.previous_eval, eval.blocked_eval];
    let mut waiting: Vec<EvalId> = neighbours(eval).into_iter().flatten().collect();
    let mut found = Vec::new();
    while let Some(next) = waiting.pop() {
        if seen.insert(next)
            && let Some(eval) = snapshot.eval(next)
        {
            waiting.extend(neighbours(eval).into_iter().flatten());
            found.push(Arc::clone(eval));
        }
    }
    found.sort_by_key(|eval| (eval.create_index, eval.id));
    found
}

/// `GET /v1/evaluation/{eval_id}/allocations`.
pub async fn allocations<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = id(&request)?;
    let request = request.about(Concern::Table(Table::Allocs));
    value(&*source, &request, |snapshot| {
        let found: Vec<_> = snapshot.allocs_of_eval(id).collect();
        let index = found.iter().map(|alloc| alloc.modify_index).max();
        let stubs: Vec<api::AllocationListStub> = found.into_iter().map(|alloc| view::alloc_stub(snapshot, alloc, false, true)).collect();
        Ok(At { index: index.unwrap_or_else(|| snapshot.table_index(Table::Allocs)), value: stubs })
    })
    .await
}
