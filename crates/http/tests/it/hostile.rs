//! Hostile callers against every route there is: malformed, deep, huge and endless requests get a refusal that the description of
//! the API tells of, or a closed connection; the server goes on.

use std::net::SocketAddr;
use std::time::Duration;

use drover_http::Options;
use drover_http::route::Methods;
use drover_raft::Storage;
use drover_server::Config;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Fixture;
use crate::agent::Whole;

/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends these bytes and returns the status of the answer with the start of its body; 0 for a connection closed without one.
async fn sent(address: SocketAddr, bytes: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has seen enough closes before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let read = async {
        loop {
            let ends = answer.windows(4).position(|window| window == b"\r\n\r\n");
            if ends.is_some_and(|end| answer.len() > end + 4) || answer.len() > 64 << 10 {
                return;
            }
            match stream.read(&mut buffer).await {
                Ok(count) if count > 0 => answer.extend_from_slice(&buffer[..count]),
                _ => return,
            }
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, read).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    assert!(in_time.is_ok() || status != 0, "no answer to {}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body).chars().take(300).collect();
    (status, body)
}

fn request(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let names = [
        "Job",
        "Count",
        "ID",
        "Name",
        "Target",
        "EvalIDs",
        "DrainSpec",
        "Items",
        "Meta",
        "Policies",
        "Prefix",
        "Text",
        "JobVersion",
        "TTL",
        "ExpirationTTL",
        "Lock",
        "Rules",
        "Volumes",
        "Volume",
        "Snapshots",
        "Jobs",
        "PreemptionConfig",
        "MaxTrailingLogs",
        "Roles",
        "Config",
        "Capabilities",
        "TaskName",
        "Signal",
        "HealthyAllocationIDs",
        "Groups",
        "Eligibility",
        "JobHCL",
        "Payload",
    ];
    let all = |value: &str| {
        let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    };
    vec![
        ("nothing closed", b"{".to_vec()),
        ("no JSON", b"nonsense".to_vec()),
        ("another kind", b"[1,2,3]".to_vec()),
        ("null", b"null".to_vec()),
        ("deep arrays", b"[".repeat(20_000)),
        ("deep objects", b"{\"Job\":".repeat(10_000)),
        ("deep in a member", [b"{\"Meta\":".to_vec(), b"[".repeat(10_000), b"]".repeat(10_000), b"}".to_vec()].concat()),
        ("infinite numbers", all("1e999")),
        ("huge numbers", all("99999999999999999999999999")),
        ("numbers of many digits", all(&"9".repeat(1_000))),
        ("negative numbers", all("-9223372036854775808")),
        ("empty texts", all("\"\"")),
        ("empty objects", all("{}")),
        ("lists of nothing", all("[null]")),
        ("broken texts", b"{\"ID\":\"\xff\xfe\",\"Job\":{\"ID\":\"\xc3\"}}".to_vec()),
        ("broken escapes", b"{\"ID\":\"\\ud800\",\"Name\":\"\\u00\"}".to_vec()),
        ("a zero byte", b"\0".to_vec()),
    ]
}

const QUERIES: &[&str] = &[
    "index=99999999999999999999999999&wait=1x",
    "index=-1",
    "index=1&wait=99999999999999999999h",
    "per_page=99999999999999999999&next_token=%00",
    "per_page=-5",
    "namespace=%00%ff",
    "namespace=..%2f..%2fetc",
    "prefix=%ff%fe",
    "filter=((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
    "filter=not+not+not+not+not+not+not+not+not+not+not+not+not+not+ID+==+a",
    "filter=ID+matches+%22((((a*)*)*)*)*%22",
    "region=%00",
    "cas=99999999999999999999999&force=maybe&purge=perhaps",
    "offset=-99999999999999999999&limit=x&origin=nowhere&follow=perhaps",
    "eval_priority=99999999999&version=-1&diffs=x&diff_version=x",
    "topic=a:b:c:d&choose=-1%7Cx&task=%00&command=[[[[",
];

/// One request for each method of a route.
pub(crate) fn methods(methods: Methods) -> &'static [&'static str] {
    match methods {
        Methods::Get => &["GET"],
        Methods::GetHead => &["GET", "HEAD"],
        Methods::Write => &["PUT", "POST"],
        Methods::Put => &["PUT"],
        Methods::Post => &["POST"],
        Methods::Delete => &["DELETE"],
        Methods::Any => &["GET", "PUT"],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_fails_on_hostile_requests_in_a_way_that_is_not_described() {
    let whole = Whole::with(Config { keyring: true, ..Config::new(Storage::Memory) }).await;
    let described = whole.get("/v1/openapi.json").await;
    // Nothing is lost by what collects garbage, reads the configuration again or puts a saved state in place.
    let kept = json!({"Items": {"door": "red"}});
    let record = json!({"request": {"method": "PUT", "path": "/v1/var/kept", "headers": {}, "body": kept}});
    assert_eq!(whole.ask(&record, &Default::default()).await.0, 200);
    let (address, mut wrong, mut count) = (whole.address(), Vec::new(), 0);
    for route in drover_http::table().routes() {
        let pattern = route.pattern.replace("*}", "}");
        let fill = |value: &str| -> String {
            let parts = pattern.split('/').map(|part| if part.starts_with('{') { value } else { part });
            parts.collect::<Vec<_>>().join("/")
        };
        let plain = fill("x");
        for method in methods(route.methods) {
            let mut asked: Vec<(String, Vec<u8>)> = Vec::new();
            if *method != "GET" && *method != "HEAD" {
                asked.extend(bodies().into_iter().map(|(what, body)| (format!("with {what}"), request(method, &plain, &body))));
                let endless =
                    format!("{method} {plain} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n{{}}");
                // Only a route that reads its body can say that it is too long; the others do not wait for it.
                asked.push(("with an endless body".to_owned(), endless.into_bytes()));
            }
            asked.extend(QUERIES.iter().map(|query| (format!("with {query}"), request(method, &format!("{plain}?{query}"), b""))));
            if plain != pattern {
                for value in ["%00", "%ff%fe", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "00000000-0000-0000-0000-000000000000", &"a".repeat(8_000)]
                {
                    asked.push((format!("for {}", &value[..value.len().min(40)]), request(method, &fill(value), b"{}")));
                }
            }
            for (what, bytes) in asked {
                let (status, body) = sent(address, &bytes).await;
                count += 1;
                let mut operations = described["paths"][&pattern].as_object().into_iter().flat_map(|path| path.values());
                let told = operations.any(|operation| operation["responses"].get(status.to_string()).is_some());
                if status >= 500 && !told && route.unsupported.is_none() {
                    wrong.push(format!("{method} {} {what}: {status} {body}", route.pattern));
                }
            }
        }
    }
    assert!(count > 2_000, "{count} requests");
    assert!(wrong.is_empty(), "{} of {count} requests:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(whole.get("/v1/regions").await, json!(["global"]));
    assert_eq!(whole.get("/v1/var/kept").await["Items"], kept["Items"]);
    whole.end().await;
}

#[tokio::test]
async fn heads_that_are_none_or_too_large_are_refused() {
    let fixture = Fixture::start(Options::default()).await;
    let large = "a".repeat(500_000);
    for (what, head) in [
        ("no head", "\0\0\0\0\r\n\r\n".to_owned()),
        ("no version", "GET /v1/jobs\r\n\r\n".to_owned()),
        ("another protocol", "\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n".to_owned()),
        ("a broken header", "GET /v1/jobs HTTP/1.1\r\nno colon\r\n\r\n".to_owned()),
        ("a bad length", "PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n".to_owned()),
        ("two lengths", "PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}".to_owned()),
        ("a long path", format!("GET /v1/{large} HTTP/1.1\r\nHost: x\r\n\r\n")),
        ("a long header", format!("GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX-Nomad-Token: {large}\r\n\r\n")),
        ("many headers", format!("GET /v1/jobs HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(500))),
    ] {
        let (status, body) = sent(fixture.address, head.as_bytes()).await;
        assert!(status == 0 || (400..500).contains(&status), "{what}: {status} {body}");
    }
    let (status, _) = sent(fixture.address, &request("GET", "/v1/jobs", b"")).await;
    assert_eq!(status, 200);
}

/// Reads until the other side closes.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_slowly_is_cut_off() {
    let fixture = Fixture::start(Options::default()).await;
    let begun = tokio::time::Instant::now();
    // A head that never ends.
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(200), "{:?}", begun.elapsed());
    // A body that never comes.
    let begun = tokio::time::Instant::now();
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(b"PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{").await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    // A body that comes byte by byte, each in time.
    let begun = tokio::time::Instant::now();
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(b"PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n{").await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sends = async move {
        while writer.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    };
    let mut answer = Vec::new();
    let _ = tokio::join!(sends, reader.read_to_end(&mut answer));
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    assert!(begun.elapsed() < Duration::from_secs(700), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_was_wrong_is_told_with_its_place() {
    let whole = Whole::start().await;
    for (path, body, wanted) in [
        ("/v1/jobs", json!({"Job": {"ID": "x", "TaskGroups": [{"Name": "g", "Count": "two"}]}}), "Job.TaskGroups[0].Count"),
        ("/v1/job/x/scale", json!({"Count": "two"}), "Count"),
        ("/v1/search", json!({"Prefix": 7}), "Prefix"),
        ("/v1/namespace", json!({"Name": "x", "Meta": {"a": 1}}), "Meta.a"),
    ] {
        let record = json!({"request": {"method": "PUT", "path": path, "headers": {}, "body": body.to_string()}});
        let (status, _, text) = whole.ask(&record, &Default::default()).await;
        assert!(status == 400 && text.contains(wanted), "{path} {body}: {status} {text}");
    }
    whole.end().await;
}
