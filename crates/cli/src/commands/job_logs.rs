//! `job logs`: what all tasks of a job write, each line with whose it is; and `alloc port-forward`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use drover_api::{Allocation, AllocationListStub};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::{TcpListener, TcpStream};

use super::alloc_files::Frames;
use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve;
use crate::sdk::{Client, Query, segment};
use crate::ui::Paint;

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("f", "Go on with what is written, by allocations to come, too."),
    Flag::value("task", "task", "Only this task."),
    Flag::value("group", "group", "Only tasks of this group."),
    Flag::switch("stdout", "Only standard output."),
    Flag::switch("stderr", "Only standard error."),
    super::VERBOSE,
];
pub(super) const FORWARD_FLAGS: &[Flag] = &[Flag::value("bind", "address", "The local address to listen on. Default 127.0.0.1.")];

/// Colours of prefixes, one allocation and task after the other.
const COLOURS: [Paint; 5] = [Paint::Blue, Paint::Magenta, Paint::Green, Paint::Yellow, Paint::Cyan];
/// The longest line that is held until it ends.
const LINE_MAX: usize = 64 << 10;
/// How long one question about new allocations is held.
const WAIT: Duration = Duration::from_secs(60);
/// Connections that are forwarded at a time at most.
const CONNECTIONS_MAX: usize = 256;

/// One output of one task.
struct Source {
    alloc: String,
    namespace: String,
    task: String,
    kind: &'static str,
    prefix: String,
}

async fn follow_one(context: &Context, client: &Client, source: Source) -> Result<(), Failure> {
    let query = Query::new().namespace(&source.namespace).set("task", &source.task).set("type", source.kind);
    let query = query.set("follow", context.flags.on("f"));
    let path = format!("/v1/client/fs/logs/{}", segment(&source.alloc));
    let wrong = |error: crate::sdk::SdkError| Failure::new(format!("Failed to read {} of {}: {error}", source.kind, source.prefix.trim()));
    let mut frames = match client.stream(&path, &query).await {
        Ok(stream) => Frames::new(stream),
        // A task that has not written yet has no log.
        Err(error) if error.is_code(404) => return Ok(()),
        Err(error) => return Err(wrong(error)),
    };
    let mut line = Vec::new();
    let show = |line: &[u8]| {
        let text = format!("{} {}\n", source.prefix, String::from_utf8_lossy(line));
        if source.kind == "stderr" { context.ui.raw_error(text.as_bytes()) } else { context.ui.raw(text.as_bytes()) }
    };
    while let Some(frame) = frames.next().await {
        for byte in frame.map_err(wrong)?.data.map(|data| data.0).unwrap_or_default() {
            if byte == b'\n' || line.len() >= LINE_MAX {
                show(&line);
                line.clear();
            }
            if byte != b'\n' {
                line.push(byte);
            }
        }
    }
    if !line.is_empty() {
        show(&line);
    }
    Ok(())
}

pub(super) async fn logs(context: &mut Context) -> Outcome {
    let given = context.one_argument("<job>")?;
    let client = context.client()?;
    let job = resolve::job(context, &client, &given).await?;
    let context = &*context;
    let follow = context.flags.on("f");
    let reading = async {
        let (mut seen, mut index, mut colour) = (BTreeSet::new(), 0, 0);
        let mut running = FuturesUnordered::new();
        loop {
            let path = format!("{}/allocations", job.path());
            let query = job.query().blocking(index, WAIT);
            let asked = client.get::<Vec<AllocationListStub>>(&path, &query);
            let answer = if running.is_empty() {
                Some(asked.await)
            } else {
                tokio::select! {
                    answer = asked => Some(answer),
                    Some(ended) = running.next() => { let ended: Result<(), Failure> = ended; ended?; None }
                }
            };
            let Some(answer) = answer else { continue };
            let answer = answer.attempt("Error retrieving allocations")?;
            index = answer.meta.index;
            for stub in answer.value.iter().filter(|stub| stub.client_status != "pending") {
                let group = context.flags.text("group");
                if group.is_some_and(|group| group != stub.task_group) || !seen.insert(stub.id.clone()) {
                    continue;
                }
                for task in stub.task_states.iter().flatten().map(|(name, _)| name) {
                    if context.flags.text("task").is_some_and(|wanted| wanted != task) {
                        continue;
                    }
                    let paint = COLOURS[colour % COLOURS.len()];
                    colour += 1;
                    let id = crate::text::short(&stub.id, context.verbose());
                    let prefix = context.ui.paint(paint, &format!("{id} {task} |"));
                    for kind in ["stdout", "stderr"] {
                        let other = if kind == "stdout" { "stderr" } else { "stdout" };
                        if context.flags.on(other) && !context.flags.on(kind) {
                            continue;
                        }
                        let source = Source {
                            alloc: stub.id.clone(),
                            namespace: stub.namespace.clone(),
                            task: task.clone(),
                            kind,
                            prefix: prefix.clone(),
                        };
                        running.push(follow_one(context, &client, source));
                    }
                }
            }
            if !follow {
                if seen.is_empty() {
                    return Err(Failure::new(format!("No allocation of job {:?} has started", job.id)));
                }
                while let Some(ended) = running.next().await {
                    ended?;
                }
                return Ok(0);
            }
        }
    };
    super::until_interrupted(follow, reading).await
}

/// Where a port of an allocation is: by its label, or by its number inside.
fn target(alloc: &Allocation, wanted: &str) -> Option<String> {
    let resources = alloc.allocated_resources.as_ref()?;
    let ports = resources.shared.ports.iter().flatten();
    let number = wanted.parse::<i64>().ok();
    let port =
        ports.into_iter().find(|port| port.label == wanted || number.is_some_and(|number| number == port.to || number == port.value))?;
    Some(if port.host_ip.contains(':') { format!("[{}]:{}", port.host_ip, port.value) } else { format!("{}:{}", port.host_ip, port.value) })
}

pub(super) async fn port_forward(context: &mut Context) -> Outcome {
    let [given, ports] = context.arguments() else {
        return Err(Failure::usage("This command takes two arguments: <alloc> [<local port>:]<port>"));
    };
    let (given, ports) = (given.clone(), ports.clone());
    let (local, remote) = ports.split_once(':').unwrap_or(("0", &ports));
    let local: u16 = local.parse().map_err(|_| Failure::usage(format!("{local:?} is no port")))?;
    let client = context.client()?;
    let stub = resolve::alloc(context, &client, &given).await?;
    let (_, alloc) = super::alloc::read(&client, &stub).await?;
    let Some(address) = target(&alloc, remote) else {
        let resources = alloc.allocated_resources.as_ref();
        let labels: Vec<&str> =
            resources.iter().flat_map(|all| all.shared.ports.iter().flatten()).map(|port| port.label.as_str()).collect();
        let known = if labels.is_empty() { "it has none".to_owned() } else { format!("it has {}", labels.join(", ")) };
        return Err(Failure::new(format!("Allocation {:?} has no port {remote:?}; {known}", crate::text::short(&stub.id, false))));
    };
    let bind = context.flags.text("bind").unwrap_or("127.0.0.1").to_owned();
    let bind: std::net::IpAddr = bind.parse().map_err(|_| Failure::usage(format!("{bind:?} is no address")))?;
    let wrong = |error: std::io::Error| Failure::new(format!("Error listening on {bind}:{local}: {error}"));
    let listener = TcpListener::bind(SocketAddr::new(bind, local)).await.map_err(wrong)?;
    let own = listener.local_addr().map_err(wrong)?;
    context.ui.output(format!("Forwarding {own} -> {address}; Ctrl-C to end"));
    let context = &*context;
    let serving = async {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if open.len() < CONNECTIONS_MAX => {
                    let (inner, _) = accepted.map_err(|error| Failure::new(format!("Error taking a connection: {error}")))?;
                    open.push(forwarded(inner, &address));
                }
                Some(ended) = open.next() => {
                    let ended: Result<(), std::io::Error> = ended;
                    if let Err(error) = ended {
                        context.ui.warn(format!("{address}: {error}"));
                    }
                }
            }
        }
    };
    super::until_interrupted(true, serving).await
}

async fn forwarded(mut inner: TcpStream, address: &str) -> Result<(), std::io::Error> {
    let mut outer = TcpStream::connect(address).await?;
    tokio::io::copy_bidirectional(&mut inner, &mut outer).await.map(|_| ())
}
