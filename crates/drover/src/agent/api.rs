//! The HTTP API of this agent.
use super::Settings;
pub(super) struct Parts<'a> { pub(super) settings: &'a Settings, pub(super) server: &'a drover_server::Server, pub(super) client: Option<&'a drover_client::ClientHandle>, pub(super) logs: &'a drover_rt::telemetry::LogHub, pub(super) clock: &'a drover_rt::Clock, pub(super) entropy: &'a drover_rt::Entropy, pub(super) http_address: &'a str }
pub(super) fn serve(_l: tokio::net::TcpListener, _p: Parts<'_>, _s: drover_rt::TaskScope) -> anyhow::Result<()> { Ok(()) }
