//! `operator scheduler get-config|set-config` and `system reconcile summaries`.

use drover_api::{SchedulerConfiguration, SchedulerConfigurationResponse, SchedulerSetConfigurationResponse};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::{Flag, boolean};
use crate::sdk::{Client, Query};
use crate::text::pairs;

pub(super) const GET_FLAGS: &[Flag] = &[super::JSON, super::TEMPLATE];
pub(super) const SET_FLAGS: &[Flag] = &[
    Flag::value("check-index", "index", "Change the settings only if their index is this."),
    Flag::value("scheduler-algorithm", "binpack|spread", "Whether full or empty nodes are preferred."),
    Flag::value("memory-oversubscription", "true|false", "Whether tasks may use more memory than is reserved for them."),
    Flag::value("reject-job-registration", "true|false", "Whether only managers may register, dispatch and scale jobs."),
    Flag::value("pause-eval-broker", "true|false", "Whether evaluations wait instead of being worked out."),
    Flag::value("preempt-batch-scheduler", "true|false", "Whether batch jobs may push others aside."),
    Flag::value("preempt-service-scheduler", "true|false", "Whether service jobs may push others aside."),
    Flag::value("preempt-sysbatch-scheduler", "true|false", "Whether sysbatch jobs may push others aside."),
    Flag::value("preempt-system-scheduler", "true|false", "Whether system jobs may push others aside."),
    Flag::value("node-limit-for-feasibility-checks", "count", "Kept and shown; every node is looked at."),
];

const PATH: &str = "/v1/operator/scheduler/configuration";

async fn stored(client: &Client) -> Result<SchedulerConfiguration, Failure> {
    let answer = client.get::<SchedulerConfigurationResponse>(PATH, &Query::new()).await;
    Ok(answer.attempt("Error querying scheduler configuration")?.value.scheduler_config.unwrap_or_default())
}

pub(super) async fn get_config(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    if context.formatted() {
        let answer = client.get::<Value>(PATH, &Query::new()).await.attempt("Error querying scheduler configuration")?;
        let mut value = answer.value;
        if let Some(object) = value.as_object_mut() {
            // Clients of the API call the index so, and know how long they waited.
            let index = object.remove("Index").unwrap_or_default();
            object.insert("LastIndex".to_owned(), index);
            object.insert("RequestTime".to_owned(), Value::from(0));
        }
        return context.print_formatted(&value);
    }
    let config = stored(&client).await?;
    let preempts = &config.preemption_config;
    context.ui.output(pairs(&[
        ("Scheduler Algorithm", config.scheduler_algorithm.clone()),
        ("Memory Oversubscription", config.memory_oversubscription_enabled.to_string()),
        ("Reject Job Registration", config.reject_job_registration.to_string()),
        ("Pause Eval Broker", config.pause_eval_broker.to_string()),
        ("Preemption System Scheduler", preempts.system_scheduler_enabled.to_string()),
        ("Preemption Service Scheduler", preempts.service_scheduler_enabled.to_string()),
        ("Preemption Batch Scheduler", preempts.batch_scheduler_enabled.to_string()),
        ("Preemption SysBatch Scheduler", preempts.sys_batch_scheduler_enabled.to_string()),
        ("Node Limit For Feasibility Checks", config.node_limit_for_feasibility_checks.to_string()),
        ("Modify Index", config.modify_index.to_string()),
    ]));
    Ok(0)
}

pub(super) async fn set_config(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let expected = super::job_run::index_flag(context, "check-index")?;
    let limit = super::job_run::index_flag(context, "node-limit-for-feasibility-checks")?;
    let flag = |name: &str| -> Result<Option<bool>, Failure> {
        let wrong = |text: &str| Failure::usage(format!("invalid value {text:?} for flag -{name}: parse error"));
        context.flags.text(name).map(|text| boolean(text).ok_or_else(|| wrong(text))).transpose()
    };
    let [oversubscribes, rejects, pauses] =
        [flag("memory-oversubscription")?, flag("reject-job-registration")?, flag("pause-eval-broker")?];
    let [batch, service, sysbatch, system] = [
        flag("preempt-batch-scheduler")?,
        flag("preempt-service-scheduler")?,
        flag("preempt-sysbatch-scheduler")?,
        flag("preempt-system-scheduler")?,
    ];
    let client = context.client()?;
    let mut config = stored(&client).await?;
    if let Some(algorithm) = context.flags.text("scheduler-algorithm") {
        algorithm.clone_into(&mut config.scheduler_algorithm);
    }
    if let Some(limit) = limit {
        config.node_limit_for_feasibility_checks = limit;
    }
    let preempts = &mut config.preemption_config;
    for (given, setting) in [
        (oversubscribes, &mut config.memory_oversubscription_enabled),
        (rejects, &mut config.reject_job_registration),
        (pauses, &mut config.pause_eval_broker),
        (batch, &mut preempts.batch_scheduler_enabled),
        (service, &mut preempts.service_scheduler_enabled),
        (sysbatch, &mut preempts.sys_batch_scheduler_enabled),
        (system, &mut preempts.system_scheduler_enabled),
    ] {
        *setting = given.unwrap_or(*setting);
    }
    // What was read is what is replaced, whoever else is at it.
    let read = config.modify_index;
    if let Some(expected) = expected.filter(|expected| *expected != read) {
        return Err(Failure::new(format!(
            "Error performing check index set: check-index {expected} does not match does not match current state value {read}"
        )));
    }
    let answer = client.put::<_, SchedulerSetConfigurationResponse>(PATH, &Query::new().set("cas", read), &config).await;
    if !answer.attempt("Error setting scheduler configuration")?.value.updated {
        return Err(Failure::new("Scheduler configuration could not be atomically updated, please try again"));
    }
    context.ui.output("Scheduler configuration updated!");
    Ok(0)
}

pub(super) async fn reconcile_summaries(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let client = context.client()?;
    let answer = client.put::<_, Value>("/v1/system/reconcile/summaries", &Query::new(), &Value::Null).await;
    answer.attempt("Error running system summary reconciliation")?;
    Ok(0)
}
