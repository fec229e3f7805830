//! The framework over a real socket: conventions that need a connection to show, and recorded answers of routing.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has to fail")]

mod acl;
mod agent;
mod cli;
mod conventions;
mod events;
mod flows;
#[expect(unreachable_pub, reason = "the other crate that shares these functions needs them public")]
#[path = "../../../e2e/src/golden.rs"]
mod golden;
mod hostile;
mod operators;
mod own_files;
mod recorded;
mod replay;
mod scaling;
mod searching;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use drover_http::access::{Access, Capability, Forward};
use drover_http::dispatch::{Api, ApiOptions};
use drover_http::route::{Methods, Route, Table};
use drover_http::{ApiError, Meta, Options, Reply, Request, serve, stream};
use drover_rt::{Clock, Entropy, TaskScope};
use tokio::net::TcpListener;

/// An API without an agent behind it.
pub struct Fixture {
    pub address: SocketAddr,
    pub scope: TaskScope,
}

impl Fixture {
    pub async fn start(options: Options) -> Self {
        let listener = TcpListener::bind((IpAddr::from([127, 0, 0, 1]), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let scope = TaskScope::new();
        let api_options =
            ApiOptions { region: "global".to_owned(), response_headers: vec![("x-operator".parse().unwrap(), "yes".parse().unwrap())] };
        let api = Api::new(table(), Arc::new(()), api_options, Clock::system(), Entropy::system());
        scope.spawn("api", serve(listener, api, options, scope.clone()));
        Self { address, scope }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn jobs(_: Arc<()>, request: Request) -> Result<Reply, ApiError> {
    request.read_options()?;
    request.page_options()?;
    Ok(Reply::json(&serde_json::json!([{"ID": "web", "Priority": 50}]))?.meta(&Meta::at(7).next(Some("default.x".into()))))
}

async fn register(_: Arc<()>, mut request: Request) -> Result<Reply, ApiError> {
    let body: serde_json::Value = request.json().await?;
    Ok(Reply::json(&body)?.index(9))
}

async fn events(_: Arc<()>, request: Request) -> Result<Reply, ApiError> {
    request.caller();
    Ok(Reply::event_stream(stream::body(|writer| async move {
        let _ = writer.heartbeat(true).await;
        let _ = writer.line(&serde_json::json!({"Index": 3})).await;
    })))
}

async fn endless(_: Arc<()>, _: Request) -> Result<Reply, ApiError> {
    Ok(Reply::stream(
        "application/json",
        stream::body(|writer| async move {
            let _ = writer.heartbeat(false).await;
            writer.closed().await;
        }),
    ))
}

async fn nothing(_: Arc<()>, _: Request) -> Result<Reply, ApiError> {
    Ok(Reply::empty())
}

fn table() -> Table<()> {
    let read = Access::Namespace(Capability::ReadJob);
    let write = Access::Namespace(Capability::SubmitJob);
    Table::new(vec![
        Route::new(Methods::Get, "/v1/jobs", read, Forward::Server, jobs),
        Route::new(Methods::Write, "/v1/jobs", write, Forward::Leader, register),
        Route::new(Methods::Get, "/v1/nodes", Access::NodeRead, Forward::Server, jobs),
        Route::new(Methods::Get, "/v1/service/{service_name}", read, Forward::Server, jobs),
        Route::new(Methods::Delete, "/v1/service/{service_name}/{id}", write, Forward::Leader, nothing),
        Route::new(Methods::Get, "/v1/allocation/{alloc_id}", read, Forward::Server, jobs),
        Route::new(Methods::Get, "/v1/event/stream", Access::Filtered, Forward::Server, events).uncompressed(),
        Route::new(Methods::Any, "/v1/agent/monitor", Access::AgentRead, Forward::Local, endless),
        Route::new(Methods::Put, "/v1/system/gc", Access::Management, Forward::Leader, nothing),
        Route::new(Methods::Any, "/v1/client/allocation/{alloc_id}/stats", read, Forward::Client, nothing).cors(),
        Route::new(Methods::Any, "/v1/client/fs/ls/{alloc_id}", read, Forward::Client, nothing).cors(),
        Route::new(Methods::Get, "/v1/client/stats", Access::NodeRead, Forward::Client, nothing).cors(),
        Route::new(Methods::Get, "/v1/client/metadata", Access::NodeRead, Forward::Client, nothing).cors(),
        Route::new(Methods::Get, "/v1/client/identity", Access::NodeRead, Forward::Client, nothing).cors(),
        Route::new(Methods::Write, "/v1/client/identity/renew", Access::NodeWrite, Forward::Client, nothing).cors(),
    ])
    .subtree("/v1/client/fs/")
    .subtree("/v1/client/allocation/")
}
