//! The broker and the blocked evaluations against recorded sequences, and what those do not show.

use drover_macros::proves;
use serde_json::{Value, json};

use super::*;
use crate::blocked::{Blocked, Waits};
use crate::fixtures::records;

fn eval(number: u128, job: &str, priority: u8) -> Arc<Evaluation> {
    let job = JobId { namespace: "default".into(), id: job.into() };
    let mut eval = Evaluation::new(EvalId::from_random(number), job, JobType::Service, priority, Trigger::JobRegister, WallTime(1));
    eval.create_index = Index::try_from(number).unwrap();
    eval.modify_index = eval.create_index;
    Arc::new(eval)
}

/// The broker and the tracker as one server has them, driven by recorded steps.
#[derive(Default)]
struct Script {
    broker: Broker,
    blocked: Blocked,
    now: Monotonic,
    names: BTreeMap<String, EvalId>,
    tokens: BTreeMap<EvalId, Token>,
    evals: u64,
}

impl Script {
    fn name(&self, id: EvalId) -> Value {
        self.names.iter().find(|(_, known)| **known == id).map_or(Value::Null, |(name, _)| json!(name))
    }

    fn wall(&self) -> WallTime {
        WallTime(1_000_000_000_000 + i64::try_from(self.now.0).unwrap())
    }

    fn eval(&mut self, step: &Value) -> Arc<Evaluation> {
        let text = |key: &str, absent: &str| step[key].as_str().unwrap_or(absent).to_owned();
        let number = self.names.len() as u128 + 1;
        let id = *self.names.entry(text("eval", "")).or_insert(EvalId::from_random(number));
        let job = JobId { namespace: text("namespace", "default"), id: text("job", "j") };
        let trigger = Trigger::parse(&text("trigger", "job-register")).unwrap();
        let priority = u8::try_from(step["priority"].as_u64().unwrap_or(50)).unwrap();
        let mut eval = Evaluation::new(id, job, JobType::parse(&text("type", "service")).unwrap(), priority, trigger, self.wall());
        self.evals += 1;
        eval.create_index = step["index"].as_u64().unwrap_or(100 + self.evals);
        eval.modify_index = eval.create_index;
        eval.snapshot_index = step["snapshot"].as_u64().unwrap_or(0);
        eval.status = EvalStatus::parse(&text("status", "pending")).unwrap();
        eval.escaped_computed_class = step["escaped"].as_bool().unwrap_or(false);
        eval.node_id = step["node"].as_str().map(node);
        if let Some(seconds) = step["wait_until"].as_u64() {
            eval.wait_until = self.wall() + Duration::from_secs(seconds);
        }
        for (class, fit) in step["classes"].as_object().into_iter().flatten() {
            eval.class_eligibility.insert(class.clone(), fit.as_bool().unwrap());
        }
        Arc::new(eval)
    }

    fn back(&mut self, evals: Vec<Arc<Evaluation>>) {
        let (now, wall) = (self.now, self.wall());
        for eval in evals {
            self.broker.enqueue(now, wall, eval);
        }
    }

    fn step(&mut self, step: &Value) -> Value {
        let (now, wall) = (self.now, self.wall());
        let id = step["eval"].as_str().and_then(|name| self.names.get(name)).copied().unwrap_or_default();
        let token = if step["token"].is_null() { self.tokens.get(&id).copied().unwrap_or(0) } else { u64::MAX };
        let told = |result: Result<(), NotHeld>| json!(if result.is_ok() { "ok" } else { "error" });
        match step["op"].as_str().unwrap() {
            "enqueue" => {
                let eval = self.eval(step);
                match step["wait"].as_u64() {
                    Some(seconds) => self.broker.enqueue_after(now, Duration::from_secs(seconds), eval),
                    None => self.broker.enqueue(now, wall, eval),
                }
            }
            "dequeue" => {
                let queues = match step["type"].as_str() {
                    Some("_failed") => Queues::FAILED,
                    kind => Queues::of(JobType::parse(kind.unwrap_or("service")).unwrap()),
                };
                return self.broker.dequeue(now, queues).map_or(json!("none"), |(eval, token)| {
                    self.tokens.insert(eval.id, token);
                    self.name(eval.id)
                });
            }
            "ack" => return told(self.broker.ack(now, wall, id, token)),
            "nack" => return told(self.broker.nack(now, id, token)),
            "pause_nack" => return told(self.broker.pause(id, token)),
            "resume_nack" | "outstanding_reset" => return told(self.broker.restart_timer(now, id, token)),
            "sleep" => {
                // Timers go off when they are due, not when somebody looks next.
                let end = now + Duration::from_millis(step["ms"].as_u64().unwrap());
                while let Some(due) = self.broker.next_deadline().filter(|due| *due <= end) {
                    self.broker.tick(due);
                }
                self.now = end;
            }
            "stats" => {
                let Counts { ready, pending, outstanding, waiting, delayed, cancelable } = self.broker.counts();
                return json!({ "ready": ready, "pending": pending, "unacked": outstanding, "waiting": waiting,
                    "delayed": delayed, "cancelable": cancelable });
            }
            "cancelable" => return self.broker.take_cancelable(CANCEL_BATCH).iter().map(|eval| self.name(eval.id)).collect(),
            "disable" => {
                self.broker.disable();
                self.blocked.clear();
            }
            "enable" => self.broker.enable(),
            "block" => {
                let eval = self.eval(step);
                if let Waits::RunNow(eval) = self.blocked.block(eval) {
                    self.back(vec![eval]);
                }
            }
            "unblock" => {
                let helped = self.blocked.unblock(step["class"].as_str().unwrap(), step["index"].as_u64().unwrap(), now);
                self.back(helped);
            }
            "unblock_node" => {
                let helped = self.blocked.unblock_node(node(step["node"].as_str().unwrap()));
                self.back(helped);
            }
            "unblock_failed" => {
                let helped = self.blocked.unblock_contended();
                self.back(helped);
            }
            "untrack" => {
                let gone = self.blocked.untrack(&JobId { namespace: "default".into(), id: "j".into() });
                assert_eq!(gone.len(), 1);
            }
            "duplicates" => return self.blocked.take_duplicates().iter().map(|eval| self.name(eval.id)).collect(),
            "blocked_stats" => return json!({ "blocked": self.blocked.len(), "escaped": self.blocked.escaped() }),
            other => panic!("unknown step {other}"),
        }
        Value::Null
    }
}

fn node(name: &str) -> drover_base::NodeId {
    drover_base::NodeId::from_random(u128::from(name.as_bytes()[name.len() - 1]))
}

#[proves(
    "EVL-003", "EVL-004", "EVL-005", "EVL-006", "EVL-007", "EVL-009", "EVL-011", "EVL-012", "EVL-013", "EVL-014", "EVL-016", "EVL-017",
    "EVL-018", "EVL-025", "EVL-026", "EVL-028", "EVL-029", "EVL-033"
)]
#[test]
fn recorded_sequences_of_broker_and_tracker_agree() {
    let records = records("scheduler-broker.jsonl");
    assert!(records.len() >= 42);
    let mut differences = Vec::new();
    for record in records {
        let mut script = Script { broker: Broker::enabled(), ..Script::default() };
        let (steps, results) = (record["steps"].as_array().unwrap(), record["results"].as_array().unwrap());
        for (number, (step, expected)) in steps.iter().zip(results).enumerate() {
            let found = script.step(step);
            if found != *expected {
                differences.push(format!("{} step {number} {step}: {found} instead of {expected}", record["name"]));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[proves("EVL-001")]
#[test]
fn a_broker_that_is_not_enabled_takes_nothing_in() {
    let mut broker = Broker::default();
    broker.enqueue(Monotonic(0), WallTime(1), eval(1, "a", 50));
    broker.enqueue_after(Monotonic(0), Duration::from_secs(1), eval(2, "b", 50));
    assert_eq!((broker.counts(), broker.next_deadline()), (Counts::default(), None));
}

#[proves("EVL-003")]
#[test]
fn an_outstanding_evaluation_that_is_taken_in_again_comes_back_after_its_end() {
    let (now, wall) = (Monotonic(0), WallTime(1));
    let mut broker = Broker::enabled();
    let one = eval(1, "a", 50);
    broker.enqueue(now, wall, Arc::clone(&one));
    let (_, token) = broker.dequeue(now, Queues::ALL_TYPES).unwrap();
    broker.enqueue_again(now, wall, Arc::clone(&one));
    assert_eq!(broker.dequeue(now, Queues::ALL_TYPES).map(|(eval, _)| eval.id), None, "not beside its holder");
    broker.ack(now, wall, one.id, token).unwrap();
    let (again, token) = broker.dequeue(now, Queues::ALL_TYPES).unwrap();
    assert_eq!(again.id, one.id);
    // A refusal brings it back by itself, once.
    broker.enqueue_again(now, wall, Arc::clone(&one));
    broker.nack(now, one.id, token).unwrap();
    let later = now + FIRST_NACK_DELAY + FIRST_NACK_DELAY;
    broker.tick(later);
    let (_, token) = broker.dequeue(later, Queues::ALL_TYPES).unwrap();
    broker.ack(later, wall, one.id, token).unwrap();
    assert_eq!(broker.counts(), Counts::default());
}

#[proves("EVL-010")]
#[test]
fn what_is_to_be_cancelled_is_handed_out_in_bounded_batches() {
    let (now, wall) = (Monotonic(0), WallTime(1));
    let mut broker = Broker::enabled();
    for number in 1..=1_000 {
        broker.enqueue(now, wall, eval(number, "a", 50));
    }
    let (first, token) = broker.dequeue(now, Queues::ALL_TYPES).unwrap();
    broker.ack(now, wall, first.id, token).unwrap();
    assert_eq!(broker.load(), 1, "what is shed is no load any more");
    let sizes: Vec<usize> = std::iter::from_fn(|| Some(broker.take_cancelable(CANCEL_BATCH).len())).take(3).collect();
    assert_eq!(sizes, [728, 270, 0]);
    assert_eq!(broker.dequeue(now, Queues::ALL_TYPES).unwrap().0.id, EvalId::from_random(1_000), "the newest goes on");
}

#[proves("EVL-006")]
#[test]
fn types_of_jobs_take_turns_by_priority_and_age() {
    let (now, wall) = (Monotonic(0), WallTime(1));
    let mut broker = Broker::enabled();
    for (number, kind, priority) in [(4, JobType::Service, 50), (3, JobType::Batch, 50), (2, JobType::System, 50), (9, JobType::Batch, 90)]
    {
        let job = format!("job-{number}");
        let evaluation = Evaluation { kind, ..Evaluation::clone(&eval(number, &job, priority)) };
        broker.enqueue(now, wall, Arc::new(evaluation));
    }
    let order: Vec<String> =
        std::iter::from_fn(|| broker.dequeue(now, Queues::ALL_TYPES).map(|(eval, _)| eval.job_id.id.clone())).collect();
    assert_eq!(order, ["job-9", "job-2", "job-3", "job-4"]);
}

#[test]
fn a_disabled_broker_forgets_tokens() {
    let (now, wall) = (Monotonic(0), WallTime(1));
    let mut broker = Broker::enabled();
    broker.enqueue(now, wall, eval(1, "a", 50));
    let (one, old) = broker.dequeue(now, Queues::ALL_TYPES).unwrap();
    broker.disable();
    broker.enable();
    broker.enqueue(now, wall, Arc::clone(&one));
    let (_, new) = broker.dequeue(now, Queues::ALL_TYPES).unwrap();
    assert_ne!(old, new);
    assert_eq!(broker.ack(now, wall, one.id, old), Err(NotHeld::OtherHolder));
    assert!(broker.holds(one.id, new));
}

#[proves("EVL-014", "EVL-015")]
#[test]
fn a_failed_evaluation_is_followed_up_unless_its_job_is_gone() {
    let (one, next) = (eval(1, "a", 70), EvalId::from_random(2));
    let minutes = |unit| match give_up(&one, true, next, unit, WallTime(5)).as_slice() {
        [failed, follow] => {
            assert_eq!((failed.status, failed.next_eval), (EvalStatus::Failed, Some(next)));
            assert_eq!((follow.trigger, follow.status, follow.priority), (Trigger::FailedFollowUp, EvalStatus::Pending, 70));
            assert_eq!(follow.previous_eval, Some(one.id));
            follow.wait_until.since(WallTime(5)).as_secs() / 60
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((minutes(0.0), minutes(1.0)), (1, 6));
    assert_eq!(give_up(&one, false, next, 0.0, WallTime(5)).len(), 1);
}
