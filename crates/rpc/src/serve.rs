//! The server side: accepts connections of agents and answers their calls.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use drover_base::AllocId;
use drover_model::{AllocUpdate, Node, ServiceRegistration};
use drover_rt::{Clock, TaskScope};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};

use crate::MESSAGE_MAX;
use crate::codec::Cbor;
use crate::desired::{Desired, DesiredMessage, WrittenJobs};
use crate::message::{
    Caller, CallerCall, DeleteServiceCall, Done, Greeting, Identified, IdentifyCall, Refusal, RegisterCall, Registered, Shared, SharedCall,
    TaskIdentityCall, TaskIdentityReply, UpdateAllocsCall, UpsertServicesCall, path,
};
use crate::pipe::{self, Pipe};

/// An agent that does not answer a ping within this time is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a silent connection is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Calls of one agent at a time, the requests that it passes on included.
const STREAMS_MAX: u32 = 1_024;
/// Bytes of a call that may be on their way before the server has read them.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all calls of a connection.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// The pause after a failed accept, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The allocations of a node as they change.
pub type DesiredStream = BoxStream<'static, Desired>;

/// What servers do for clients.
pub trait Servers: Send + Sync + 'static {
    /// Registers the node, or registers it anew with other facts.
    fn register(&self, node: Node) -> BoxFuture<'_, Result<Registered, Refusal>>;
    /// The node is alive.
    fn heartbeat(&self, caller: Caller) -> BoxFuture<'_, Result<Registered, Refusal>>;
    /// The node's allocations: everything first, then changes.
    fn follow(&self, caller: Caller) -> BoxFuture<'_, Result<DesiredStream, Refusal>>;
    /// Takes reports about allocations; returns once they are committed.
    fn update_allocs(&self, caller: Caller, updates: Vec<AllocUpdate>) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Puts services of the node into the catalogue.
    fn upsert_services(&self, caller: Caller, services: Vec<ServiceRegistration>) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Takes a service out of the catalogue.
    fn delete_service(&self, caller: Caller, namespace: String, id: String) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Who sends a secret to the node; "" is a caller without one.
    fn identify(&self, caller: Caller, secret: String) -> BoxFuture<'_, Result<Identified, Refusal>>;
    /// The identity of a task of the node, signed by the region.
    fn task_identity(&self, caller: Caller, alloc: AllocId, task: String) -> BoxFuture<'_, Result<String, Refusal>>;
    /// Takes a pipe: one that was asked for under a ticket, or without one a way to the API.
    fn pipe(&self, caller: Caller, ticket: Option<u64>, pipe: Pipe) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Hears of a server of another region, and tells it of this one.
    fn greet(&self, greeting: Greeting) -> BoxFuture<'_, Result<Greeting, Refusal>>;
    /// What all regions share, in parts, once it is newer than this: for whoever shows a management token of the region in which it is
    /// written.
    fn shared(&self, secret: String, since: u64, wait: Duration) -> BoxFuture<'_, Result<Vec<Shared>, Refusal>>;
    /// Takes a way to the API, for requests of another region.
    fn visit(&self, pipe: Pipe) -> BoxFuture<'_, Result<(), Refusal>>;
}

/// How to listen.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections per address; 0 is no limit.
    pub connections_per_client: usize,
}

/// Accepts and answers until the scope stops.
pub async fn serve(listener: TcpListener, servers: Arc<dyn Servers>, options: Options, clock: Clock, scope: TaskScope) {
    let (open, jobs) = (Open::default(), WrittenJobs::default());
    let stop = scope.stop_token();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok((stream, remote)) => (stream, remote.ip().to_canonical()),
            Err(error) => {
                tracing::warn!(%error, "accept a connection of an agent");
                clock.sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(slot) = open.admit(remote, options.connections_per_client) else {
            tracing::warn!(%remote, limit = options.connections_per_client, "too many connections from one address, see limits.rpc_max_conns_per_client");
            continue;
        };
        let (servers, jobs) = (Arc::clone(&servers), jobs.clone());
        scope.spawn_until_stop("agent connection", async move {
            connection(stream, remote, servers, jobs).await;
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, remote: IpAddr, servers: Arc<dyn Servers>, jobs: WrittenJobs) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let answered = answer(Arc::clone(&servers), &jobs, request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, %remote, "connection of an agent ended");
    }
}

fn answer(servers: Arc<dyn Servers>, jobs: &WrittenJobs, request: http::Request<Incoming>) -> BoxFuture<'static, http::Response<Body>> {
    let path = request.uri().path().to_owned();
    match path.as_str() {
        path::REGISTER => unary(request, move |call: RegisterCall| async move { servers.register(*call.node).await }),
        path::HEARTBEAT => unary(request, move |call: CallerCall| async move { servers.heartbeat(call.caller).await }),
        path::UPDATE_ALLOCS => {
            unary(request, move |call: UpdateAllocsCall| async move { servers.update_allocs(call.caller, call.updates).await.map(done) })
        }
        path::UPSERT_SERVICES => {
            unary(
                request,
                move |call: UpsertServicesCall| async move { servers.upsert_services(call.caller, call.services).await.map(done) },
            )
        }
        path::DELETE_SERVICE => unary(request, move |call: DeleteServiceCall| async move {
            servers.delete_service(call.caller, call.namespace, call.id).await.map(done)
        }),
        path::IDENTIFY => unary(request, move |call: IdentifyCall| async move { servers.identify(call.caller, call.secret).await }),
        path::TASK_IDENTITY => unary(request, move |call: TaskIdentityCall| async move {
            servers.task_identity(call.caller, call.alloc, call.task).await.map(|token| TaskIdentityReply { token })
        }),
        path::PIPE => Box::pin(async move {
            let taken = async {
                let (caller, ticket) = pipe::introduced(request.headers())?;
                let (opening, outbound) = pipe::opening();
                servers.pipe(caller, ticket, opening.reading(request.into_body())).await.map(|()| outbound)
            };
            match taken.await {
                Ok(outbound) => http::Response::new(outbound.body()),
                Err(refusal) => Status::from(refusal).into_http(),
            }
        }),
        path::GREET => unary(request, move |greeting: Greeting| async move { servers.greet(greeting).await }),
        path::SHARED => {
            let mut grpc = Grpc::new(Cbor::<Shared, SharedCall>::default());
            let copies = Copies(servers);
            Box::pin(async move { grpc.server_streaming(copies, request).await })
        }
        path::VISIT => Box::pin(async move {
            let (opening, outbound) = pipe::opening();
            match servers.visit(opening.reading(request.into_body())).await {
                Ok(()) => http::Response::new(outbound.body()),
                Err(refusal) => Status::from(refusal).into_http(),
            }
        }),
        path::FOLLOW => {
            let mut grpc = Grpc::new(Cbor::<DesiredMessage, CallerCall>::default());
            let follow = Follow(servers, jobs.clone());
            Box::pin(async move { grpc.server_streaming(follow, request).await })
        }
        other => {
            let unknown = Status::unimplemented(format!("this build has no call {other}; upgrade the servers first, then the clients"));
            Box::pin(std::future::ready(unknown.into_http()))
        }
    }
}

fn done((): ()) -> Done {
    Done {}
}

fn unary<Call, Reply, F, Fut>(request: http::Request<Incoming>, act: F) -> BoxFuture<'static, http::Response<Body>>
where
    Call: for<'b> minicbor::Decode<'b, ()> + Send + 'static,
    Reply: minicbor::Encode<()> + Send + 'static,
    F: FnOnce(Call) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Reply, Refusal>> + Send + 'static,
{
    let service = Once(Some(act), std::marker::PhantomData);
    let mut grpc = Grpc::new(Cbor::<Reply, Call>::default()).max_decoding_message_size(MESSAGE_MAX);
    Box::pin(async move { grpc.unary(service, request).await })
}

/// A call's action as the service that tonic wants.
struct Once<F, Call>(Option<F>, std::marker::PhantomData<fn(Call)>);

impl<F, Call, Reply, Fut> tower::Service<Request<Call>> for Once<F, Call>
where
    F: FnOnce(Call) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Reply, Refusal>> + Send + 'static,
{
    type Response = Response<Reply>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Reply>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Call>) -> Self::Future {
        let Some(act) = self.0.take() else { return Box::pin(async { Err(Status::internal("a call is made once")) }) };
        let reply = act(request.into_inner());
        Box::pin(async move { reply.await.map(Response::new).map_err(Status::from) })
    }
}

struct Follow(Arc<dyn Servers>, WrittenJobs);

impl tower::Service<Request<CallerCall>> for Follow {
    type Response = Response<Pin<Box<dyn futures::Stream<Item = Result<DesiredMessage, Status>> + Send>>>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<CallerCall>) -> Self::Future {
        let (servers, jobs) = (Arc::clone(&self.0), self.1.clone());
        Box::pin(async move {
            let changes = servers.follow(request.into_inner().caller).await?;
            let messages = changes.map(move |change| Ok(DesiredMessage::fold(&change, &jobs)));
            Ok(Response::new(Box::pin(messages) as Pin<Box<_>>))
        })
    }
}

struct Copies(Arc<dyn Servers>);

impl tower::Service<Request<SharedCall>> for Copies {
    type Response = Response<BoxStream<'static, Result<Shared, Status>>>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<SharedCall>) -> Self::Future {
        let servers = Arc::clone(&self.0);
        Box::pin(async move {
            let SharedCall { secret, since, wait_ns } = request.into_inner();
            let parts = servers.shared(secret, since, Duration::from_nanos(wait_ns)).await?;
            Ok(Response::new(futures::stream::iter(parts).map(Ok).boxed()))
        })
    }
}

/// Connections by address.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// A connection that counts until it is dropped.
struct Slot(Open, IpAddr);

impl Open {
    fn admit(&self, address: IpAddr, limit: usize) -> Option<Slot> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if limit > 0 && *count >= limit {
            return None;
        }
        *count += 1;
        Some(Slot(self.clone(), address))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}
