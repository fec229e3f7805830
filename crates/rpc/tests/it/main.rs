//! The agent channel over loopback: calls, refusals, the stream, and what is not understood.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drover_base::{AllocId, EvalId, NodeId, WallTime};
use drover_model::{
    AclPolicy, AllocUpdate, AllocatedResources, Allocation, ClientStatus, DesiredStatus, DesiredTransition, Job, Node, ServiceRegistration,
};
use drover_rpc::{
    AgentClient, Caller, Desired, DesiredStream, Greeting, Identified, Options, Peer, Pipe, Reason, Refusal, Registered, Servers, Shared,
    serve,
};
use drover_rt::{Clock, TaskScope};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Fake {
    reported: Mutex<Vec<AllocUpdate>>,
    changes: Mutex<Option<mpsc::Receiver<Desired>>>,
    pipes: Mutex<Vec<(Option<u64>, Pipe)>>,
}

impl Servers for Fake {
    fn register(&self, node: Node) -> BoxFuture<'_, Result<Registered, Refusal>> {
        Box::pin(async move {
            if node.name.is_empty() {
                return Err(Refusal::new(Reason::Refused, "missing node name"));
            }
            Ok(Registered::within(Duration::from_millis(12_345)).asking(true))
        })
    }

    fn heartbeat(&self, caller: Caller) -> BoxFuture<'_, Result<Registered, Refusal>> {
        Box::pin(async move {
            match caller.secret.as_str() {
                "right" => Ok(Registered::within(Duration::from_secs(1)).telling(false, vec!["10.0.0.1:4647".into()], 3)),
                "nobody" => Err(Refusal::new(Reason::UnknownNode, "node not found")),
                _ => Err(Refusal::new(Reason::Unreachable, "No cluster leader")),
            }
        })
    }

    fn follow(&self, _: Caller) -> BoxFuture<'_, Result<DesiredStream, Refusal>> {
        let changes = self.changes.lock().expect("no test panics with it").take();
        Box::pin(async move {
            let changes = changes.ok_or_else(|| Refusal::new(Reason::Refused, "followed already"))?;
            Ok(futures::stream::unfold(changes, |mut changes| async move { Some((changes.recv().await?, changes)) }).boxed())
        })
    }

    fn update_allocs(&self, _: Caller, updates: Vec<AllocUpdate>) -> BoxFuture<'_, Result<(), Refusal>> {
        self.reported.lock().expect("no test panics with it").extend(updates);
        Box::pin(std::future::ready(Ok(())))
    }

    fn upsert_services(&self, _: Caller, _: Vec<ServiceRegistration>) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn delete_service(&self, _: Caller, _: String, _: String) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(Err(Refusal::new(Reason::NotFound, "service not found"))))
    }

    fn identify(&self, _: Caller, secret: String) -> BoxFuture<'_, Result<Identified, Refusal>> {
        let refused = (secret != "known").then(|| "Permission denied".to_owned());
        Box::pin(std::future::ready(Ok(Identified { enforced: true, refused, ..Identified::default() })))
    }

    fn task_identity(&self, _: Caller, _: AllocId, task: String) -> BoxFuture<'_, Result<String, Refusal>> {
        Box::pin(std::future::ready(Ok(format!("identity of {task}"))))
    }

    fn pipe(&self, caller: Caller, ticket: Option<u64>, pipe: Pipe) -> BoxFuture<'_, Result<(), Refusal>> {
        let taken = match (caller.secret.as_str(), ticket) {
            ("right", None | Some(7)) => {
                self.pipes.lock().expect("no test panics with it").push((ticket, pipe));
                Ok(())
            }
            _ => Err(Refusal::new(Reason::NotFound, "nobody waits for this pipe")),
        };
        Box::pin(std::future::ready(taken))
    }

    fn greet(&self, greeting: Greeting) -> BoxFuture<'_, Result<Greeting, Refusal>> {
        let answer = match greeting.from.region.as_str() {
            "here" => Err(Refusal::new(Reason::Refused, "there is one already")),
            _ => Ok(Greeting { from: peer("here"), others: vec![greeting.from] }),
        };
        Box::pin(std::future::ready(answer))
    }

    fn shared(&self, secret: String, since: u64, wait: Duration) -> BoxFuture<'_, Result<Vec<Shared>, Refusal>> {
        let part = |index: u64, names: &[&str]| Shared {
            index,
            policies: Some(names.iter().map(|name| AclPolicy { name: (*name).to_owned(), ..AclPolicy::default() }).collect()),
            ..Shared::default()
        };
        let answer = match secret.as_str() {
            "right" if wait == Duration::from_secs(7) => Ok(vec![part(since + 1, &["a"]), part(since + 1, &["b"])]),
            "right" => Ok(vec![Shared { index: since, ..Shared::default() }]),
            _ => Err(Refusal::new(Reason::Refused, "Permission denied")),
        };
        Box::pin(std::future::ready(answer))
    }

    fn visit(&self, pipe: Pipe) -> BoxFuture<'_, Result<(), Refusal>> {
        self.pipes.lock().expect("no test panics with it").push((None, pipe));
        Box::pin(std::future::ready(Ok(())))
    }
}

fn peer(region: &str) -> Peer {
    Peer {
        region: region.to_owned(),
        name: "one".to_owned(),
        id: format!("id of {region}"),
        address: "10.0.0.1:4647".to_owned(),
        datacenter: "dc1".to_owned(),
        build: "2.0.5".to_owned(),
        serf_port: 4648,
    }
}

struct House {
    address: SocketAddr,
    fake: Arc<Fake>,
    scope: TaskScope,
}

impl House {
    async fn open(connections_per_client: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, fake, scope) = (listener.local_addr().expect("its address"), Arc::new(Fake::default()), TaskScope::new());
        let servers: Arc<dyn Servers> = Arc::clone(&fake) as Arc<dyn Servers>;
        scope.spawn("channel", serve(listener, servers, Options { connections_per_client }, Clock::system(), scope.clone()));
        Self { address, fake, scope }
    }

    fn client(&self) -> AgentClient {
        AgentClient::new(&self.address.to_string()).expect("an address")
    }
}

fn caller(secret: &str) -> Caller {
    Caller { node: NodeId::from_random(1), secret: secret.to_owned() }
}

fn alloc(number: u128, job: &Arc<Job>, resources: &Arc<AllocatedResources>) -> Arc<Allocation> {
    Arc::new(Allocation {
        id: AllocId::from_random(number),
        job: Arc::clone(job),
        group: "web".to_owned(),
        index: 3,
        node_id: NodeId::from_random(1),
        eval_id: EvalId::from_random(2),
        resources: Arc::clone(resources),
        desired: DesiredStatus::Run,
        transition: DesiredTransition::default(),
        client_status: ClientStatus::Pending,
        deployment: None,
        canary: true,
        health_wanted: true,
        previous: Some(AllocId::from_random(9)),
        create_index: 7,
        alloc_modify_index: 8,
        create_time: WallTime(5),
        node_name: "n1".to_owned(),
    })
}

#[tokio::test]
async fn calls_are_answered_and_refusals_keep_their_reason() {
    let house = House::open(0).await;
    let client = house.client();
    let node = Node { name: "n1".to_owned(), meta: BTreeMap::from([("rack".to_owned(), "r1".to_owned())]), ..Node::default() };
    assert_eq!(client.register(node).await.unwrap().ttl(), Duration::from_millis(12_345));
    let refused = client.register(Node::default()).await.unwrap_err();
    assert_eq!(refused, Refusal::new(Reason::Refused, "missing node name"));
    let told = client.heartbeat(caller("right")).await.unwrap();
    assert_eq!((told.eligible(), told.servers(), told.feature_level()), (false, &["10.0.0.1:4647".to_owned()][..], 3));
    assert_eq!(client.heartbeat(caller("nobody")).await.unwrap_err().reason, Reason::UnknownNode);
    assert_eq!(client.heartbeat(caller("late")).await.unwrap_err(), Refusal::new(Reason::Unreachable, "No cluster leader"));
    assert_eq!(client.delete_service(caller("right"), "default".into(), "x".into()).await.unwrap_err().reason, Reason::NotFound);
    let update = |number| AllocUpdate {
        id: AllocId::from_random(number),
        status: ClientStatus::Running,
        description: "x".repeat(100),
        tasks: BTreeMap::new(),
        health: None,
    };
    // Larger than one frame and than the window of a call.
    let many: Vec<AllocUpdate> = (0..5_000).map(update).collect();
    client.update_allocs(caller("right"), many.clone()).await.unwrap();
    assert_eq!(*house.fake.reported.lock().unwrap(), many);
    house.scope.shutdown(LIMIT).await;
}

#[tokio::test]
async fn the_stream_brings_every_change_and_shares_what_was_shared() {
    let house = House::open(0).await;
    let (sender, changes) = mpsc::channel(4);
    *house.fake.changes.lock().unwrap() = Some(changes);
    let client = house.client();
    let mut stream = client.follow(caller("right")).await.unwrap();
    let job = Arc::new(Job { name: "j".repeat(50_000), ..Job::default() });
    let resources = Arc::new(AllocatedResources { disk_mb: 300, ..AllocatedResources::default() });
    let full =
        Desired { full: true, upserts: (0..200).map(|number| alloc(number, &job, &resources)).collect(), removals: vec![], calls: vec![] };
    let delta = Desired { full: false, upserts: vec![], removals: vec![AllocId::from_random(4)], calls: vec![9] };
    sender.send(full.clone()).await.unwrap();
    sender.send(delta.clone()).await.unwrap();
    let got = stream.next().await.unwrap().unwrap();
    assert_eq!(got, full);
    assert!(got.upserts.iter().all(|alloc| Arc::ptr_eq(&alloc.job, &got.upserts[0].job)), "200 copies of one job");
    assert_eq!(stream.next().await.unwrap().unwrap(), delta);
    drop(sender);
    assert!(stream.next().await.is_none());
    house.scope.shutdown(LIMIT).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable_and_found_again() {
    let house = House::open(0).await;
    let (client, address) = (house.client(), house.address);
    client.heartbeat(caller("right")).await.unwrap();
    house.scope.shutdown(LIMIT).await;
    drop(house.fake);
    let gone = client.heartbeat(caller("right")).await.unwrap_err();
    assert_eq!(gone.reason, Reason::Unreachable, "{gone}");
    let listener = TcpListener::bind(address).await.unwrap();
    let (fake, scope): (Arc<dyn Servers>, _) = (Arc::new(Fake::default()), TaskScope::new());
    scope.spawn("channel", serve(listener, fake, Options { connections_per_client: 0 }, Clock::system(), scope.clone()));
    let back = tokio::time::timeout(LIMIT, async { while client.heartbeat(caller("right")).await.is_err() {} }).await;
    assert!(back.is_ok());
    scope.shutdown(LIMIT).await;
}

#[tokio::test]
async fn one_address_holds_no_more_connections_than_allowed() {
    let house = House::open(1).await;
    let (first, second) = (house.client(), house.client());
    first.heartbeat(caller("right")).await.unwrap();
    assert_eq!(second.heartbeat(caller("right")).await.unwrap_err().reason, Reason::Unreachable);
    first.heartbeat(caller("right")).await.unwrap();
    drop(first);
    let free = tokio::time::timeout(LIMIT, async { while second.heartbeat(caller("right")).await.is_err() {} }).await;
    assert!(free.is_ok());
    house.scope.shutdown(LIMIT).await;
}

#[tokio::test]
async fn what_is_not_the_protocol_does_not_end_the_server() {
    use tokio::io::AsyncWriteExt;
    let house = House::open(0).await;
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
        let mut stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
        stream.write_all(noise).await.unwrap();
        let _ = stream.shutdown().await;
    }
    house.client().heartbeat(caller("right")).await.unwrap();
    house.scope.shutdown(LIMIT).await;
}

#[test]
fn an_address_that_cannot_be_read_is_named() {
    let refusal = AgentClient::new("not an address").unwrap_err();
    assert!(refusal.text.contains("not an address") && refusal.text.contains("host:port"), "{refusal}");
}

#[tokio::test]
async fn pipes_carry_bytes_both_ways_until_one_side_ends_them() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let house = House::open(0).await;
    let client = house.client();
    let refusal = client.pipe(&caller("right"), Some(8)).await.expect_err("nobody asked for it");
    assert_eq!((refusal.reason, refusal.text.as_str()), (Reason::NotFound, "nobody waits for this pipe"));
    for ticket in [None, Some(7)] {
        let mut near = client.pipe(&caller("right"), ticket).await.expect("it is taken");
        let (told, mut far) = house.fake.pipes.lock().expect("no test panics with it").pop().expect("it was kept");
        assert_eq!(told, ticket);
        let long = vec![b'x'; 1 << 20];
        let writing = async {
            near.write_all(&long).await.expect("it is read");
            near.shutdown().await.expect("the half ends");
            let mut answer = String::new();
            near.read_to_string(&mut answer).await.expect("it ends");
            answer
        };
        let reading = async {
            let mut read = Vec::new();
            far.read_to_end(&mut read).await.expect("it ends");
            far.write_all(format!("{} bytes", read.len()).as_bytes()).await.expect("it is read");
            drop(far);
        };
        let (answer, ()) = tokio::join!(writing, reading);
        assert_eq!(answer, "1048576 bytes");
    }
    // A writer learns that nobody reads any more.
    let mut near = client.pipe(&caller("right"), None).await.expect("it is taken");
    drop(house.fake.pipes.lock().expect("no test panics with it").pop());
    let mut failed = false;
    for _ in 0..1_000 {
        if near.write_all(&[0; 4_096]).await.is_err() {
            failed = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(failed, "writing goes on for ever");
    house.scope.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn who_sends_a_secret_is_told() {
    let house = House::open(0).await;
    let client = house.client();
    let known = client.identify(caller("right"), "known".to_owned()).await.expect("it answers");
    let unknown = client.identify(caller("right"), "unknown".to_owned()).await.expect("it answers");
    assert_eq!((known.enforced, known.refused, unknown.refused.as_deref()), (true, None, Some("Permission denied")));
    house.scope.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn servers_of_regions_greet_each_other_and_open_pipes() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let house = House::open(0).await;
    let client = house.client();
    let greeting = |region: &str| Greeting { from: peer(region), others: vec![peer("third")] };
    let answer = client.greet(greeting("there")).await.expect("an answer");
    assert_eq!(answer, Greeting { from: peer("here"), others: vec![peer("there")] });
    assert_eq!(client.greet(greeting("here")).await.unwrap_err(), Refusal::new(Reason::Refused, "there is one already"));
    // What all regions share comes in parts, for whoever may have it.
    let shared = client.shared("right".to_owned(), 4, Duration::from_secs(7)).await.expect("it is told");
    let names: Vec<&str> = shared.policies.iter().flatten().map(|policy| policy.name.as_str()).collect();
    assert_eq!((shared.index, names, shared.tokens), (5, vec!["a", "b"], None));
    assert_eq!(client.shared("right".to_owned(), 4, Duration::ZERO).await, Ok(Shared { index: 4, ..Shared::default() }));
    assert_eq!(client.shared("wrong".to_owned(), 4, Duration::ZERO).await.unwrap_err(), Refusal::new(Reason::Refused, "Permission denied"));
    // It needs no node, and carries bytes both ways.
    let visits = AgentClient::for_visits(&house.address.to_string()).expect("an address");
    let mut near = visits.visit().await.expect("a pipe");
    let (_, mut far) = house.fake.pipes.lock().expect("no test panics with it").pop().expect("the other end");
    near.write_all(b"question").await.expect("written");
    let mut heard = [0; 8];
    far.read_exact(&mut heard).await.expect("read");
    far.write_all(b"answer").await.expect("written");
    drop(far);
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.expect("read");
    assert_eq!((&heard, answer.as_slice()), (b"question", &b"answer"[..]));
    // Nobody there: told soon.
    drop(near);
    house.scope.shutdown(LIMIT).await;
    assert_eq!(client.greet(greeting("there")).await.unwrap_err().reason, Reason::Unreachable);
}
