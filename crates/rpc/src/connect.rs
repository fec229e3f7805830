//! The client side: calls to one server over one connection, which comes back by itself when it was lost.

use std::time::Duration;

use drover_base::AllocId;
use drover_model::{AllocUpdate, Node, ServiceRegistration};
use futures::Stream;
use futures::stream::StreamExt;
use http::HeaderMap;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tower::{Service as _, ServiceExt as _};

use crate::MESSAGE_MAX;
use crate::codec::Cbor;
use crate::desired::{Desired, DesiredMessage};
use crate::message::{
    Caller, CallerCall, DeleteServiceCall, Done, Greeting, Identified, IdentifyCall, Reason, Refusal, RegisterCall, Registered, Shared,
    SharedCall, TaskIdentityCall, TaskIdentityReply, UpdateAllocsCall, UpsertServicesCall, path,
};
use crate::pipe::{self, Pipe};

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a short call may take. Reports wait for a commit, so this is above the time of an election.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that does not answer a ping within this time is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent connection is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long what all regions share may be on its way once it was asked for and waited for.
const SHARED_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a greeting may take.
const GREET_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of one pipe between regions that may be on their way before they are read.
const VISIT_WINDOW: u32 = 64 << 10;
/// The same for all of them: as much as all that may be open at a time, so that readers who do not read hold up nobody else.
const VISITS_WINDOW: u32 = VISIT_WINDOW * 1_024;
/// Calls that may wait for the connection; more are held back.
const CALLS_WAITING_MAX: usize = 16;

/// The server at `host:port`, as all connections to it are made.
fn endpoint(address: &str) -> Result<Endpoint, Refusal> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| Refusal::new(Reason::Refused, format!("server address {address:?}: {error}; expected host:port")))?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .buffer_size(CALLS_WAITING_MAX))
}

/// A connection to a server. Clones share it.
#[derive(Clone, Debug)]
pub struct AgentClient {
    channel: Channel,
}

impl AgentClient {
    /// A client of the server at `host:port`. The connection is made when it is first needed.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn new(address: &str) -> Result<Self, Refusal> {
        Ok(Self { channel: endpoint(address)?.connect_lazy() })
    }

    /// The same for pipes to the API of another region alone: many, some of whose readers are slow.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn for_visits(address: &str) -> Result<Self, Refusal> {
        let endpoint = endpoint(address)?.initial_stream_window_size(VISIT_WINDOW).initial_connection_window_size(VISITS_WINDOW);
        Ok(Self { channel: endpoint.connect_lazy() })
    }

    async fn call<Call, Reply>(&self, path: &'static str, call: Call) -> Result<Reply, Refusal>
    where
        Call: minicbor::Encode<()> + Send + Sync + 'static,
        Reply: for<'b> minicbor::Decode<'b, ()> + Send + Sync + 'static,
    {
        let mut request = Request::new(call);
        request.set_timeout(CALL_TIMEOUT);
        let mut grpc = self.grpc().await?;
        let reply = grpc.unary(request, PathAndQuery::from_static(path), Cbor::<Call, Reply>::default()).await?;
        Ok(reply.into_inner())
    }

    async fn grpc(&self) -> Result<Grpc<Channel>, Refusal> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MESSAGE_MAX);
        grpc.ready().await.map_err(|error| Refusal::new(Reason::Unreachable, error.to_string()))?;
        Ok(grpc)
    }

    /// Registers the node.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn register(&self, node: Node) -> Result<Registered, Refusal> {
        self.call(path::REGISTER, RegisterCall { node: Box::new(node) }).await
    }

    /// Says that the node is alive.
    ///
    /// # Errors
    /// When the server cannot be reached or does not know the node.
    pub async fn heartbeat(&self, caller: Caller) -> Result<Registered, Refusal> {
        self.call(path::HEARTBEAT, CallerCall { caller }).await
    }

    /// The node's allocations: everything first, then each change. The stream ends when the connection is lost.
    ///
    /// # Errors
    /// When the server cannot be reached or does not know the node.
    pub async fn follow(&self, caller: Caller) -> Result<impl Stream<Item = Result<Desired, Refusal>> + Send + Unpin + use<>, Refusal> {
        let mut grpc = self.grpc().await?;
        let codec = Cbor::<CallerCall, DesiredMessage>::default();
        let reply = grpc.server_streaming(Request::new(CallerCall { caller }), PathAndQuery::from_static(path::FOLLOW), codec).await?;
        Ok(reply.into_inner().map(|message: Result<DesiredMessage, Status>| {
            message?.unfold().ok_or_else(|| Refusal::new(Reason::Unreachable, "the server sent an allocation without its job"))
        }))
    }

    /// Reports states of allocations; returns once they are committed.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn update_allocs(&self, caller: Caller, updates: Vec<AllocUpdate>) -> Result<(), Refusal> {
        self.call(path::UPDATE_ALLOCS, UpdateAllocsCall { caller, updates }).await.map(|Done {}| ())
    }

    /// Puts services into the catalogue.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn upsert_services(&self, caller: Caller, services: Vec<ServiceRegistration>) -> Result<(), Refusal> {
        self.call(path::UPSERT_SERVICES, UpsertServicesCall { caller, services }).await.map(|Done {}| ())
    }

    /// Takes a service out of the catalogue.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, or the service is not there.
    pub async fn delete_service(&self, caller: Caller, namespace: String, id: String) -> Result<(), Refusal> {
        self.call(path::DELETE_SERVICE, DeleteServiceCall { caller, namespace, id }).await.map(|Done {}| ())
    }

    /// Who sends a secret to this node; "" is a caller without one.
    ///
    /// # Errors
    /// When the server cannot be reached or does not know the node.
    pub async fn identify(&self, caller: Caller, secret: String) -> Result<Identified, Refusal> {
        self.call(path::IDENTIFY, IdentifyCall { caller, secret }).await
    }

    /// The identity of a task of this node, signed by the region.
    ///
    /// # Errors
    /// When the server cannot be reached or does not know the node or the task.
    pub async fn task_identity(&self, caller: Caller, alloc: AllocId, task: String) -> Result<String, Refusal> {
        self.call(path::TASK_IDENTITY, TaskIdentityCall { caller, alloc, task }).await.map(|TaskIdentityReply { token }| token)
    }

    /// Opens a pipe: to the server's API, or the one that the server waits for under a ticket.
    ///
    /// # Errors
    /// When the server cannot be reached, does not know the node, or waits for no such pipe.
    pub async fn pipe(&self, caller: &Caller, ticket: Option<u64>) -> Result<Pipe, Refusal> {
        let mut headers = HeaderMap::new();
        pipe::introduce(caller, ticket, &mut headers)?;
        self.open(path::PIPE, headers).await
    }

    /// Opens a pipe to the API of a server of another region.
    ///
    /// # Errors
    /// When the server cannot be reached, or has too much to do.
    pub async fn visit(&self) -> Result<Pipe, Refusal> {
        self.open(path::VISIT, HeaderMap::new()).await
    }

    /// Tells a server of another region of this one, and hears of it.
    ///
    /// # Errors
    /// When the server cannot be reached in time, or wants nothing to do with this one.
    pub async fn greet(&self, greeting: Greeting) -> Result<Greeting, Refusal> {
        let answer = tokio::time::timeout(GREET_TIMEOUT, self.call(path::GREET, greeting)).await;
        answer.unwrap_or_else(|_| Err(Refusal::new(Reason::Unreachable, "the server does not answer")))
    }

    /// What all regions share, once it is newer than `since`; after `wait` nothing, if nothing is. `secret` is a management token of
    /// the region.
    ///
    /// # Errors
    /// When the server cannot be reached, does not take the token, or is not of the region in which it is written.
    pub async fn shared(&self, secret: String, since: u64, wait: Duration) -> Result<Shared, Refusal> {
        let call = SharedCall { secret, since, wait_ns: u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX) };
        let asked = async {
            let codec = Cbor::<SharedCall, Shared>::default();
            let reply = self.grpc().await?.server_streaming(Request::new(call), PathAndQuery::from_static(path::SHARED), codec).await?;
            let (mut parts, mut whole) = (reply.into_inner(), Shared::default());
            while let Some(part) = parts.message().await? {
                whole.absorb(part);
            }
            Ok(whole)
        };
        let late = || Refusal::new(Reason::Unreachable, "the server does not answer");
        tokio::time::timeout(wait + SHARED_TIMEOUT, asked).await.unwrap_or_else(|_| Err(late()))
    }

    async fn open(&self, path: &'static str, headers: HeaderMap) -> Result<Pipe, Refusal> {
        let unreachable = |error: tonic::transport::Error| Refusal::new(Reason::Unreachable, error.to_string());
        let (opening, outbound) = pipe::opening();
        let mut request =
            http::Request::post(path).body(outbound.body()).map_err(|error| Refusal::new(Reason::Refused, error.to_string()))?;
        request.headers_mut().extend(headers);
        let mut channel = self.channel.clone();
        let opened = async { channel.ready().await?.call(request).await };
        let answer = tokio::time::timeout(CONNECT_TIMEOUT, opened)
            .await
            .map_err(|_| Refusal::new(Reason::Unreachable, "the server does not answer"))?
            .map_err(unreachable)?;
        match Status::from_header_map(answer.headers()) {
            Some(status) if status.code() != Code::Ok => Err(status.into()),
            _ => Ok(opening.reading(answer.into_body())),
        }
    }
}
