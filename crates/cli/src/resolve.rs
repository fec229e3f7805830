//! From what a user types to an object: exact ids, prefixes of ids, and a table of candidates when several match.

use drover_api::{AllocationListStub, Deployment, Evaluation, JobListStub, NodeListStub};

use crate::command::{Attempt, Context, Failure};
use crate::row;
use crate::sdk::{Client, Query};
use crate::text::{short, table};

/// How many jobs are asked for when a prefix is looked up.
const JOB_MATCHES: u32 = 20;

/// A job that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundJob {
    /// Its id.
    pub id: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether only a prefix of the id was given.
    pub by_prefix: bool,
}

impl FoundJob {
    /// The path of the job in the API.
    pub fn path(&self) -> String {
        format!("/v1/job/{}", crate::sdk::segment(&self.id))
    }

    /// A query in the job's namespace.
    pub fn query(&self) -> Query {
        Query::new().namespace(&self.namespace)
    }
}

/// Finds a job by id or prefix; an exact id wins.
///
/// # Errors
/// When none or several match.
pub async fn job(context: &Context, client: &Client, given: &str) -> Result<FoundJob, Failure> {
    let query = Query::new().set("prefix", given).set("per_page", JOB_MATCHES);
    let stubs = match client.get::<Vec<JobListStub>>("/v1/jobs", &query).await {
        Ok(answer) => answer.value,
        Err(error) if error.is_code(403) => {
            let namespace = client.config().namespace.clone();
            return Ok(FoundJob { id: given.to_owned(), namespace, by_prefix: false });
        }
        error => error.attempt("Error querying job prefix")?.value,
    };
    let found = |stub: &JobListStub| FoundJob { id: stub.id.clone(), namespace: stub.namespace.clone(), by_prefix: stub.id != given };
    let exact: Vec<&JobListStub> = stubs.iter().filter(|stub| stub.id == given).collect();
    match (exact.as_slice(), stubs.as_slice()) {
        ([one], _) => Ok(found(one)),
        ([], [one]) => Ok(found(one)),
        ([], []) => Err(Failure::new(format!("No job(s) with prefix or ID {given:?} found"))),
        _ => {
            let list = job_table(context, &stubs, client.config().namespace == "*");
            Err(Failure::new(format!("Prefix {given:?} matched multiple jobs\n\n{list}")))
        }
    }
}

/// The list of jobs as `job status` shows it.
pub fn job_table(context: &Context, stubs: &[JobListStub], namespaces: bool) -> String {
    let mut rows = vec![if namespaces {
        row!["ID", "Namespace", "Type", "Priority", "Status", "Submit Date"]
    } else {
        row!["ID", "Type", "Priority", "Status", "Submit Date"]
    }];
    for stub in stubs {
        let kind = match (stub.periodic, stub.parameterized_job) {
            (true, _) => format!("{}/periodic", stub.r#type),
            (_, true) => format!("{}/parameterized", stub.r#type),
            _ => stub.r#type.clone(),
        };
        let status = if stub.stop { format!("{} (stopped)", stub.status) } else { stub.status.clone() };
        let mut row = row![stub.id];
        if namespaces {
            row.push(stub.namespace.clone());
        }
        row.extend(row![kind, stub.priority, status, context.zone.nanoseconds(stub.submit_time)]);
        rows.push(row);
    }
    table(&rows)
}

/// Checks the length of an id's prefix and cuts it to an even number of digits.
fn even_prefix(given: &str) -> Result<String, Failure> {
    if given.len() < 2 {
        return Err(Failure::new("Identifier must contain at least two characters."));
    }
    let digits = given.chars().filter(|letter| *letter != '-').count();
    let keep = given.chars().count() - digits % 2;
    Ok(given.chars().take(keep).collect())
}

/// Finds an allocation by id or prefix.
///
/// # Errors
/// When none or several match.
pub async fn alloc(context: &Context, client: &Client, given: &str) -> Result<AllocationListStub, Failure> {
    let prefix = even_prefix(given)?;
    let query = Query::new().set("prefix", prefix);
    let answer = client.get::<Vec<AllocationListStub>>("/v1/allocations", &query).await;
    let mut stubs = answer.attempt("Error querying allocation")?.value;
    match stubs.len() {
        0 => Err(Failure::new(format!("No allocation(s) with prefix or id {given:?} found"))),
        1 => Ok(stubs.remove(0)),
        _ => {
            let list = crate::commands::alloc::list(context, &stubs, context.verbose());
            Err(Failure::new(format!("Prefix matched multiple allocations\n\n{list}")))
        }
    }
}

/// Finds a node by id or prefix.
///
/// # Errors
/// When none or several match.
pub async fn node(context: &Context, client: &Client, given: &str) -> Result<(NodeListStub, bool), Failure> {
    let prefix = even_prefix(given)?;
    let answer = client.get::<Vec<NodeListStub>>("/v1/nodes", &Query::new().set("prefix", prefix)).await;
    let mut stubs = answer.attempt("Error querying node info")?.value;
    match stubs.len() {
        0 => Err(Failure::new(format!("No node(s) with prefix or id {given:?} found"))),
        1 => {
            let stub = stubs.remove(0);
            let by_prefix = stub.id != given;
            Ok((stub, by_prefix))
        }
        _ => {
            let mut rows = vec![row!["ID", "DC", "Name", "Class", "Drain", "Eligibility", "Status"]];
            for stub in &stubs {
                let id = short(&stub.id, context.verbose());
                rows.push(row![id, stub.datacenter, stub.name, stub.node_class, stub.drain, stub.scheduling_eligibility, stub.status]);
            }
            Err(Failure::new(format!("Prefix matched multiple nodes\n\n{}", table(&rows))))
        }
    }
}

/// Finds an evaluation by id or prefix.
///
/// # Errors
/// When none or several match.
pub async fn eval(context: &Context, client: &Client, given: &str) -> Result<Evaluation, Failure> {
    let prefix = even_prefix(given)?;
    let answer = client.get::<Vec<Evaluation>>("/v1/evaluations", &Query::new().set("prefix", prefix)).await;
    let mut evals = answer.attempt("Error querying evaluation")?.value;
    match evals.len() {
        0 => Err(Failure::new(format!("No evaluation(s) with prefix or id {given:?} found"))),
        1 => Ok(evals.remove(0)),
        _ => {
            let mut rows = vec![row!["ID", "Priority", "Triggered By", "Status", "Placement Failures"]];
            for eval in &evals {
                let failures = crate::commands::eval::failures(&eval.status, eval.failed_tg_allocs.as_ref());
                rows.push(row![short(&eval.id, context.verbose()), eval.priority, eval.triggered_by, eval.status, failures]);
            }
            Err(Failure::new(format!("Prefix matched multiple evaluations\n\n{}", table(&rows))))
        }
    }
}

/// Finds a deployment by id or prefix.
///
/// # Errors
/// When none or several match, after `attempt`.
pub async fn deployment(context: &Context, client: &Client, given: &str) -> Result<Deployment, Failure> {
    let attempt = "Error retrieving deployment";
    if given.len() == 36 {
        let path = format!("/v1/deployment/{}", crate::sdk::segment(given));
        return Ok(client.get::<Deployment>(&path, &Query::new()).await.attempt(attempt)?.value);
    }
    let prefix = even_prefix(given)?;
    let answer = client.get::<Vec<Deployment>>("/v1/deployments", &Query::new().set("prefix", prefix)).await;
    let mut found = answer.attempt(attempt)?.value;
    match found.len() {
        0 => Err(Failure::new(format!("{attempt}: Deployment ID {given:?} matched no deployments"))),
        1 => Ok(found.remove(0)),
        _ => {
            let list = crate::commands::deployment::list(context, &found);
            Err(Failure::new(format!("Prefix matched multiple deployments\n\n{list}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_cut_to_whole_bytes() {
        assert_eq!(even_prefix("abc").unwrap(), "ab");
        assert_eq!(even_prefix("12345678-a").unwrap(), "12345678-");
        assert_eq!(even_prefix("12345678-ab").unwrap(), "12345678-ab");
        assert_eq!(even_prefix("a").unwrap_err().text, "Identifier must contain at least two characters.");
    }
}
