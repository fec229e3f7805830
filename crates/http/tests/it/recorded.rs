//! Recorded requests that no route answers, or that only a browser sends, get the recorded answers.

use std::collections::BTreeMap;

use drover_http::Options;
use serde_json::Value;

use crate::Fixture;

const RECORDS: &str = include_str!("../../../../testdata/golden/http-routing.jsonl");

#[tokio::test]
async fn routing_and_preflight_answers_are_as_recorded() {
    let fixture = Fixture::start(Options::default()).await;
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in RECORDS.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let (asked, expected) = (&record["request"], &record["response"]);
        let path = asked["path"].as_str().unwrap();
        // A URL type would clean the path itself, so the connection is used directly.
        let answer = raw(&fixture, asked["method"].as_str().unwrap(), path, &asked["headers"]).await;
        count += 1;
        if answer.status != expected["status"].as_u64().unwrap() {
            wrong.push(format!("{}: status {} for {}", record["name"], answer.status, expected["status"]));
            continue;
        }
        for (name, value) in expected["headers"].as_object().unwrap() {
            if name != "Transfer-Encoding" && answer.headers.get(name).map(String::as_str) != value.as_str() {
                wrong.push(format!("{}: {name} is {:?}, not {value}", record["name"], answer.headers.get(name)));
            }
        }
        if expected["body"].as_str() != Some(answer.body.as_str()) {
            wrong.push(format!("{}: body {:?}", record["name"], answer.body));
        }
    }
    assert!(count > 15 && wrong.is_empty(), "{count} records\n{}", wrong.join("\n"));
}

pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Sends a request as written and reads the answer to its end.
pub(crate) async fn raw(fixture: &Fixture, method: &str, path: &str, headers: &Value) -> Answer {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(fixture.address).await.unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for (name, value) in headers.as_object().into_iter().flatten() {
        request.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned()));
    Answer { status, headers: headers.collect(), body: body.to_owned() }
}
