//! A client of one agent: requests, their answers, and bodies as they come.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use drover_rt::{Clock, Entropy};
use futures::{Stream, StreamExt};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Config, DEFAULT_ADDRESS};
use crate::error::{SdkError, capitalised, reason};
use crate::query::{Answer, Meta, Query, parameter};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The port of HTTPS where an address gives none.
const HTTPS_PORT: u16 = 443;

/// A client of one agent. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    shown_base: String,
    config: Config,
}

impl Client {
    /// A client for these settings; nothing is sent yet.
    ///
    /// # Errors
    /// When a certificate, key or address cannot be used.
    pub fn new(config: Config) -> Result<Self, SdkError> {
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).gzip(true).no_proxy();
        let given = if config.address.is_empty() { DEFAULT_ADDRESS } else { config.address.as_str() };
        let shown_base = if given.contains("://") { given.to_owned() } else { format!("http://{given}") };
        let shown_base = shown_base.trim_end_matches('/').to_owned();
        let mut base = shown_base.clone();
        if let Some(path) = given.strip_prefix("unix://") {
            builder = builder.unix_socket(Path::new(path));
            base = "http://127.0.0.1".to_owned();
        }
        let read = |path: &str| std::fs::read(path).map_err(|error| SdkError::Settings(format!("failed to read {path}: {error}")));
        let mut authorities = Vec::new();
        if !config.ca_cert.is_empty() {
            authorities.push(config.ca_cert.clone());
        } else if !config.ca_path.is_empty() {
            let entries = std::fs::read_dir(&config.ca_path)
                .map_err(|error| SdkError::Settings(format!("failed to read {}: {error}", config.ca_path)))?;
            authorities.extend(entries.flatten().map(|entry| entry.path().to_string_lossy().into_owned()));
        }
        let mut trusted = Vec::new();
        for path in &authorities {
            let parsed = reqwest::Certificate::from_pem_bundle(&read(path)?)
                .map_err(|error| SdkError::Settings(format!("failed to read certificates in {path}: {error}")))?;
            trusted.extend(parsed);
        }
        // The machine's own authorities take a moment to read, and a small machine may have none: only https asks for them.
        if !trusted.is_empty() || !base.starts_with("https://") {
            builder = builder.tls_certs_only(trusted);
        }
        match (config.client_cert.is_empty(), config.client_key.is_empty()) {
            (true, true) => {}
            (false, false) => {
                let pem = [read(&config.client_cert)?, b"\n".to_vec(), read(&config.client_key)?].concat();
                let identity = reqwest::Identity::from_pem(&pem)
                    .map_err(|error| SdkError::Settings(format!("failed to use {}: {error}", config.client_cert)))?;
                builder = builder.identity(identity);
            }
            _ => return Err(SdkError::Settings("Both client cert and client key must be provided".to_owned())),
        }
        if config.tls_skip_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if !config.tls_server_name.is_empty()
            && let Some(host) = base.strip_prefix("https://")
        {
            // The name is what the certificate is held to; the connection goes where the address says.
            let (host, port) = match host.rsplit_once(':') {
                Some((name, port)) if !port.ends_with(']') => (name, port.parse().unwrap_or(HTTPS_PORT)),
                _ => (host, HTTPS_PORT),
            };
            let failed = |error| SdkError::Settings(format!("failed to look up {host}: {error}"));
            let addresses: Vec<SocketAddr> = (host.trim_matches(['[', ']']), port).to_socket_addrs().map_err(failed)?.collect();
            builder = builder.resolve_to_addrs(&config.tls_server_name, &addresses);
            base = format!("https://{}:{port}", config.tls_server_name);
        }
        let http = builder.build().map_err(|error| {
            let mut why = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                why = format!("{why}: {cause}");
            }
            let hint =
                "hint: install the certificates of public authorities (ca-certificates), or name the agent's with -ca-cert or NOMAD_CACERT";
            SdkError::Settings(format!("failed to set up HTTPS: {why}\n{hint}"))
        })?;
        Ok(Self { http, base, shown_base, config })
    }

    /// The address as given.
    pub fn address(&self) -> &str {
        &self.shown_base
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The same with another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let mut client = self.clone();
        if !region.is_empty() {
            region.clone_into(&mut client.config.region);
        }
        client
    }

    /// Reads.
    ///
    /// # Errors
    /// As [`SdkError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &Query) -> Result<Answer<T>, SdkError> {
        self.call(Method::GET, path, query, None::<&()>).await
    }

    /// Writes.
    ///
    /// # Errors
    /// As [`SdkError`].
    pub async fn put<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, query: &Query, body: &B) -> Result<Answer<T>, SdkError> {
        self.call(Method::PUT, path, query, Some(body)).await
    }

    /// Deletes.
    ///
    /// # Errors
    /// As [`SdkError`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str, query: &Query) -> Result<Answer<T>, SdkError> {
        self.call(Method::DELETE, path, query, None::<&()>).await
    }

    /// Writes by POST, where an agent takes nothing else.
    ///
    /// # Errors
    /// As [`SdkError`].
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, query: &Query, body: &B) -> Result<Answer<T>, SdkError> {
        self.call(Method::POST, path, query, Some(body)).await
    }

    /// Deletes what a body names.
    ///
    /// # Errors
    /// As [`SdkError`].
    pub async fn delete_with<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query,
        body: &B,
    ) -> Result<Answer<T>, SdkError> {
        self.call(Method::DELETE, path, query, Some(body)).await
    }

    /// Reads a body as it comes.
    ///
    /// # Errors
    /// As [`SdkError`]; the stream ends with an error when the connection breaks.
    pub async fn stream(
        &self,
        path: &str,
        query: &Query,
    ) -> Result<impl Stream<Item = Result<Bytes, SdkError>> + Send + Unpin + use<>, SdkError> {
        let (response, url) = self.send(Method::GET, path, query, None).await?;
        let response = good(response).await?;
        Ok(Box::pin(response.bytes_stream().map(move |chunk| chunk.map_err(|error| SdkError::transport(&Method::GET, &url, &error)))))
    }

    /// Sends a request as given and returns whatever comes back.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn raw(&self, method: Method, path: &str, query: &Query, body: Option<Vec<u8>>) -> Result<reqwest::Response, SdkError> {
        self.send(method, path, query, body).await.map(|(response, _)| response)
    }

    /// The same with more headers.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn raw_with(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<reqwest::Response, SdkError> {
        self.send_with(method, path, query, body, headers).await.map(|(response, _)| response)
    }

    /// Asks for a conversation in WebSocket messages.
    ///
    /// # Errors
    /// When the agent does not want one.
    pub async fn converse(&self, path: &str, query: &Query) -> Result<(crate::websocket::Reader, crate::websocket::Writer), SdkError> {
        Ok(crate::websocket::halves(self.upgrade(path, query).await?))
    }

    /// The same as the connection that it becomes.
    ///
    /// # Errors
    /// When the agent does not want one.
    pub async fn upgrade(&self, path: &str, query: &Query) -> Result<reqwest::Upgraded, SdkError> {
        let key = base64::engine::general_purpose::STANDARD.encode(Entropy::system().bits().to_le_bytes());
        let headers = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", &key)];
        let (response, url) = self.send_with(Method::GET, path, query, None, &headers).await?;
        if response.status().as_u16() != 101 {
            let response = good(response).await?;
            let reason = format!("the answer was {} and not a change of protocol", response.status());
            return Err(SdkError::Transport { method: "Get".to_owned(), url, reason, unsent: false });
        }
        response.upgrade().await.map_err(|error| SdkError::transport(&Method::GET, &url, &error))
    }

    async fn call<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Option<&B>,
    ) -> Result<Answer<T>, SdkError> {
        let body = match body {
            None => None,
            Some(body) => Some(serde_json::to_vec(body).map_err(|error| SdkError::Settings(error.to_string()))?),
        };
        let (response, url) = self.send(method, path, query, body).await?;
        let response = good(response).await?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let meta = Meta { index: header("x-nomad-index").parse().unwrap_or(0), next_token: header("x-nomad-nexttoken").to_owned() };
        let bytes = response.bytes().await.map_err(|error| SdkError::Decode { url: url.clone(), reason: reason(&error) })?;
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        let value = serde_json::from_slice(text).map_err(|error| SdkError::Decode { url, reason: error.to_string() })?;
        Ok(Answer { value, meta })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Option<Vec<u8>>,
    ) -> Result<(reqwest::Response, String), SdkError> {
        self.send_with(method, path, query, body, &[]).await
    }

    /// Sends, and sends again what only reads, as [`crate::Retry`] says.
    async fn send_with(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<(reqwest::Response, String), SdkError> {
        let reads = matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
        let mut failures = 0;
        loop {
            let sent = self.send_once(method.clone(), path, query, body.clone(), headers).await;
            let passing = match &sent {
                Ok((response, _)) => matches!(response.status().as_u16(), 429 | 502 | 503 | 504),
                Err(error) => error.is_passing(),
            };
            if !reads || !passing {
                return sent;
            }
            failures += 1;
            match self.config.retry.pause(failures, Entropy::system().seed()) {
                Some(pause) => Clock::system().sleep(pause).await,
                None => return sent,
            }
        }
    }

    async fn send_once(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<(reqwest::Response, String), SdkError> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        let region = query.region.as_deref().unwrap_or(&self.config.region);
        let namespace = query.namespace.as_deref().unwrap_or(&self.config.namespace);
        pairs.extend(query.pairs.iter().map(|(name, value)| (*name, value.as_str())));
        if !namespace.is_empty() {
            pairs.push(("namespace", namespace));
        }
        if !region.is_empty() {
            pairs.push(("region", region));
        }
        let mut target = path.to_owned();
        for (number, (name, value)) in pairs.iter().enumerate() {
            target.push(if number == 0 && !path.contains('?') { '?' } else { '&' });
            target.push_str(&format!("{name}={}", parameter(value)));
        }
        let shown = format!("{}{target}", self.shown_base);
        if let Some((scheme, _)) = self.base.split_once("://").filter(|(scheme, _)| !matches!(*scheme, "http" | "https")) {
            let reason = format!("unsupported protocol scheme {scheme:?}");
            let method = capitalised(method.as_str());
            return Err(SdkError::Transport { method, url: shown, reason, unsent: false });
        }
        let mut request = self.http.request(method.clone(), format!("{}{target}", self.base));
        if !self.config.token.is_empty() {
            request = request.header("X-Nomad-Token", &self.config.token);
        }
        if !self.config.basic_auth.is_empty() {
            let coded = base64::engine::general_purpose::STANDARD.encode(&self.config.basic_auth);
            request = request.header("Authorization", format!("Basic {coded}"));
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match request.send().await {
            Ok(response) => Ok((response, shown)),
            Err(error) => Err(SdkError::transport(&method, &shown, &error)),
        }
    }
}

async fn good(response: reqwest::Response) -> Result<reqwest::Response, SdkError> {
    let code = response.status().as_u16();
    if response.status().is_success() {
        return Ok(response);
    }
    // Texts with several problems end in blank lines, which would tear the sentence apart.
    let body = response.text().await.unwrap_or_default().trim_end().to_owned();
    Err(SdkError::Response { code, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refused_connection_and_a_strange_scheme_are_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let client = Client::new(Config { address: format!("http://{address}"), ..Config::default() }).unwrap();
        let error = client.get::<()>("/v1/jobs", &Query::new()).await.unwrap_err().to_string();
        assert_eq!(error, format!("Get \"http://{address}/v1/jobs\": dial tcp {address}: connect: connection refused"));
        let client = Client::new(Config { address: "ftp://x".to_owned(), ..Config::default() }).unwrap();
        let error = client.get::<()>("/v1/jobs", &Query::new()).await.unwrap_err().to_string();
        assert_eq!(error, "Get \"ftp://x/v1/jobs\": unsupported protocol scheme \"ftp\"");
    }

    #[tokio::test]
    async fn only_https_needs_certificates_of_authorities() {
        // In a process of its own: the variables that say where the machine's authorities are hold for all of one.
        let program = std::env::current_exe().unwrap();
        if std::env::var_os("DROVER_WITHOUT_AUTHORITIES").is_none() {
            let status = std::process::Command::new(program)
                .args(["--exact", "client::tests::only_https_needs_certificates_of_authorities"])
                .env("DROVER_WITHOUT_AUTHORITIES", "1")
                .env("SSL_CERT_FILE", "/nowhere")
                .env("SSL_CERT_DIR", "/nowhere")
                .status()
                .unwrap();
            assert!(status.success());
            return;
        }
        assert!(Client::new(Config { address: "http://127.0.0.1:4646".to_owned(), ..Config::default() }).is_ok());
        let error = Client::new(Config { address: "https://127.0.0.1:4646".to_owned(), ..Config::default() }).err().unwrap().to_string();
        assert!(error.starts_with("failed to set up HTTPS: ") && error.contains("\nhint: ") && error.contains("-ca-cert"), "{error}");
    }
}
