//! The HTTP API of this agent: its facts, its log, its measurements, and the listener.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use drover_base::NodeId;
use drover_client::ClientHandle;
use drover_http::agent::{Agent, Facts};
use drover_http::dispatch::{Api, ApiOptions};
use drover_http::logs::{Heard, Level, Line, LogSource};
use drover_http::relay::{OtherRegions, Pipe, Upstream};
use drover_http::telemetry::Telemetry;
use drover_http::tls::Tls;
use drover_rt::telemetry::LogHub;
use drover_rt::{Clock, Entropy, TaskScope};
use drover_server::Server;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;

use super::Settings;

/// What the API is made of.
pub(super) struct Parts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) server: Option<&'a Server>,
    pub(super) client: Option<&'a ClientHandle>,
    pub(super) upstream: Option<Arc<dyn Upstream>>,
    pub(super) regions: Option<Arc<dyn OtherRegions>>,
    /// Requests that other agents pass on.
    pub(super) relayed: BoxStream<'static, Pipe>,
    pub(super) logs: &'a LogHub,
    pub(super) clock: &'a Clock,
    pub(super) entropy: &'a Entropy,
    pub(super) http_address: &'a str,
    pub(super) server_id: Option<NodeId>,
    pub(super) reload: &'a Arc<tokio::sync::Notify>,
    pub(super) tls: Option<Tls>,
}

/// Starts answering in `scope`.
pub(super) fn serve(listener: TcpListener, parts: Parts<'_>, scope: TaskScope) {
    let Parts { settings, server, client, upstream, regions, mut relayed, logs, clock, entropy, http_address, server_id, reload, tls } =
        parts;
    let telemetry = Telemetry::default();
    telemetry.install();
    let agent = Agent {
        facts: facts(settings, http_address, server_id),
        server: server.cloned(),
        client: client.cloned(),
        upstream,
        regions,
        logs: Arc::new(Hub(logs.clone())),
        telemetry: telemetry.clone(),
        known: drover_http::guard::Known::default(),
        reload: Some(Arc::clone(reload)),
    };
    let options = ApiOptions { region: settings.config.region.clone(), response_headers: response_headers(settings) };
    let api = Api::new(drover_http::table::table(), Arc::new(agent), options, clock.clone(), entropy.clone());
    let limit = usize::try_from(settings.config.limits.http_max_conns_per_client).unwrap_or(0);
    let (passed_on, answering) = (api.clone(), scope.clone());
    scope.spawn_until_stop("requests of other agents", async move {
        while let Some(pipe) = relayed.next().await {
            let (api, stop) = (passed_on.clone(), answering.stop_token());
            // Their limits are those of the agent channel.
            answering.spawn("request of another agent", drover_http::serve_pipe(pipe, IpAddr::V4(Ipv4Addr::LOCALHOST), api, stop));
        }
    });
    if let Some(mut tasks) = client.and_then(ClientHandle::task_connections) {
        let (asked, answering) = (api.clone(), scope.clone());
        scope.spawn_until_stop("requests of tasks", async move {
            while let Some(task) = tasks.recv().await {
                let (api, stop) = (asked.clone(), answering.stop_token());
                answering.spawn("request of a task", drover_http::serve_task(task, api, stop));
            }
        });
    }
    let listening = scope.clone();
    scope.spawn("http api", drover_http::serve(listener, api, drover_http::Options { connections_per_client: limit, tls }, listening));
    match signal(SignalKind::user_defined1()) {
        Ok(asked) => scope.spawn_until_stop("telemetry on SIGUSR1", tell_when_asked(asked, telemetry.clone())),
        Err(error) => tracing::warn!(%error, "SIGUSR1 will not print the measurements"),
    }
    let ticking = clock.clone();
    telemetry.tick(clock.now());
    scope.spawn_until_stop("telemetry intervals", async move {
        loop {
            ticking.sleep(std::time::Duration::from_secs(1)).await;
            telemetry.tick(ticking.now());
        }
    });
}

/// Prints the measurements of the last minute to standard error, as the log is, whenever SIGUSR1 comes.
async fn tell_when_asked(mut asked: Signal, telemetry: Telemetry) {
    while asked.recv().await.is_some() {
        if let Err(error) = std::io::stderr().write_all(telemetry.dump().as_bytes()) {
            tracing::warn!(%error, "the measurements could not be printed to standard error");
        }
    }
}

fn response_headers(settings: &Settings) -> Vec<(http::HeaderName, http::HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in &settings.config.http_api_response_headers {
        match (name.parse(), value.parse()) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => tracing::warn!(name, "http_api_response_headers: this is not a header that can be sent, leaving it out"),
        }
    }
    headers
}

fn facts(settings: &Settings, http_address: &str, server_id: Option<NodeId>) -> Facts {
    let config = &settings.config;
    let port = |port: i64| u16::try_from(port).unwrap_or(0);
    let address = http_address.rsplit_once(':').map_or(http_address, |(address, _)| address).trim_matches(['[', ']']);
    let full = drover_lang::config::Partial::defaults().merge(&settings.partial);
    let mut shown: drover_api::AgentConfig = serde_json::from_value(full.to_wire()).unwrap_or_else(|error| {
        tracing::error!(%error, "the configuration cannot be shown as the API has it");
        drover_api::AgentConfig::default()
    });
    // It opens every region to whoever has it.
    if let Some(acl) = shown.acl.as_mut().filter(|acl| !acl.replication_token.is_empty()) {
        acl.replication_token = "<redacted>".to_owned();
    }
    shown.node_name.clone_from(&config.name);
    shown.region.clone_from(&config.region);
    shown.datacenter.clone_from(&config.datacenter);
    shown.dev_mode = settings.dev;
    Facts {
        name: config.name.clone(),
        region: config.region.clone(),
        datacenter: config.datacenter.clone(),
        version: drover_model::NOMAD_VERSION.to_owned(),
        revision: String::new(),
        server_id: server_id.map(|id| id.to_string()).unwrap_or_default(),
        address: address.to_owned(),
        rpc_port: port(config.ports.rpc),
        serf_port: port(config.ports.serf),
        bootstrap_expect: u32::try_from(config.server.bootstrap_expect).unwrap_or(1).max(1),
        acl: config.acl.enabled,
        debug: config.enable_debug,
        config: shown,
    }
}

/// The process's log as routes listen to it.
struct Hub(LogHub);

impl LogSource for Hub {
    fn listen(&self) -> BoxStream<'static, Heard> {
        let lines = self.0.watch();
        futures::stream::unfold(lines, |mut lines| async move {
            let heard = match lines.recv().await {
                Ok(line) => Heard::Line(Line { level: level(line.level), text: line.text.clone(), json: line.json.clone() }),
                Err(RecvError::Lagged(lost)) => Heard::Lost(lost),
                Err(RecvError::Closed) => return None,
            };
            Some((heard, lines))
        })
        .boxed()
    }
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}
