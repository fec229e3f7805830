//! Checks of services: `http` and `tcp`, run from this node against the service's address.
//!
//! # Compatibility
//!
//! Results, their outputs included, read as existing tools show them.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use drover_rt::Clock;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::OnceCell;

/// How much of an answer is kept.
const OUTPUT_BYTES_MAX: usize = 3 * 1024;
/// The shortest time between two runs.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How to run a check.
#[derive(Debug, Clone)]
pub(crate) struct CheckPlan {
    pub(crate) kind: CheckKind,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) host: String,
    pub(crate) port: u16,
}

#[derive(Debug, Clone)]
pub(crate) enum CheckKind {
    Tcp,
    Http { tls: Option<TlsPlan>, method: String, path: String, headers: Vec<(String, String)>, body: String },
}

/// How a check speaks TLS.
#[derive(Debug, Clone)]
pub(crate) struct TlsPlan {
    skip_verify: bool,
    /// The name that is asked for and that the certificate is held to, where it is not that of the address.
    name: String,
    /// Made once, where there is such a name: it finds the service's address whatever it is asked for.
    named: Arc<OnceCell<reqwest::Client>>,
}

impl TlsPlan {
    pub(crate) fn new(skip_verify: bool, name: String) -> Self {
        // An address is never asked for by name (RFC 6066, section 3).
        let name = if name.parse::<IpAddr>().is_ok() { String::new() } else { name };
        Self { skip_verify, name, named: Arc::default() }
    }
}

/// The outcome of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: bool,
    pub(crate) output: String,
    pub(crate) status_code: u16,
}

fn failure(output: impl Into<String>) -> Outcome {
    Outcome { passed: false, output: output.into(), status_code: 0 }
}

/// Runs a check over and over: first after half an interval, then once an interval. Ends when `report` returns false.
pub(crate) async fn watch<F: Future<Output = bool>>(plan: CheckPlan, clock: Clock, mut report: impl FnMut(Outcome) -> F) {
    let interval = plan.interval.max(INTERVAL_MIN);
    clock.sleep(interval / 2).await;
    loop {
        let outcome = run_once(&plan, &clock).await;
        if !report(outcome).await {
            return;
        }
        clock.sleep(interval).await;
    }
}

/// Runs a check once, within its time.
pub(crate) async fn run_once(plan: &CheckPlan, clock: &Clock) -> Outcome {
    let run = async {
        match &plan.kind {
            CheckKind::Tcp => tcp(plan).await,
            CheckKind::Http { .. } => http(plan).await,
        }
    };
    let address = address(plan);
    match clock.timeout(plan.timeout, run).await {
        Some(outcome) => outcome,
        None => match &plan.kind {
            CheckKind::Tcp => failure(format!("dial tcp {address}: i/o timeout")),
            CheckKind::Http { method, .. } => failure(format!(
                "nomad: {} \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                verb(method),
                url(plan)
            )),
        },
    }
}

fn address(plan: &CheckPlan) -> String {
    if plan.host.contains(':') { format!("[{}]:{}", plan.host, plan.port) } else { format!("{}:{}", plan.host, plan.port) }
}

fn url(plan: &CheckPlan) -> String {
    match &plan.kind {
        CheckKind::Http { tls, path, .. } => {
            let slash = if path.starts_with('/') { "" } else { "/" };
            format!("{}://{}{slash}{path}", if tls.is_some() { "https" } else { "http" }, address(plan))
        }
        CheckKind::Tcp => address(plan),
    }
}

/// `GET` as error texts spell it.
fn verb(method: &str) -> String {
    let mut letters = method.chars();
    match letters.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + &letters.as_str().to_ascii_lowercase(),
        None => "Get".to_owned(),
    }
}

fn explain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc_errno::ECONNREFUSED) => "connect: connection refused".to_owned(),
        Some(libc_errno::EHOSTUNREACH) => "connect: no route to host".to_owned(),
        Some(libc_errno::ENETUNREACH) => "connect: network is unreachable".to_owned(),
        Some(libc_errno::ECONNRESET) => "read: connection reset by peer".to_owned(),
        _ => error.to_string(),
    }
}

/// Numbers of errors whose texts are given above.
mod libc_errno {
    pub(super) const ENETUNREACH: i32 = 101;
    pub(super) const ECONNRESET: i32 = 104;
    pub(super) const ECONNREFUSED: i32 = 111;
    pub(super) const EHOSTUNREACH: i32 = 113;
}

async fn tcp(plan: &CheckPlan) -> Outcome {
    let address = address(plan);
    match TcpStream::connect(&address).await {
        Ok(_) => Outcome { passed: true, output: "nomad: tcp ok".to_owned(), status_code: 0 },
        Err(error) => failure(format!("dial tcp {address}: {}", explain(&error))),
    }
}

/// Finds the address of a service, whatever it is asked for.
struct Always(String, u16);

impl Resolve for Always {
    fn resolve(&self, _: Name) -> Resolving {
        let (host, port) = (self.0.clone(), self.1);
        Box::pin(async move {
            let found: Addrs = Box::new(lookup_host((host, port)).await?.collect::<Vec<_>>().into_iter());
            Ok(found)
        })
    }
}

fn client(skip_verify: bool, always: Option<&CheckPlan>) -> Result<reqwest::Client, reqwest::Error> {
    let builder = || {
        let builder = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .tls_danger_accept_invalid_certs(skip_verify)
            .user_agent("Consul Health Check");
        match always {
            Some(plan) => builder.dns_resolver(Always(plan.host.clone(), plan.port)),
            None => builder,
        }
    };
    // A machine without certificates of authorities trusts none; plain checks need none.
    builder().build().or_else(|_| builder().tls_certs_only([]).build())
}

/// The client for a check. Made when a check first needs one: certificates are not read on the way of a start.
async fn client_of<'plan>(plan: &'plan CheckPlan, tls: Option<&'plan TlsPlan>) -> Result<&'plan reqwest::Client, reqwest::Error> {
    static CLIENTS: [OnceCell<reqwest::Client>; 2] = [OnceCell::const_new(), OnceCell::const_new()];
    let skip_verify = tls.is_some_and(|tls| tls.skip_verify);
    match tls.filter(|tls| !tls.name.is_empty()) {
        Some(tls) => tls.named.get_or_try_init(|| async { client(skip_verify, Some(plan)) }).await,
        None => CLIENTS[usize::from(skip_verify)].get_or_try_init(|| async { client(skip_verify, None) }).await,
    }
}

async fn http(plan: &CheckPlan) -> Outcome {
    let CheckKind::Http { tls, method, headers, body, .. } = &plan.kind else { return failure("not an http check") };
    let shown = url(plan);
    let name = verb(method);
    let wrong = |error: &dyn std::fmt::Display| failure(format!("nomad: {name} \"{shown}\": {error}"));
    let client = match client_of(plan, tls.as_ref()).await {
        Ok(client) => client,
        Err(error) => return wrong(&innermost(&error)),
    };
    let method = match reqwest::Method::from_bytes(if method.is_empty() { b"GET" } else { method.as_bytes() }) {
        Ok(method) => method,
        Err(error) => return wrong(&error),
    };
    let named = tls.as_ref().map_or("", |tls| tls.name.as_str());
    let mut request = match named {
        "" => client.request(method, &shown),
        named => client.request(method, shown.replacen(&address(plan), &format!("{named}:{}", plan.port), 1)),
    };
    if !named.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        // The name is between the two ends of TLS; within, the service is still asked for by its address.
        request = request.header("host", address(plan));
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if !body.is_empty() {
        request = request.body(body.clone());
    }
    match request.send().await {
        Ok(response) => read_answer(response).await,
        Err(error) => match io_error(&error) {
            Some(cause) => wrong(&format_args!("dial tcp {}: {}", address(plan), explain(cause))),
            None => wrong(&innermost(&error)),
        },
    }
}

/// What is behind an error; the outer ones only say that there was one.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn io_error(error: &reqwest::Error) -> Option<&io::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(found) = found.downcast_ref::<io::Error>()
            && found.raw_os_error().is_some()
        {
            return Some(found);
        }
        cause = found.source();
    }
    None
}

async fn read_answer(mut response: reqwest::Response) -> Outcome {
    let status_code = response.status().as_u16();
    let passed = status_code < 400;
    if status_code == 200 {
        return Outcome { passed, output: "nomad: http ok".to_owned(), status_code };
    }
    let mut kept = Vec::new();
    while kept.len() < OUTPUT_BYTES_MAX
        && let Ok(Some(chunk)) = response.chunk().await
    {
        kept.extend_from_slice(&chunk);
    }
    kept.truncate(OUTPUT_BYTES_MAX);
    Outcome { passed, output: String::from_utf8_lossy(&kept).into_owned(), status_code }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn http_plan(port: u16) -> CheckPlan {
        CheckPlan {
            kind: CheckKind::Http {
                tls: None,
                method: "PUT".to_owned(),
                path: "/x".to_owned(),
                headers: vec![("X-Test".to_owned(), "1".to_owned())],
                body: "hello".to_owned(),
            },
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            host: "127.0.0.1".to_owned(),
            port,
        }
    }

    async fn answer_once(answer: String) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let scope = drover_rt::TaskScope::new();
        let handle = scope.spawn("test server", async move {
            let (mut stream, _) = listener.accept().await.expect("accept");
            let mut request = Vec::new();
            while !request.ends_with(b"hello") {
                let mut buffer = [0; 1024];
                let count = stream.read(&mut buffer).await.expect("read");
                request.extend_from_slice(&buffer[..count]);
            }
            stream.write_all(answer.as_bytes()).await.expect("write");
            String::from_utf8_lossy(&request).into_owned()
        });
        (port, handle)
    }

    #[proves("SVC-023", "SVC-025")]
    #[tokio::test]
    async fn http_passes_below_400_and_keeps_a_little_of_the_answer() {
        let clock = Clock::system();
        let long = "x".repeat(5000);
        let table = [
            ("200 OK", "fine", true, "nomad: http ok".to_owned()),
            ("204 No Content", "", true, String::new()),
            ("404 Not Found", "nothing", false, "nothing".to_owned()),
            ("500 Oops", &long, false, "x".repeat(OUTPUT_BYTES_MAX)),
        ];
        for (status, body, passed, output) in table {
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let (port, server) = answer_once(answer).await;
            let outcome = run_once(&http_plan(port), &clock).await;
            assert_eq!((outcome.passed, outcome.output), (passed, output), "{status}");
            let request = server.await.expect("server");
            assert!(request.starts_with("PUT /x HTTP/1.1\r\n") && request.contains("x-test: 1"), "{request}");
        }
    }

    #[tokio::test]
    async fn failures_read_as_tools_know_them() {
        let clock = Clock::system();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let tcp = CheckPlan { kind: CheckKind::Tcp, ..http_plan(port) };
        assert_eq!(run_once(&tcp, &clock).await, Outcome { passed: true, output: "nomad: tcp ok".to_owned(), status_code: 0 });
        let slow = CheckPlan { timeout: Duration::from_millis(20), ..http_plan(port) };
        let outcome = run_once(&slow, &clock).await;
        assert!(!outcome.passed && outcome.output.contains("context deadline exceeded"), "{outcome:?}");
        drop(listener);
        let outcome = run_once(&tcp, &clock).await;
        assert_eq!(outcome.output, format!("dial tcp 127.0.0.1:{port}: connect: connection refused"));
        let mut get = http_plan(port);
        if let CheckKind::Http { method, .. } = &mut get.kind {
            method.clear();
        }
        let outcome = run_once(&get, &clock).await;
        assert_eq!(
            outcome.output,
            format!("nomad: Get \"http://127.0.0.1:{port}/x\": dial tcp 127.0.0.1:{port}: connect: connection refused")
        );
    }
}
