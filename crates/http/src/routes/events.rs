//! The event stream: one line per log entry with the events that a subscriber asked for.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use drover_base::Monotonic;
use drover_rt::Clock;
use drover_server::{EventEntry, Subscription};
use drover_state::{Event, Payload, Snapshot};
use serde_json::{Value, json};

use super::in_namespace;
use crate::access::{Capability, Guard, Rights};
use crate::agent::Agent;
use crate::error::ApiError;
use crate::query::{Query, not_a_number};
use crate::reply::Reply;
use crate::request::Request;
use crate::stream::{self, Feed, Next};
use crate::view;

/// Lines are sent together up to about this size.
const LINES_BYTES: usize = 64 << 10;

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
        keys.any(|key| key == "*" || *key == event.key() || event.filter_keys().contains(key))
    }
}

/// An event as the stream shows it.
fn shown(snapshot: &Snapshot, event: &Event) -> Value {
    let payload = match &event.payload {
        Payload::Job(row) => json!({ "Job": view::job(row) }),
        Payload::Evaluation(eval) => json!({ "Evaluation": view::evaluation(eval) }),
        Payload::Allocation(alloc) => {
            let mut shown = view::alloc(snapshot, alloc);
            // The job would be most of the stream; it has events of its own.
            shown.job = None;
            shown.why = None;
            json!({ "Allocation": shown })
        }
        Payload::Deployment(deployment) => json!({ "Deployment": view::deployment(deployment) }),
        Payload::Node(row) => json!({ "Node": view::node(row) }),
        Payload::Service(service) => json!({ "Service": view::service(service) }),
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
        Payload::Job(_) | Payload::Evaluation(_) | Payload::Allocation(_) | Payload::Deployment(_) | Payload::Service(_) => {
            rights.namespace(event.namespace(), Capability::ReadJob)
        }
    }
}

impl Subscribed {
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
        self.subscription.ready().await;
        // Nothing has been taken yet, so nothing is lost if the wait is cut short.
        let _turn = self.subscription.turn().await;
        let Ok(server) = self.agent.server() else { return Next::End(None) };
        let Ok(caller) = self.agent.identify(&self.secret) else { return Next::End(None) };
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
    request.caller();
    let secret = request.token().to_owned();
    let subscription = agent.server()?.subscribe(index);
    let clock = request.clock.clone();
    let feed = Subscribed { agent, subscription, wanted, secret, clock: clock.clone(), served: None };
    let body = stream::body(move |writer| stream::lines(writer, clock, feed));
    Ok(Reply::event_stream(body))
}

#[cfg(test)]
mod tests {
    use drover_base::{EvalId, WallTime};
    use drover_model::{Evaluation, JobId, JobType, Trigger};
    use drover_state::EventKind;

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

    #[test]
    fn topics_and_keys_choose_events() {
        assert!(wants("") && wants("topic=*") && wants("topic=Evaluation") && wants("topic=Evaluation:web"));
        assert!(wants("topic=Job&topic=Evaluation") && wants("namespace=*"));
        assert!(!wants("topic=Job") && !wants("topic=Evaluation:api") && !wants("namespace=other"));
        assert!(Wanted::parse(&Query::parse("topic=Job:a:b:c"), "default").is_err());
    }

    #[test]
    fn an_event_has_topic_type_key_and_object() {
        let shown = shown(&Snapshot::default(), &event());
        assert_eq!(
            (&shown["Topic"], &shown["Type"], &shown["FilterKeys"]),
            (&json!("Evaluation"), &json!("EvaluationUpdated"), &json!(["web"]))
        );
        assert_eq!(shown["Payload"]["Evaluation"]["JobID"], "web");
    }
}
