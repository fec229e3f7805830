//! Jobs and what comes of them.

use drover_api as api;

use crate::openapi::operation::{Operation, op};
use crate::route::Methods::{Delete, Get, Write};

pub(super) fn jobs() -> Vec<Operation> {
    vec![
        op(Get, "/v1/jobs", "listJobs", "The jobs of a namespace.")
            .query("index wait stale region namespace prefix per_page next_token filter reverse pretty")
            .flag("meta", "Whether the metadata comes along.")
            .gives::<Vec<api::JobListStub>>()
            .fails(400, "'failed to create result paginator: ...' or 'failed to read result page: ...' on filter trouble")
            .fails(403, "")
            .fails(500, "when meta is not a bool"),
        op(Write, "/v1/jobs", "registerJob", "Registers a job, or a new version of it, and has it evaluated.")
            .query("region namespace pretty")
            .takes::<api::JobRegisterRequest>()
            .gives::<api::JobRegisterResponse>()
            .fails(400, "'Job must be specified', 'Job ID hasn't been provided', system job with scaling block, eval priority outside 1..100")
            .fails(403, "'Permission denied'; 'Job registration, dispatch, and scale are disabled by the scheduler configuration'")
            .fails(500, "for job validation failures (multi-line text 'N error(s) occurred: ...'); text starting 'Enforcing job modify index' on a failed EnforceIndex check"),
        op(Get, "/v1/jobs/statuses", "listJobStatuses", "How the jobs of a namespace do: their allocations and newest deployment, newest job first.")
            .query("index wait stale region namespace prefix per_page next_token filter reverse pretty")
            .flag("include_children", "Whether children of periodic and parameterized jobs come along.")
            .takes::<api::JobStatusesRequest>()
            .body_optional()
            .gives::<Vec<api::JobStatusesJob>>()
            .fails(400, "'no jobs in request', body decode failure or bad include_children")
            .fails(500, "(not 400) for filter errors"),
        op(Write, "/v1/jobs/statuses", "findJobStatuses", "How the jobs named in the body do.")
            .query("index wait stale region namespace prefix per_page next_token filter reverse pretty")
            .flag("include_children", "Whether children of periodic and parameterized jobs come along.")
            .takes::<api::JobStatusesRequest>()
            .body_optional()
            .gives::<Vec<api::JobStatusesJob>>()
            .fails(400, "'no jobs in request', body decode failure or bad include_children")
            .fails(500, "(not 400) for filter errors"),
        op(Write, "/v1/jobs/parse", "parseJob", "Turns a job file into a job, as JSON.")
            .query("namespace pretty")
            .takes::<api::JobsParseRequest>()
            .gives::<api::Job>()
            .fails(400, "'Job spec is empty'; 'Failed to parse job: ...'")
            .fails(403, ""),
        op(Get, "/v1/job/{job_id}", "readJob", "A job in its newest version.")
            .query("index wait stale region namespace pretty")
            .gives::<api::Job>()
            .fails(404, "'job not found'")
            .fails(403, ""),
        op(Write, "/v1/job/{job_id}", "updateJob", "Registers the job of this id.")
            .query("region namespace pretty")
            .takes::<api::JobRegisterRequest>()
            .gives::<api::JobRegisterResponse>()
            .fails(400, "'Job ID does not match name' when path and body differ"),
        op(Delete, "/v1/job/{job_id}", "deregisterJob", "Stops a job; with purge it is forgotten, too.")
            .query("region namespace pretty")
            .flag("purge", "Whether it is forgotten at once.")
            .flag("global", "Whether a job of several regions is stopped in all of them.")
            .number("eval_priority", "The priority of the evaluation, 1 to 100.")
            .flag("no_shutdown_delay", "Whether the shutdown delays of the job are passed over.")
            .gives::<api::JobDeregisterResponse>()
            .fails(400, "eval priority range")
            .fails(403, "")
            .fails(500, "for a non-bool flag"),
        op(Write, "/v1/job/{job_id}/plan", "planJob", "What registering a job would change, without doing it.")
            .query("region namespace pretty")
            .takes::<api::JobPlanRequest>()
            .gives::<api::JobPlanResponse>()
            .fails(400, "'Job must be specified', 'Job must have a valid ID', 'Job ID does not match'")
            .fails(500, "validation text"),
        op(Write, "/v1/job/{job_id}/evaluate", "evaluateJob", "Has a job evaluated again.")
            .query("region namespace pretty")
            .takes::<api::JobEvaluateRequest>()
            .body_optional()
            .gives::<api::JobRegisterResponse>()
            .fails(400, "'Job ID must be specified', 'JobID not same as job name'")
            .fails(500, "'job not found', periodic or parameterized job"),
        op(Write, "/v1/job/{job_id}/dispatch", "dispatchJob", "Starts a parameterized job with a payload and metadata.")
            .query("region namespace pretty")
            .text("idempotency_token", "Makes a repeated call with the same token start nothing more.")
            .takes::<api::JobDispatchRequest>()
            .gives::<api::JobDispatchResponse>()
            .fails(400, "'Job ID does not match'")
            .fails(403, "incl. the registration-disabled text")
            .fails(500, "'parameterized job not found', not parameterized, stopped, meta/payload validation"),
        op(Write, "/v1/job/{job_id}/dispatch/payload", "dispatchJobPayload", "Starts a parameterized job; the whole body is its payload.")
            .query("region namespace pretty")
            .text("idempotency_token", "Makes a repeated call with the same token start nothing more.")
            .takes_bytes()
            .gives::<api::JobDispatchResponse>(),
        op(Write, "/v1/job/{job_id}/periodic/force", "forcePeriodicJob", "Starts a periodic job now, whatever its times are.")
            .query("region namespace pretty")
            .gives::<api::PeriodicForceResponse>()
            .fails(500, "'job not found', 'can't force launch non-periodic job'"),
        op(Write, "/v1/job/{job_id}/revert", "revertJob", "Makes an earlier version of a job its newest one again.")
            .query("region namespace pretty")
            .takes::<api::JobRevertRequest>()
            .gives::<api::JobRegisterResponse>()
            .fails(400, "'JobID must be specified', 'Job ID does not match'")
            .fails(500, "'can't revert to current version', unknown version, EnforcePriorVersion mismatch ('Current job has version N; enforcing version M')"),
        op(Write, "/v1/job/{job_id}/stable", "setJobStability", "Marks a version of a job as stable, or not.")
            .query("region namespace pretty")
            .takes::<api::JobStabilityRequest>()
            .gives::<api::JobStabilityResponse>()
            .fails(400, "'JobID must be specified', 'Job ID does not match'")
            .fails(500, "unknown version"),
        op(Get, "/v1/job/{job_id}/scale", "readJobScale", "How many allocations the groups of a job have and are asked for.")
            .query("index wait stale region namespace pretty")
            .gives::<api::JobScaleStatusResponse>()
            .fails(404, "'job not found'")
            .fails(403, ""),
        op(Write, "/v1/job/{job_id}/scale", "scaleJob", "Changes the count of a group, or records why it was not changed.")
            .query("region namespace pretty")
            .takes::<api::ScalingRequest>()
            .gives::<api::JobRegisterResponse>()
            .fails(400, "'job ID in payload did not match URL', unknown group, outside Min/Max, system job >1, 'job scaling blocked due to active deployment'")
            .fails(404, "'job '<id>' not found'")
            .fails(403, "registration disabled")
            .fails(500, "'Enforcing job modify index ...'"),
        op(Get, "/v1/job/{job_id}/versions", "listJobVersions", "The versions of a job that are kept, newest first, with their differences on request.")
            .query("index wait stale region namespace pretty")
            .flag("diffs", "Whether each version comes with its difference from the one before.")
            .text("diff_tag", "The tagged version that all are compared with.")
            .number("diff_version", "The version that all are compared with.")
            .gives::<api::JobVersionsResponse>()
            .fails(404, "'job versions not found'")
            .fails(500, "for unparsable diff params or unknown tag text"),
        op(Write, "/v1/job/{job_id}/versions/{tag}/tag", "tagJobVersion", "Gives a version of a job a name.")
            .query("region namespace pretty")
            .takes::<api::TagVersionRequest>()
            .gives::<api::JobTagResponse>()
            .fails(400, "bad body")
            .fails(404, "'invalid job tag endpoint' when the path does not have exactly four segments")
            .fails(500, "on unknown version or when Latest=true with Version>0"),
        op(Delete, "/v1/job/{job_id}/versions/{tag}/tag", "untagJobVersion", "Takes the name off a version of a job.")
            .query("region namespace pretty")
            .gives::<api::JobTagResponse>()
            .fails(404, "'invalid job tag endpoint'")
            .fails(500, "when no such tag"),
        op(Get, "/v1/job/{job_id}/submission", "readJobSubmission", "The text that a version of a job was made from.")
            .query("index wait stale region namespace pretty")
            .number("version", "The version of the job.")
            .required()
            .gives::<api::JobSubmission>()
            .fails(400, "'Unable to parse job submission version parameter'")
            .fails(404, "'job source not found'"),
        op(Get, "/v1/job/{job_id}/summary", "readJobSummary", "How many allocations of each group of a job are in which state.")
            .query("index wait stale region namespace pretty")
            .gives::<api::JobSummary>()
            .fails(404, "'job not found'")
            .fails(403, ""),
        op(Get, "/v1/job/{job_id}/allocations", "listJobAllocations", "The allocations of a job.")
            .query("index wait stale region namespace pretty")
            .flag("all", "Whether those of earlier jobs of the same id count, too.")
            .gives::<Vec<api::AllocationListStub>>()
            .fails(403, ""),
        op(Get, "/v1/job/{job_id}/evaluations", "listJobEvaluations", "The evaluations of a job.")
            .query("index wait stale region namespace pretty")
            .gives::<Vec<api::Evaluation>>()
            .fails(403, ""),
        op(Get, "/v1/job/{job_id}/deployments", "listJobDeployments", "The deployments of a job.")
            .query("index wait stale region namespace pretty")
            .flag("all", "Whether those of earlier jobs of the same id count, too.")
            .gives::<Vec<api::Deployment>>()
            .fails(403, ""),
        op(Get, "/v1/job/{job_id}/deployment", "readJobDeployment", "The newest deployment of a job; null when it has none.")
            .query("index wait stale region namespace pretty")
            .gives::<Option<api::Deployment>>()
            .fails(403, ""),
        op(Get, "/v1/job/{job_id}/services", "listJobServices", "The service registrations of a job.")
            .query("index wait stale region namespace pretty")
            .gives::<Vec<api::ServiceRegistration>>()
            .fails(404, "'job not found'")
            .fails(403, ""),
        op(Get, "/v1/job/{job_id}/actions", "listJobActions", "The actions that the tasks of a job offer.")
            .query("stale region namespace pretty")
            .gives::<Vec<api::JobAction>>()
            .fails(403, "")
            .fails(500, "'Unknown job '<id>'' for a missing job (not 404)"),
        op(Get, "/v1/job/{job_id}/action", "runJobAction", "Runs an action in a task, over a WebSocket.")
            .query("stale region namespace")
            .text("action", "The name of the action.")
            .text("allocID", "The allocation to run it in.")
            .text("task", "The name of the task.")
            .flag("tty", "Whether the program gets a terminal.")
            .flag("ws_handshake", "Whether the token comes in the first message.")
            .text("group", "Accepted and not used.")
            .upgrades()
            .fails(500, "when not an upgrade request"),
    ]
}

pub(super) fn validate() -> Vec<Operation> {
    vec![
        op(Write, "/v1/validate/job", "validateJob", "Finds everything that is wrong with a job, without registering it.")
            .query("region pretty")
            .takes::<api::JobValidateRequest>()
            .gives::<api::JobValidateResponse>()
            .fails(400, "'Job must be specified'")
            .fails(403, ""),
    ]
}

pub(super) fn allocations() -> Vec<Operation> {
    vec![
        op(Get, "/v1/allocations", "listAllocations", "The allocations of a namespace.")
            .query("index wait stale region namespace prefix per_page next_token filter reverse pretty")
            .flag("resources", "Whether resources come along.")
            .flag("task_states", "Whether the states of tasks come along.")
            .gives::<Vec<api::AllocationListStub>>()
            .fails(400, "filter")
            .fails(403, "")
            .fails(500, "bad flag or UUID prefix"),
        op(Get, "/v1/allocation/{alloc_id}", "readAllocation", "An allocation with its job.")
            .query("index wait stale region namespace pretty")
            .gives::<api::Allocation>()
            .fails(404, "'alloc not found'; 'resource not found' for extra path parts")
            .fails(500, "'Unknown allocation '<id>'' when the token lacks rights (not 403); when ID is not 36 characters"),
        op(Get, "/v1/allocation/{alloc_id}/services", "listAllocationServices", "The service registrations of an allocation.")
            .query("index wait stale region namespace pretty")
            .gives::<Vec<api::ServiceRegistration>>()
            .fails(404, "'allocation not found' (also on namespace mismatch)")
            .fails(403, ""),
        op(Get, "/v1/allocation/{alloc_id}/checks", "listAllocationChecks", "What the checks of an allocation found last.")
            .query("stale region namespace pretty")
            .gives::<Option<api::AllocCheckStatuses>>()
            .fails(404, "unknown alloc/node or no path to node")
            .fails(400, "'No local Node and node_id not provided'")
            .fails(403, ""),
        op(Write, "/v1/allocation/{alloc_id}/stop", "stopAllocation", "Stops an allocation and has it replaced.")
            .query("region namespace pretty")
            .flag("no_shutdown_delay", "Whether the shutdown delays of the job are passed over.")
            .flag("reschedule", "Whether the replacement counts as a reschedule.")
            .gives::<api::AllocStopResponse>()
            .fails(404, "'allocation not found'")
            .fails(403, "")
            .fails(500, "for a bad bool"),
    ]
}

pub(super) fn evaluations() -> Vec<Operation> {
    vec![
        op(Get, "/v1/evaluations", "listEvaluations", "The evaluations of a namespace.")
            .query("index wait stale region namespace prefix per_page next_token filter reverse pretty")
            .text("job", "Only those of this job.")
            .text("status", "Only those in this state.")
            .gives::<Vec<api::Evaluation>>()
            .fails(400, "'Filter expression cannot be used with other filter parameters' when filter is mixed with job/status; filter")
            .fails(403, ""),
        op(Delete, "/v1/evaluations", "deleteEvaluations", "Forgets evaluations; the broker must be paused.")
            .query("region namespace pretty")
            .takes::<api::EvalDeleteRequest>()
            .gives::<api::EvalDeleteResponse>()
            .fails(
                400,
                "'evals cannot be deleted by both ID and filter', 'evals must be deleted by either ID or filter', more than 7281 IDs",
            )
            .fails(403, "")
            .fails(
                500,
                "broker not paused ('eval broker is enabled; eval broker must be paused to delete evals'), 'eval not found', unsafe eval",
            ),
        op(Get, "/v1/evaluations/count", "countEvaluations", "How many evaluations a namespace has.")
            .query("index wait stale region namespace prefix filter pretty")
            .gives::<api::EvalCountResponse>()
            .fails(403, "")
            .fails(500, "(not 400) on filter parse errors"),
        op(Get, "/v1/evaluation/{eval_id}", "readEvaluation", "An evaluation, with its relatives on request.")
            .query("index wait stale region namespace pretty")
            .flag("related", "Whether related evaluations come along.")
            .gives::<api::Evaluation>()
            .fails(404, "'eval not found'")
            .fails(403, "")
            .fails(500, "when ID is not 36 characters"),
        op(
            Get,
            "/v1/evaluation/{eval_id}/allocations",
            "listEvaluationAllocations",
            "The allocations that an evaluation placed or changed.",
        )
        .query("index wait stale region namespace pretty")
        .gives::<Vec<api::AllocationListStub>>()
        .fails(403, ""),
    ]
}

pub(super) fn deployments() -> Vec<Operation> {
    vec![
        op(Get, "/v1/deployments", "listDeployments", "The deployments of a namespace.")
            .query("index wait stale region namespace prefix per_page next_token filter reverse pretty")
            .gives::<Vec<api::Deployment>>()
            .fails(400, "filter")
            .fails(403, ""),
        op(Get, "/v1/deployment/{deployment_id}", "readDeployment", "A deployment.")
            .query("index wait stale region namespace pretty")
            .gives::<api::Deployment>()
            .fails(404, "'deployment not found' (also hides ones in unreadable namespaces)")
            .fails(403, ""),
        op(Get, "/v1/deployment/allocations/{deployment_id}", "listDeploymentAllocations", "The allocations of a deployment.")
            .query("index wait stale region namespace pretty")
            .gives::<Vec<api::AllocationListStub>>()
            .fails(403, ""),
        op(Write, "/v1/deployment/promote/{deployment_id}", "promoteDeployment", "Promotes the canaries of a deployment.")
            .query("region namespace pretty")
            .takes::<api::DeploymentPromoteRequest>()
            .gives::<api::DeploymentUpdateResponse>()
            .fails(400, "'DeploymentID must be specified', 'Deployment ID does not match'")
            .fails(403, "")
            .fails(500, "'deployment not found' or 'can't <verb> terminal deployment'"),
        op(Write, "/v1/deployment/fail/{deployment_id}", "failDeployment", "Fails a deployment.")
            .query("region namespace pretty")
            .gives::<api::DeploymentUpdateResponse>()
            .fails(403, "")
            .fails(500, "'deployment not found' or 'can't <verb> terminal deployment'"),
        op(Write, "/v1/deployment/pause/{deployment_id}", "pauseDeployment", "Holds a deployment, or lets it go on.")
            .query("region namespace pretty")
            .takes::<api::DeploymentPauseRequest>()
            .gives::<api::DeploymentUpdateResponse>()
            .fails(400, "'DeploymentID must be specified', 'Deployment ID does not match'")
            .fails(403, "")
            .fails(500, "'deployment not found' or 'can't <verb> terminal deployment'"),
        op(Write, "/v1/deployment/unblock/{deployment_id}", "unblockDeployment", "Lets a deployment go on that waits for other regions.")
            .query("region namespace pretty")
            .takes::<api::DeploymentUnblockRequest>()
            .gives::<api::DeploymentUpdateResponse>()
            .fails(400, "'DeploymentID must be specified', 'Deployment ID does not match'")
            .fails(403, "")
            .fails(500, "'deployment not found' or 'can't <verb> terminal deployment'"),
        op(
            Write,
            "/v1/deployment/allocation-health/{deployment_id}",
            "setAllocationHealth",
            "Says which allocations of a deployment are healthy and which are not.",
        )
        .query("region namespace pretty")
        .takes::<api::DeploymentAllocHealthRequest>()
        .gives::<api::DeploymentUpdateResponse>()
        .fails(400, "'DeploymentID must be specified', 'Deployment ID does not match'")
        .fails(403, "")
        .fails(500, "'deployment not found' or 'can't <verb> terminal deployment'"),
    ]
}
