//! The certificates of the API: read when the agent starts and again at each reload.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use drover_http::tls::{Tls, TlsOptions};
use drover_lang::config::AgentConfig;

/// The largest file of certificates or a key that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// The TLS that the configuration asks for, if it does.
pub(super) fn start(config: &AgentConfig) -> anyhow::Result<Option<Tls>> {
    if !config.tls.http {
        return Ok(None);
    }
    if matches!(config.tls.tls_min_version.as_str(), "tls10" | "tls11") {
        tracing::warn!(
            tls_min_version = config.tls.tls_min_version,
            "versions of TLS below 1.2 are not spoken: callers need TLS 1.2 or newer"
        );
    }
    Ok(Some(Tls::new(&options(config)?).context("set up TLS")?))
}

/// Gives new connections what the configuration and its files say now. What cannot be used changes nothing.
pub(super) fn reload(tls: Option<&Tls>, config: &AgentConfig) {
    let Some(tls) = tls.filter(|_| config.tls.http) else { return };
    let replaced = options(config).and_then(|options| Ok(tls.replace(&options)?));
    match replaced {
        Ok(()) => tracing::info!("certificates read again"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "certificates not reloaded: those in use stay"),
    }
}

fn options(config: &AgentConfig) -> anyhow::Result<TlsOptions> {
    let tls = &config.tls;
    Ok(TlsOptions {
        certificate: read("tls.cert_file", &tls.cert_file)?,
        key: read("tls.key_file", &tls.key_file)?,
        authorities: if tls.ca_file.is_empty() { Vec::new() } else { read("tls.ca_file", &tls.ca_file)? },
        verify_client: tls.verify_https_client,
        min_version: tls.tls_min_version.clone(),
        cipher_suites: tls.tls_cipher_suites.clone(),
        handshake_timeout: u64::try_from(config.limits.https_handshake_timeout.0).map_or(Duration::ZERO, Duration::from_nanos),
    })
}

fn read(key: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(Path::new(path)).with_context(|| format!("{key}: read {path}"))?.len();
    if size > FILE_MAX {
        bail!("{key}: {path} has {size} bytes, at most {FILE_MAX} are read");
    }
    std::fs::read(path).with_context(|| format!("{key}: read {path}"))
}
