//! Headers, encodings, limits and the stop, as a client sees them.

use std::time::Duration;

use drover_http::Options;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Fixture;
use crate::recorded::raw;

#[tokio::test]
async fn query_headers_are_sent_in_canonical_case() {
    let fixture = Fixture::start(Options::default()).await;
    let answer = raw(&fixture, "GET", "/v1/jobs", &json!({})).await;
    for (name, value) in [
        ("X-Nomad-Index", "7"),
        ("X-Nomad-Lastcontact", "0"),
        ("X-Nomad-Knownleader", "true"),
        ("X-Nomad-Nexttoken", "default.x"),
        ("Content-Type", "application/json"),
        ("Vary", "Accept-Encoding"),
        ("X-Operator", "yes"),
    ] {
        assert_eq!(answer.headers.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(answer.body, r#"[{"ID":"web","Priority":50}]"#);
    let pretty = raw(&fixture, "GET", "/v1/jobs?pretty", &json!({})).await;
    assert_eq!(pretty.body, "[\n    {\n        \"ID\": \"web\",\n        \"Priority\": 50\n    }\n]\n");
}

#[tokio::test]
async fn bodies_are_compressed_when_asked_for() {
    let fixture = Fixture::start(Options::default()).await;
    let client = reqwest::Client::builder().gzip(true).build().unwrap();
    let text = client.get(fixture.url("/v1/jobs")).send().await.unwrap().text().await.unwrap();
    assert_eq!(text, r#"[{"ID":"web","Priority":50}]"#);
    let plain = reqwest::Client::builder().no_gzip().build().unwrap();
    let answer = plain.get(fixture.url("/v1/jobs")).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let answer = plain.put(fixture.url("/v1/system/gc")).header("accept-encoding", "gzip").send().await.unwrap();
    assert!(!answer.bytes().await.unwrap().is_empty(), "an empty body is still a gzip stream");
}

#[tokio::test]
async fn an_event_stream_ends_with_its_connection() {
    let fixture = Fixture::start(Options::default()).await;
    let answer = raw(&fixture, "GET", "/v1/event/stream", &json!({"Accept-Encoding": "gzip"})).await;
    assert_eq!(answer.body, "{}\n{\"Index\":3}\n");
    assert_eq!(answer.headers["Cache-Control"], "no-cache");
    assert!(!answer.headers.contains_key("Transfer-Encoding") && !answer.headers.contains_key("Content-Length"));
    assert!(!answer.headers.contains_key("Content-Encoding"));
}

#[tokio::test]
async fn bodies_too_large_empty_or_malformed_are_client_errors() {
    let fixture = Fixture::start(Options::default()).await;
    let client = reqwest::Client::new();
    let put = |body: Vec<u8>| client.put(fixture.url("/v1/jobs")).body(body).send();
    assert_eq!(put(Vec::new()).await.unwrap().text().await.unwrap(), "Request body is empty");
    let answer = put(b"{\"Job\":".to_vec()).await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer = put(br#"{"Job":{"ID":"a"}} trailing"#.to_vec()).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["x-nomad-index"].to_str().unwrap()), (200, "9"));
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(b"PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{").await.unwrap();
    let mut text = [0; 64];
    let read = stream.read(&mut text).await.unwrap();
    assert!(text[..read].starts_with(b"HTTP/1.1 413 "), "{:?}", String::from_utf8_lossy(&text[..read]));
}

#[tokio::test]
async fn another_region_is_not_reachable() {
    let fixture = Fixture::start(Options::default()).await;
    let answer = raw(&fixture, "GET", "/v1/jobs?region=mars", &json!({})).await;
    assert_eq!((answer.status, answer.body.as_str()), (500, "No path to region"));
    assert_eq!(raw(&fixture, "GET", "/v1/jobs?region=global", &json!({})).await.status, 200);
}

#[tokio::test]
async fn one_address_gets_so_many_connections_and_then_a_reason() {
    let fixture = Fixture::start(Options { connections_per_client: 2, ..Options::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        stream.write_all(b"GET /v1/agent/monitor HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        held.push(stream);
    }
    let mut refused = TcpStream::connect(fixture.address).await.unwrap();
    let mut text = String::new();
    refused.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{text}");
    assert!(text.ends_with("Your IP is issuing too many concurrent connections, please rate limit your calls\n"));
    drop(held.pop());
    // The slot is free once the server has seen the close.
    loop {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        stream.write_all(b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        if stream.read_to_string(&mut text).await.is_ok() && text.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test]
async fn the_stop_ends_streams_too() {
    let fixture = Fixture::start(Options::default()).await;
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(b"GET /v1/agent/monitor HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(fixture.scope.shutdown(Duration::from_secs(20)).await, Vec::<&str>::new());
    assert!(TcpStream::connect(fixture.address).await.is_err());
}
