//! One HTTP connection to the server under load.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use drover_rt::TaskScope;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// An open connection; requests go one after the other.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: String,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The index of the data.
    pub(crate) fn index(&self) -> u64 {
        let text = self.headers.get("X-Nomad-Index").and_then(|value| value.to_str().ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The token of the next page, "" for none.
    pub(crate) fn next_token(&self) -> &str {
        self.headers.get("X-Nomad-NextToken").and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

impl Connection {
    pub(crate) async fn open(address: &str, scope: &TaskScope) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        scope.spawn_until_stop("connection", async move {
            // How it ended, the request under way is told.
            let _ = connection.await;
        });
        Ok(Self { sender, address: address.to_owned() })
    }

    /// Sends a request and hands over the reply as it begins.
    pub(crate) async fn begin(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<hyper::Response<hyper::body::Incoming>> {
        self.sender
            .ready()
            .await
            .context("the server closed the connection; its limit per client is `limits.http_max_conns_per_client`")?;
        let bytes = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", &self.address)
            .header("Content-Type", "application/json")
            .body(Full::new(Bytes::from(bytes)))?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Sends a request and reads the whole reply.
    pub(crate) async fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let response = self.begin(method, path, body).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(Answer { headers, body })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn put(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.ask(Method::PUT, path, Some(body)).await
    }
}
