//! `node drain`: starts, changes, cancels and follows drains.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_api::{Allocation, DrainSpec, Node, NodeDrainUpdateResponse, NodeUpdateDrainRequest};

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve;
use crate::sdk::{Client, Query, segment};
use crate::text::parse_duration;
use crate::ui::Paint;

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("enable", "Drain the node."),
    Flag::switch("disable", "Cancel the drain of the node."),
    Flag::value("deadline", "duration", "When what is left is moved by force. Default 1h."),
    Flag::switch("detach", "Do not follow the drain."),
    Flag::switch("monitor", "Follow the drain without changing it."),
    Flag::switch("force", "Move everything at once."),
    Flag::switch("no-deadline", "Wait without end."),
    Flag::switch("ignore-system", "Leave allocations of system jobs alone."),
    Flag::switch("keep-ineligible", "With -disable: the node takes no new allocations."),
    Flag::value("m", "message", "Noted with the drain."),
    Flag::values("meta", "key=value", "Noted with the drain. May be repeated."),
    Flag::switch("self", "The node that answers."),
    Flag::switch("yes", "Do not ask."),
];

/// The deadline unless another one is given.
const DEADLINE: Duration = Duration::from_secs(3600);
/// How long one request waits for a change.
const WAIT_STEP: Duration = Duration::from_secs(2);

/// Nanoseconds until what is left is moved by force.
fn deadline(context: &Context) -> Result<i64, Failure> {
    let given = context.flags.text("deadline").filter(|text| !text.is_empty());
    match (context.flags.on("force"), context.flags.on("no-deadline"), given) {
        (true, true, _) => Err(Failure::usage("-force and -no-deadline are mutually exclusive")),
        (true, _, Some(_)) => Err(Failure::usage("-force and -deadline are mutually exclusive")),
        (_, true, Some(_)) => Err(Failure::usage("-deadline and -no-deadline are mutually exclusive")),
        (true, false, None) => Ok(-1_000_000_000),
        (false, true, None) => Ok(0),
        (false, false, None) => Ok(i64::try_from(DEADLINE.as_nanos()).unwrap_or(i64::MAX)),
        (false, false, Some(text)) => {
            let parsed = parse_duration(text).and_then(|nanoseconds| i64::try_from(nanoseconds).ok());
            let nanoseconds =
                parsed.ok_or_else(|| Failure::usage(format!("Failed to parse deadline {text:?}: time: invalid duration {text:?}")))?;
            if nanoseconds > 0 { Ok(nanoseconds) } else { Err(Failure::usage("A positive drain duration must be given")) }
        }
    }
}

fn meta(context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let mut meta = BTreeMap::new();
    for pair in context.flags.values("meta") {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        meta.insert(key.to_owned(), value.to_owned());
    }
    if let Some(message) = context.flags.text("m").filter(|message| !message.is_empty()) {
        meta.insert("message".to_owned(), message.to_owned());
    }
    Ok(meta)
}

pub(super) async fn run(context: &mut Context) -> Outcome {
    let (enable, disable, monitor) = (context.flags.on("enable"), context.flags.on("disable"), context.flags.on("monitor"));
    if (enable && disable) || (!monitor && !enable && !disable) {
        return Err(Failure::usage("Either the '-enable' or '-disable' flag must be set, unless using '-monitor'"));
    }
    let nanoseconds = deadline(context)?;
    let given = match (context.flags.on("self"), context.arguments()) {
        (true, []) => None,
        (false, [id]) => Some(id.clone()),
        _ => return Err(Failure::usage("Node ID must be specified if -self isn't being used")),
    };
    let client = context.client()?;
    let given = match given {
        Some(id) => id,
        None => super::node::own_id(&client).await?,
    };
    let (stub, by_prefix) = resolve::node(context, &client, &given).await?;
    let path = format!("/v1/node/{}", segment(&stub.id));
    if monitor && !enable && !disable {
        let node = client.get::<Node>(&path, &Query::new()).await.attempt("Error toggling drain mode")?.value;
        if node.drain_strategy.is_none() {
            context.ui.warn("No drain strategy set");
            return Ok(0);
        }
        return super::until_interrupted(true, follow(context, &client, &stub.id)).await;
    }
    if by_prefix && !context.flags.on("yes") {
        let what = if enable { "enable" } else { "disable" };
        let question = format!("Are you sure you want to {what} drain mode for node {:?}? [y/N]", stub.id);
        let answer = context.ui.ask(&question).map_err(|error| Failure::new(format!("Failed to parse answer: {error}")))?;
        match answer.unwrap_or_default().as_str() {
            "y" => {}
            answer if answer.to_lowercase().starts_with('y') => {
                context.ui.output("For confirmation, an exact ‘y’ is required.");
                return Ok(0);
            }
            answer if answer.is_empty() || answer.to_lowercase().starts_with('n') => {
                context.ui.output("Canceling drain toggle");
                return Ok(0);
            }
            _ => {
                context.ui.output("No confirmation detected. For confirmation, an exact 'y' is required.");
                return Ok(1);
            }
        }
    }
    let spec = enable.then(|| DrainSpec { deadline: nanoseconds, ignore_system_jobs: context.flags.on("ignore-system") });
    let request = NodeUpdateDrainRequest {
        node_id: stub.id.clone(),
        drain_spec: spec,
        mark_eligible: disable && !context.flags.on("keep-ineligible"),
        meta: Some(meta(context)?).filter(|meta| !meta.is_empty()),
    };
    let answer = client.put::<_, NodeDrainUpdateResponse>(&format!("{path}/drain"), &Query::new(), &request).await;
    answer.attempt("Error updating drain specification")?;
    if disable {
        context.ui.output(format!("Node {:?} drain strategy unset", stub.id));
        return Ok(0);
    }
    if context.flags.on("detach") {
        context.ui.output(format!("Node {:?} drain strategy set", stub.id));
        return Ok(0);
    }
    say(context, None, "Ctrl-C to stop monitoring: will not cancel the node drain");
    say(context, None, &format!("Node {:?} drain strategy set", stub.id));
    super::until_interrupted(true, follow(context, &client, &stub.id)).await
}

fn say(context: &Context, paint: Option<Paint>, text: &str) {
    let now = context.zone.time(context.clock.now());
    let text = paint.map_or_else(|| text.to_owned(), |paint| context.ui.paint(paint, text));
    context.ui.output(format!("{now}: {text}"));
}

/// What was last told of an allocation.
#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    status: String,
    desired: String,
    migrate: bool,
}

/// Tells what happens on the node until nothing runs on it any more.
async fn follow(context: &Context, client: &Client, id: &str) -> Outcome {
    let path = format!("/v1/node/{}", segment(id));
    let (mut told, mut index, mut done): (BTreeMap<String, Told>, u64, bool) = (BTreeMap::new(), 0, false);
    loop {
        let node = client.get::<Node>(&path, &Query::new()).await.attempt("Error monitoring node")?.value;
        let ignores_system = node.drain_strategy.as_ref().is_some_and(|strategy| strategy.ignore_system_jobs);
        if node.drain_strategy.is_none() && !done {
            done = true;
            let status = node.last_drain.map(|last| last.status).unwrap_or_default();
            if status == "canceled" {
                say(context, Some(Paint::Yellow), &format!("Drain canceled for node {id}"));
                return Ok(0);
            }
            say(context, Some(Paint::Green), &format!("Drain complete for node {id}"));
        }
        let query = Query::new().blocking(index, WAIT_STEP);
        let answer = client.get::<Vec<Allocation>>(&format!("{path}/allocations"), &query).await.attempt("Error monitoring allocations")?;
        index = answer.meta.index;
        let mut left = 0;
        for alloc in &answer.value {
            let now = Told {
                status: alloc.client_status.clone(),
                desired: alloc.desired_status.clone(),
                migrate: alloc.desired_transition.migrate.unwrap_or(false),
            };
            let over = matches!(now.status.as_str(), "complete" | "failed" | "lost");
            let system =
                alloc.job.as_ref().and_then(|job| job.r#type.as_deref()).is_some_and(|kind| kind == "system" || kind == "sysbatch");
            if !(over || system && ignores_system) {
                left += 1;
            }
            match told.insert(alloc.id.clone(), now.clone()) {
                // What was over before is not worth a word.
                None if over => {}
                before => {
                    changes(context, &alloc.id, &before.unwrap_or_else(|| Told { status: now.status.clone(), ..Told::default() }), &now)
                }
            }
        }
        if done && left == 0 {
            say(context, Some(Paint::Green), &format!("All allocations on node {id:?} have stopped"));
            return Ok(0);
        }
        if index == 0 {
            // Nothing to wait for: the node has no allocations yet.
            context.clock.sleep(WAIT_STEP).await;
        }
    }
}

fn changes(context: &Context, id: &str, before: &Told, now: &Told) {
    if now.migrate && !before.migrate {
        say(context, None, &format!("Alloc {id:?} marked for migration"));
    }
    if now.migrate && now.desired == "stop" && before.desired != "stop" {
        say(context, None, &format!("Alloc {id:?} draining"));
    }
    if now.status != before.status {
        say(context, None, &format!("Alloc {id:?} status {} -> {}", before.status, now.status));
    }
}
