//! The event stream: one line per log entry with the events that a subscriber asked for.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use drover_base::Monotonic;
use drover_model::mirror::Mirror as _;
use drover_rt::Clock;
use drover_server::{EventEntry, Subscription};
use drover_state::{Event, EventKind, Payload, Snapshot, Topic};
use serde_json::{Value, json};

use super::in_namespace;
use crate::access::{Caller, Capability, Guard, NodePoolCapability, Rights, VariableCapability};
use crate::agent::Agent;
use crate::error::ApiError;
use crate::query::{Query, not_a_number};
use crate::reply::Reply;
use crate::request::Request;
use crate::stream::{self, Feed, Next};
use crate::view;

/// Lines are sent together up to about this size.
const LINES_BYTES: usize = 64 << 10;

/// Who subscribes is looked at again after so long, even if nothing happens.
const LOOKED_AT_AFTER: Duration = Duration::from_secs(60);

/// What a subscriber wants: topics with keys, `*` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    topics: Vec<(String, String)>,
    namespace: String,
}

impl Wanted {
    fn parse(query: &Query, namespace: &str) -> Result<Self, ApiError> {
        let mut topics = Vec::new();
        for text in query.all("topic") {
            let parts: Vec<&str> = text.split(':').collect();
            let (topic, key) = match parts.as_slice() {
                [topic] => (*topic, "*"),
                [topic, key] => (*topic, *key),
                _ => {
                    return Err(ApiError::bad_request(format!(
                        "Invalid topic query: error parsing topics: Invalid key value pair for topic, topic: {text}"
                    )));
                }
            };
            topics.push((topic.to_owned(), key.to_owned()));
        }
        if topics.is_empty() {
            topics.push(("*".to_owned(), "*".to_owned()));
        }
        Ok(Self { topics, namespace: namespace.to_owned() })
    }

    fn wants(&self, event: &Event) -> bool {
        if !event.namespace().is_empty() && !in_namespace(&self.namespace, event.namespace()) {
            return false;
        }
        let topic = event.topic().text();
        let mut keys = self.topics.iter().filter(|(wanted, _)| wanted == "*" || wanted == topic).map(|(_, key)| key);
        keys.any(|key| key == "*" || event.is_about(key))
    }

    /// Whether somebody may ask for this: each topic needs the right to read what it is about (EVT-008).
    fn is_open_to(&self, rights: &Rights) -> bool {
        let somewhere = |capability: Capability| match self.namespace.as_str() {
            "*" => rights.some_namespace(capability),
            namespace => rights.namespace(namespace, capability),
        };
        self.topics.iter().all(|(topic, _)| match Topic::parse(topic) {
            Some(Topic::Job | Topic::Evaluation | Topic::Allocation | Topic::Deployment | Topic::Service | Topic::CsiPlugin) => {
                somewhere(Capability::ReadJob)
            }
            Some(Topic::CsiVolume) => somewhere(Capability::CsiReadVolume),
            Some(Topic::HostVolume) => somewhere(Capability::HostVolumeRead),
            Some(Topic::Node) => rights.node_read(),
            Some(Topic::Operator) => rights.operator_read(),
            Some(Topic::Variable) => rights.some_variable(&self.namespace),
            Some(Topic::NodePool | Topic::AclToken | Topic::AclPolicy | Topic::AclRole | Topic::AclAuthMethod | Topic::AclBindingRule)
            | None => rights.is_management(),
        })
    }
}

/// An event as the stream shows it.
fn shown(snapshot: &Snapshot, event: &Event) -> Value {
    let payload = match &event.payload {
        Payload::Job(row) => json!({ "Job": view::job(row), "Deleted": false }),
        Payload::DeletedJob(row) => json!({ "Job": view::job(row), "Deleted": true }),
        Payload::Evaluation(eval) => json!({ "Evaluation": view::evaluation(eval) }),
        Payload::Allocation(alloc) => {
            let mut shown = view::alloc(snapshot, alloc);
            // The job would be most of the stream; it has events of its own.
            shown.job = None;
            shown.why = None;
            json!({ "Allocation": shown, "Timeout": false, "TimeoutReason": "" })
        }
        Payload::Deployment(deployment) => json!({ "Deployment": view::deployment(deployment) }),
        Payload::Node(row) => json!({ "Node": view::node(row) }),
        Payload::Service(service) => json!({ "Service": view::service(service) }),
        Payload::NodePool(pool) => json!({ "NodePool": view::node_pool(pool) }),
        Payload::AclToken(token) => {
            let mut shown = view::acl_token(snapshot, token);
            shown.secret_id = String::new();
            // Lists are never null here, unlike in answers.
            shown.policies.get_or_insert_default();
            shown.roles.get_or_insert_default();
            json!({ "ACLToken": shown })
        }
        Payload::AclPolicy(row) => json!({ "ACLPolicy": view::acl_policy(row) }),
        Payload::AclRole(role) => json!({ "ACLRole": view::acl_role(role) }),
        Payload::AclAuthMethod(method) => json!({ "AuthMethod": view::auth_method(method) }),
        Payload::AclBindingRule(rule) => json!({ "ACLBindingRule": view::binding_rule(rule) }),
        Payload::Variable(variable) => {
            let deleted = event.kind == EventKind::VariableDeleted;
            json!({ "Metadata": super::variables::metadata(variable, false), "Deleted": deleted })
        }
        Payload::Autopilot(config) => json!({ "Autopilot": super::operator::shown_autopilot(config) }),
        Payload::Scheduler(config) => json!({ "SchedulerConfig": config.to_api() }),
    };
    let keys = event.filter_keys();
    json!({
        "Topic": event.topic().text(),
        "Type": event.kind.text(),
        "Key": event.key(),
        "Namespace": event.namespace(),
        "FilterKeys": view::list(keys),
        "Index": event.index,
        "Payload": payload,
    })
}

/// The entries of a subscription, each reduced to what is wanted.
struct Subscribed {
    agent: Arc<Agent>,
    subscription: Subscription,
    wanted: Wanted,
    /// The subscriber's token: what it may see is asked for again with each entry.
    secret: String,
    clock: Clock,
    /// When it was last served.
    served: Option<Monotonic>,
}

/// Whether a caller may see an event at all.
fn may_see(rights: &Rights, event: &Event) -> bool {
    match &event.payload {
        Payload::Node(_) => rights.node_read(),
        Payload::Job(_)
        | Payload::DeletedJob(_)
        | Payload::Evaluation(_)
        | Payload::Allocation(_)
        | Payload::Deployment(_)
        | Payload::Service(_) => rights.namespace(event.namespace(), Capability::ReadJob),
        Payload::Variable(variable) => rights.variable(&variable.namespace, &variable.path, VariableCapability::List),
        Payload::Autopilot(_) | Payload::Scheduler(_) => rights.operator_read(),
        Payload::NodePool(pool) => rights.node_pool(&pool.name, NodePoolCapability::Read),
        Payload::AclToken(_) | Payload::AclPolicy(_) | Payload::AclRole(_) | Payload::AclAuthMethod(_) | Payload::AclBindingRule(_) => {
            rights.is_management()
        }
    }
}

impl Subscribed {
    /// Who it is for, as long as they may ask for this (EVT-009).
    fn caller(&self) -> Option<Caller> {
        self.agent.identify(&self.secret).ok().filter(|caller| self.wanted.is_open_to(&caller.rights))
    }

    /// How long the token of a caller lasts.
    fn lasts(&self, caller: &Caller) -> Duration {
        let expires = caller.token.as_ref().map(|token| token.expiration_time).filter(|at| !at.is_zero());
        let left = expires.map(|at| at.0.saturating_sub(self.clock.now().0));
        left.map_or(LOOKED_AT_AFTER, |left| Duration::from_nanos(u64::try_from(left).unwrap_or(0)).min(LOOKED_AT_AFTER))
    }

    /// Adds the line of an entry, if there is anything in it for the subscriber.
    fn add(&self, entry: &EventEntry, rights: &Rights, snapshot: &Snapshot, lines: &mut BytesMut) {
        let (mut any, mut evaluated) = (false, false);
        for (position, event) in entry.events.iter().enumerate() {
            if !self.wanted.wants(event) || !may_see(rights, event) {
                continue;
            }
            // What ends an evaluation and makes the next is one entry here; clients know it as two lines.
            let evaluates = matches!(event.payload, Payload::Evaluation(_));
            if std::mem::replace(&mut evaluated, evaluates) && evaluates && any {
                lines.extend_from_slice(format!("],\"Index\":{}}}\n", entry.index).as_bytes());
                any = false;
            }
            lines.extend_from_slice(if any { b"," } else { b"{\"Events\":[" });
            lines.extend_from_slice(&entry.shown(position, || Bytes::from(shown(snapshot, event).to_string())));
            any = true;
        }
        if any {
            lines.extend_from_slice(format!("],\"Index\":{}}}\n", entry.index).as_bytes());
        }
    }
}

impl Feed for Subscribed {
    async fn next(&mut self) -> Next {
        let rested = self.served.map(|served| served + self.subscription.rest());
        if rested.is_some_and(|rested| rested > self.clock.monotonic()) {
            self.clock.sleep_until(rested).await;
        }
        let Some(caller) = self.caller() else { return Next::End(None) };
        if self.clock.timeout(self.lasts(&caller), self.subscription.ready()).await.is_none() {
            return Next::Nothing;
        }
        // Nothing has been taken yet, so nothing is lost if the wait is cut short.
        let _turn = self.subscription.turn().await;
        let Ok(server) = self.agent.server() else { return Next::End(None) };
        let Some(caller) = self.caller() else { return Next::End(None) };
        let (snapshot, mut lines) = (server.snapshot(), BytesMut::new());
        while lines.len() < LINES_BYTES {
            match self.subscription.try_next() {
                Ok(Some(entry)) => self.add(&entry, &caller.rights, &snapshot, &mut lines),
                Err(lag) if lines.is_empty() => return Next::End(Some(json!({ "Error": lag.to_string() }))),
                // A lag is told by the next call, after these lines.
                Ok(None) | Err(_) => break,
            }
        }
        self.served = Some(self.clock.monotonic());
        if lines.is_empty() { Next::Nothing } else { Next::Lines(lines.freeze()) }
    }
}

/// `GET /v1/event/stream`.
pub async fn stream(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let index = match request.query.get("index") {
        "" => 0,
        text => text.parse::<u64>().map_err(|_| ApiError::bad_request(format!("Unable to parse index: {}", not_a_number("Atoi", text))))?,
    };
    let wanted = Wanted::parse(&request.query, request.namespace())?;
    if !wanted.is_open_to(&request.caller().rights) {
        return Ok(refusal());
    }
    let secret = request.token().to_owned();
    let subscription = agent.server()?.subscribe(index)?;
    let clock = request.clock.clone();
    let feed = Subscribed { agent, subscription, wanted, secret, clock: clock.clone(), served: None };
    let body = stream::body(move |writer| stream::lines(writer, clock, feed));
    Ok(Reply::event_stream(body))
}

/// What somebody gets who may not ask for this: a stream that ends at once, as clients of this stream know it.
pub fn refusal() -> Reply {
    Reply::event_stream(stream::body(|_| async {}))
}

#[cfg(test)]
mod tests {
    use drover_base::{EvalId, WallTime};
    use drover_macros::proves;
    use drover_model::{Evaluation, JobId, JobType, Trigger};

    use super::*;

    fn event() -> Event {
        let job = JobId { namespace: "default".to_owned(), id: "web".to_owned() };
        let eval = Evaluation::new(EvalId::NIL, job, JobType::Service, 50, Trigger::JobRegister, WallTime(1));
        Event { index: 7, kind: EventKind::EvaluationUpdated, payload: Payload::Evaluation(Arc::new(eval)) }
    }

    fn wants(query: &str) -> bool {
        let query = Query::parse(query);
        let namespace = query.find("namespace").unwrap_or("default").to_owned();
        Wanted::parse(&query, &namespace).unwrap().wants(&event())
    }

    #[proves("EVT-001", "EVT-002")]
    #[test]
    fn topics_and_keys_choose_events() {
        let all: Vec<&str> = Topic::ALL.iter().map(|topic| topic.text()).collect();
        let ledger = "Job Evaluation Allocation Deployment Node Service NodePool ACLToken ACLPolicy ACLRole ACLAuthMethod ACLBindingRule \
                      Variable Operator HostVolume CSIVolume CSIPlugin";
        assert_eq!(all, ledger.split_whitespace().collect::<Vec<_>>());
        assert!(wants("") && wants("topic=*") && wants("topic=Evaluation") && wants("topic=Evaluation:web"));
        assert!(wants("topic=Job&topic=Evaluation") && wants("namespace=*"));
        assert!(wants("topic=Evaluation:default") && wants("topic=*:web") && wants(&format!("topic=Evaluation:{}", EvalId::NIL)));
        assert!(!wants("topic=") && !wants("topic=Evaluation:") && !wants("topic=evaluation") && !wants("topic=Nope"));
        assert!(!wants("topic=Job") && !wants("topic=Evaluation:api") && !wants("namespace=other"));
        assert!(Wanted::parse(&Query::parse("topic=Job:a:b:c"), "default").is_err());
    }

    #[test]
    fn an_event_has_topic_type_key_and_object() {
        let shown = shown(&Snapshot::default(), &event());
        assert_eq!(
            (&shown["Topic"], &shown["Type"], &shown["FilterKeys"]),
            (&json!("Evaluation"), &json!("EvaluationUpdated"), &json!(["web", ""]))
        );
        assert_eq!(shown["Payload"]["Evaluation"]["JobID"], "web");
    }
}
