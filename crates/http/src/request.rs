//! A request as handlers see it: decoded path parameters, query, headers, and a body that is read with a bound.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use drover_rt::{Clock, Entropy};
use drover_server::Concern;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::access::{Access, Caller, Capability, Gate, Scope, require};
use crate::error::ApiError;
use crate::query::{PageOptions, Query, ReadOptions};

/// The largest body that is read: a job with its source and variables is far smaller.
pub const BODY_MAX: usize = 16 * 1024 * 1024;
/// How long the next part of a body may take.
const BODY_PART_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a whole body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(600);

/// A body that has not been read yet.
pub type Incoming = Pin<Box<dyn http_body::Body<Data = Bytes, Error = io::Error> + Send>>;

/// One request.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The decoded path.
    pub path: String,
    /// The query parameters.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// Who asks.
    pub remote: IpAddr,
    /// Time, for waiting.
    pub clock: Clock,
    /// Randomness, for jitter and ids.
    pub entropy: Entropy,
    /// What a held read waits for; set by handlers that read less than everything.
    pub(crate) concern: Concern,
    pub(crate) parameters: Vec<(&'static str, String)>,
    pub(crate) gate: Gate,
    /// A parameter as it was sent, where the handler is shown another one: the object is none of the caller's business.
    pub(crate) hidden: Option<(&'static str, String)>,
    /// Behind a lock only so that requests can be shared; never contended.
    pub(crate) body: Mutex<Option<Incoming>>,
    /// The connection itself, once a reply has switched protocols.
    pub(crate) upgrade: Mutex<Option<hyper::upgrade::OnUpgrade>>,
}

impl Request {
    /// A request without a body, for tests and internal calls. `target` is a path with an optional query.
    pub fn bare(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: path.to_owned(),
            query: Query::parse(query),
            headers: HeaderMap::new(),
            remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
            clock: Clock::system(),
            entropy: Entropy::system(),
            concern: Concern::All,
            parameters: Vec::new(),
            gate: Gate::new(Access::Public, Caller::unrestricted()),
            hidden: None,
            body: Mutex::new(None),
            upgrade: Mutex::new(None),
        }
    }

    /// The request as one that, when held, only waits for changes of this.
    #[must_use]
    pub fn about(mut self, concern: Concern) -> Self {
        self.concern = concern;
        self
    }

    /// A parameter of the path, decoded; "" if the pattern has none of that name.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// A parameter as the caller sent it, to compare with what the body says.
    pub fn asked(&self, name: &str) -> &str {
        self.hidden.as_ref().filter(|(hidden, _)| *hidden == name).map_or_else(|| self.parameter(name), |(_, text)| text)
    }

    /// Who asks, for handlers that filter.
    pub fn caller(&self) -> &Caller {
        self.gate.ask()
    }

    /// Holds the caller to the route's rule in a namespace that only the handler knows.
    ///
    /// # Errors
    /// 403.
    pub fn permit(&self, namespace: &str) -> Result<(), ApiError> {
        self.permit_named(namespace, "")
    }

    /// The same for rules about something with a name: a node pool, or a variable of the namespace.
    ///
    /// # Errors
    /// 403.
    pub fn permit_named(&self, namespace: &str, name: &str) -> Result<(), ApiError> {
        self.gate.ask();
        require(self.gate.allows(namespace, name))
    }

    /// What a list of the request is about.
    pub fn scope(&self) -> Scope {
        let capability = match self.gate.rule {
            Access::Namespace(capability) | Access::Listing(capability) => Some(capability),
            _ => None,
        };
        Scope { asked: self.namespace().to_owned(), rights: self.gate.ask().rights.clone(), capability }
    }

    /// What a list is about that needs a capability beside the route's rule.
    ///
    /// # Errors
    /// 403.
    pub fn listing(&self, capability: Capability) -> Result<Scope, ApiError> {
        let (asked, rights) = (self.namespace().to_owned(), self.gate.ask().rights.clone());
        require(asked == "*" || rights.namespace(&asked, capability))?;
        Ok(Scope { asked, rights, capability: Some(capability) })
    }

    /// The namespace asked for: `default` when none is.
    pub fn namespace(&self) -> &str {
        match self.query.get("namespace") {
            "" => "default",
            namespace => namespace,
        }
    }

    /// The namespace in the query, if there is one.
    pub fn namespace_given(&self) -> Option<&str> {
        self.query.find("namespace").filter(|namespace| !namespace.is_empty())
    }

    /// `index`, `wait`, `stale` and `prefix`.
    ///
    /// # Errors
    /// 400 for malformed ones.
    pub fn read_options(&self) -> Result<ReadOptions, ApiError> {
        ReadOptions::parse(&self.query)
    }

    /// `per_page`, `next_token`, `reverse` and `filter`.
    ///
    /// # Errors
    /// 400 for malformed ones.
    pub fn page_options(&self) -> Result<PageOptions, ApiError> {
        PageOptions::parse(&self.query)
    }

    /// Whether JSON is indented.
    pub fn pretty(&self) -> bool {
        self.query.find("pretty").is_some_and(|value| value != "0")
    }

    /// The token sent with the request, "" for none.
    pub fn token(&self) -> &str {
        token_of(&self.headers)
    }

    /// The whole body, once; empty when there is none or it was taken.
    ///
    /// # Errors
    /// 413 past [`BODY_MAX`], 408 when the sender stalls, 400 when it breaks off.
    pub async fn bytes(&mut self) -> Result<Bytes, ApiError> {
        self.bytes_up_to(BODY_MAX).await
    }

    /// The same for a body that may have another size.
    ///
    /// # Errors
    /// As of [`Self::bytes`].
    pub async fn bytes_up_to(&mut self, most: usize) -> Result<Bytes, ApiError> {
        let taken = self.body.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = taken else { return Ok(Bytes::new()) };
        let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Request body is larger than {} MiB", most >> 20));
        if body.size_hint().lower() > most as u64 {
            return Err(too_large());
        }
        let mut bytes = BytesMut::new();
        let end = self.clock.monotonic() + BODY_TIMEOUT;
        loop {
            let left = end.since(self.clock.monotonic()).min(BODY_PART_TIMEOUT);
            let Some(next) = self.clock.timeout(left, body.frame()).await else {
                return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "Request body took too long"));
            };
            match next {
                None => return Ok(bytes.freeze()),
                Some(Err(error)) => return Err(ApiError::bad_request(format!("Failed to read request body: {error}"))),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if bytes.len() + data.len() > most {
                        return Err(too_large());
                    }
                    bytes.extend_from_slice(&data);
                }
            }
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 400 `Request body is empty`, or with the decoder's message.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        let bytes = self.bytes().await?;
        if bytes.is_empty() {
            return Err(ApiError::bad_request("Request body is empty"));
        }
        decode(&bytes)
    }

    /// The body as JSON, or nothing when it is empty.
    ///
    /// # Errors
    /// 400 with the decoder's message.
    pub async fn json_optional<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ApiError> {
        let bytes = self.bytes().await?;
        if bytes.is_empty() { Ok(None) } else { decode(&bytes).map(Some) }
    }
}

/// Reads the first JSON value of a body; what follows it is ignored, as clients are used to.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    T::deserialize(&mut decoder).map_err(|error| {
        let place = place(bytes, error.line(), error.column());
        let place = if place.is_empty() { place } else { format!("{place}: ") };
        ApiError::bad_request(format!("decode the request body: {place}{}", plain(&error.to_string())))
    })
}

/// The decoder's message in words that need no knowledge of the language it is written in.
fn plain(message: &str) -> String {
    let words = [
        ("expected i64", "expected a whole number"),
        ("expected i32", "expected a whole number"),
        ("expected u64", "expected a whole number that is not negative"),
        ("expected u32", "expected a whole number that is not negative"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected u8", "expected a whole number from 0 to 255"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected a sequence", "expected an array"),
        ("expected a map", "expected an object"),
        ("invalid type: sequence", "invalid type: array"),
        ("invalid type: map", "invalid type: object"),
        ("invalid type: floating point", "invalid type: number"),
    ];
    words.iter().fold(message.to_owned(), |message, (from, to)| match message.split_once(from) {
        // Whole words only, and outside of what the request says itself, which stands in quotes.
        Some((before, after)) if !after.starts_with(char::is_alphanumeric) && !before.contains('"') => format!("{before}{to}{after}"),
        Some((before, after)) if before.ends_with("\", ") && !after.starts_with(char::is_alphanumeric) => format!("{before}{to}{after}"),
        _ => message,
    })
}

/// Names of members are shown up to this length.
const NAME_SHOWN_MAX: usize = 64;

/// The JSON path to what stands at a line and column, as `Job.TaskGroups[0].Count`.
fn place(bytes: &[u8], line: usize, column: usize) -> String {
    enum Step {
        Member(String, bool),
        Element(usize),
    }
    let start: usize = bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let end = (start + column).min(bytes.len());
    let (mut at, mut steps) = (0, Vec::new());
    while at < end {
        match bytes[at] {
            // What begins here is what is meant.
            b'{' | b'[' if at + 1 == end => {}
            b'{' => steps.push(Step::Member(String::new(), false)),
            b'[' => steps.push(Step::Element(0)),
            // What ends here is what is meant.
            b'}' | b']' if at + 1 < end => {
                steps.pop();
            }
            b':' => {
                if let Some(Step::Member(_, named)) = steps.last_mut() {
                    *named = true;
                }
            }
            b',' => match steps.last_mut() {
                Some(Step::Element(number)) => *number += 1,
                Some(Step::Member(name, named)) => {
                    name.clear();
                    *named = false;
                }
                None => {}
            },
            b'"' => {
                let length = crate::json::string_end(bytes, at) - at;
                if let Some(Step::Member(name, false)) = steps.last_mut() {
                    let text = String::from_utf8_lossy(&bytes[at + 1..(at + length).saturating_sub(1).max(at + 1)]).into_owned();
                    *name = text.chars().take(NAME_SHOWN_MAX).collect();
                }
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    let mut out = String::new();
    for step in steps {
        match step {
            Step::Member(name, _) if name.is_empty() => {}
            Step::Member(name, _) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(&name);
            }
            Step::Element(number) => out.push_str(&format!("[{number}]")),
        }
    }
    out
}

/// The token among the headers of a request, "" for none.
pub(crate) fn token_of(headers: &HeaderMap) -> &str {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(token) = header("x-nomad-token").filter(|token| !token.is_empty()) {
        return token;
    }
    let mut words = header("authorization").unwrap_or("").split_whitespace();
    match words.next() {
        Some(scheme) if scheme.eq_ignore_ascii_case("bearer") => words.next().unwrap_or(""),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    fn with_body(body: Vec<u8>) -> Request {
        let mut request = Request::bare(Method::PUT, "/v1/jobs?namespace=");
        request.body = Mutex::new(Some(Box::pin(Full::new(Bytes::from(body)).map_err(io::Error::other))));
        request
    }

    #[tokio::test]
    async fn bodies_are_bounded_and_bad_json_is_a_client_error() {
        let error = with_body(vec![b' '; BODY_MAX + 1]).bytes().await.unwrap_err();
        assert_eq!(error.status, StatusCode::PAYLOAD_TOO_LARGE);
        let error = with_body(Vec::new()).json::<serde_json::Value>().await.unwrap_err();
        assert_eq!(error, ApiError::bad_request("Request body is empty"));
        let error = with_body(b"{".to_vec()).json::<serde_json::Value>().await.unwrap_err();
        assert_eq!(error.status, StatusCode::BAD_REQUEST);
        let error = with_body([b"[".repeat(100_000)].concat()).json::<serde_json::Value>().await.unwrap_err();
        assert_eq!(error.status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn what_is_wrong_in_a_body_is_told_with_its_place() {
        for (body, wanted) in [
            (r#"{"Job": {"ID": "a,b", "TaskGroups": [{"Name": "g"}, {"Name": "h", "Count": "two"}]}}"#, "Job.TaskGroups[1].Count: "),
            (r#"{"Job": {"Priority": []}}"#, "Job.Priority"),
            ("{\n \"Job\": {\n  \"ID\": 7\n }\n}", "Job.ID: "),
            (r#"{"Job": {"Meta": {"a\"b": 1}}}"#, "Job.Meta.a\\\"b: "),
            (r#"{"Job": nonsense}"#, "Job: "),
        ] {
            let error = with_body(body.as_bytes().to_vec()).json::<drover_api::JobRegisterRequest>().await.unwrap_err();
            assert!(error.status == StatusCode::BAD_REQUEST && error.text.contains(wanted), "{body}: {}", error.text);
        }
        for body in ["\"", "{\"", "{\"a\\", "[[[", "}", "{\"a\":[1,2,}", "\u{e9}{\"\u{e9}\":"] {
            assert!(with_body(body.as_bytes().to_vec()).json::<drover_api::JobRegisterRequest>().await.is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_body_is_told_in_plain_words() {
        for (message, plainly) in [
            (
                "invalid type: string \"x\", expected i64 at line 1 column 5",
                "invalid type: string \"x\", expected a whole number at line 1 column 5",
            ),
            (
                "invalid type: floating point `1.5`, expected u64",
                "invalid type: number `1.5`, expected a whole number that is not negative",
            ),
            ("invalid type: sequence, expected a boolean", "invalid type: array, expected true or false"),
            (
                "invalid type: string \"expected i64\", expected an object (Job)",
                "invalid type: string \"expected i64\", expected an object (Job)",
            ),
            ("expected i64x", "expected i64x"),
        ] {
            assert_eq!(plain(message), plainly);
        }
    }

    #[tokio::test]
    async fn tokens_come_from_either_header() {
        let mut request = with_body(Vec::new());
        assert_eq!((request.token(), request.namespace()), ("", "default"));
        request.headers.insert("authorization", "bEARER abc def".parse().unwrap());
        assert_eq!(request.token(), "abc");
        request.headers.insert("x-nomad-token", " xyz ".parse().unwrap());
        assert_eq!(request.token(), "xyz");
    }
}
