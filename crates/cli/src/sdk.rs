//! The client side of the HTTP API: addresses, tokens, query options, blocking reads, streams, and errors in the form
//! that scripts search for (`Unexpected response code: 404 (…)`).

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use drover_rt::Entropy;
use futures::{Stream, StreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The address used when none is given.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:4646";
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach an agent.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `http://host:port`, `https://…`, `unix:///path`; a bare `host:port` is http.
    pub address: String,
    /// The region that requests are for, "" for the agent's.
    pub region: String,
    /// The namespace that requests are in, "" for `default`.
    pub namespace: String,
    /// The ACL token, "" for none.
    pub token: String,
    /// `user:password` for a proxy in front of the API, "" for none.
    pub basic_auth: String,
    /// PEM file of trusted authorities.
    pub ca_cert: String,
    /// Directory of PEM files of trusted authorities.
    pub ca_path: String,
    /// PEM file of the own certificate.
    pub client_cert: String,
    /// PEM file of the own key.
    pub client_key: String,
    /// The name expected in the agent's certificate.
    pub tls_server_name: String,
    /// Whether any certificate is accepted.
    pub tls_skip_verify: bool,
}

/// What goes wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// The agent answered with an error.
    #[error("Unexpected response code: {code} ({body})")]
    Response {
        /// The status.
        code: u16,
        /// The text.
        body: String,
    },
    /// No answer came.
    #[error("{method} \"{url}\": {reason}")]
    Transport {
        /// The method, as `Get`.
        method: String,
        /// The address asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The answer is not what it should be.
    #[error("failed to decode the reply of {url}: {reason}")]
    Decode {
        /// The address asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(String),
}

impl SdkError {
    /// Whether the agent answered with this status.
    pub fn is_code(&self, wanted: u16) -> bool {
        matches!(self, Self::Response { code, .. } if *code == wanted)
    }

    /// The text of the agent's answer, if it answered.
    pub fn body(&self) -> Option<&str> {
        match self {
            Self::Response { body, .. } => Some(body),
            _ => None,
        }
    }
}

/// Parameters of one request.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Instead of the configured namespace.
    namespace: Option<String>,
    /// Instead of the configured region.
    region: Option<String>,
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// In a namespace; "" keeps the configured one.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty());
        self
    }

    /// In a region; "" keeps the configured one.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned()).filter(|region| !region.is_empty());
        self
    }

    /// With a parameter.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.pairs.push((name, value.to_string()));
        self
    }

    /// With a parameter unless its value is empty.
    #[must_use]
    pub fn set_some(self, name: &'static str, value: &str) -> Self {
        if value.is_empty() { self } else { self.set(name, value) }
    }

    /// Held until the index passes, for at most `wait`.
    #[must_use]
    pub fn blocking(self, index: u64, wait: Duration) -> Self {
        if index == 0 { self } else { self.set("index", index).set("wait", format!("{}ms", wait.as_millis())) }
    }
}

/// The headers of a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The index to pass next.
    pub index: u64,
    /// Where the next page starts, "" if there is none.
    pub next_token: String,
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// Its body.
    pub value: T,
    /// Its headers.
    pub meta: Meta,
}

/// A client of one agent. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    shown_base: String,
    config: Config,
}

/// Everything but what may stand in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A value as one path segment.
pub fn segment(value: &str) -> String {
    utf8_percent_encode(value, SEGMENT).to_string()
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
        if !trusted.is_empty() {
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
            && let Ok(address) = host.parse::<SocketAddr>()
        {
            builder = builder.resolve(&config.tls_server_name, address);
            base = format!("https://{}:{}", config.tls_server_name, address.port());
        }
        let http = builder.build().map_err(|error| SdkError::Settings(format!("failed to set up HTTP: {error}")))?;
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
        Ok(Box::pin(response.bytes_stream().map(move |chunk| {
            chunk.map_err(|error| SdkError::Transport { method: "Get".to_owned(), url: url.clone(), reason: reason(&error) })
        })))
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
    pub async fn converse(&self, path: &str, query: &Query) -> Result<reqwest::Upgraded, SdkError> {
        let key = base64::engine::general_purpose::STANDARD.encode(Entropy::system().bits().to_le_bytes());
        let headers = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", &key)];
        let (response, url) = self.send_with(Method::GET, path, query, None, &headers).await?;
        if response.status().as_u16() != 101 {
            let response = good(response).await?;
            let reason = format!("the answer was {} and not a change of protocol", response.status());
            return Err(SdkError::Transport { method: "Get".to_owned(), url, reason });
        }
        response.upgrade().await.map_err(|error| SdkError::Transport { method: "Get".to_owned(), url, reason: reason(&error) })
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

    async fn send_with(
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
            let value = utf8_percent_encode(value, SEGMENT).to_string().replace('&', "%26").replace('+', "%2B").replace("%20", "+");
            target.push_str(&format!("{name}={value}"));
        }
        let shown = format!("{}{target}", self.shown_base);
        let word = capitalised(method.as_str());
        if let Some((scheme, _)) = self.base.split_once("://").filter(|(scheme, _)| !matches!(*scheme, "http" | "https")) {
            let reason = format!("unsupported protocol scheme {scheme:?}");
            return Err(SdkError::Transport { method: word, url: shown, reason });
        }
        let mut request = self.http.request(method, format!("{}{target}", self.base));
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
            Err(error) => Err(SdkError::Transport { method: word, url: shown, reason: reason(&error) }),
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

fn capitalised(method: &str) -> String {
    let lower = method.to_ascii_lowercase();
    let mut letters = lower.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// The innermost cause, in the words known from other clients where there are such.
fn reason(error: &reqwest::Error) -> String {
    let address = error.url().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    let mut cause: &(dyn std::error::Error + 'static) = match error.source() {
        Some(source) => source,
        None => return error.to_string(),
    };
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::ConnectionRefused
        {
            return format!("dial tcp {}: connect: connection refused", address.unwrap_or_default());
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => return cause.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_one_segment() {
        assert_eq!(segment("batch/job 1?x"), "batch%2Fjob%201%3Fx");
    }

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
}
