//! The listener with TLS, as callers see it.

use std::time::Duration;

use drover_http::Options;
use drover_http::tls::{Tls, TlsOptions};
use drover_macros::proves;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Fixture;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tls").join(name)).unwrap()
}

fn options() -> TlsOptions {
    TlsOptions { certificate: file("server.pem"), key: file("server-key.pem"), authorities: file("ca.pem"), ..TlsOptions::default() }
}

async fn start(options: &TlsOptions) -> (Fixture, Tls) {
    let tls = Tls::new(options).unwrap();
    (Fixture::start(Options { tls: Some(tls.clone()), ..Options::default() }).await, tls)
}

fn caller(authority: &str, own: Option<(&str, &str)>) -> reqwest::Client {
    let trusted = reqwest::Certificate::from_pem(&file(authority)).unwrap();
    let builder = reqwest::Client::builder().tls_certs_only([trusted]).timeout(Duration::from_secs(60)).no_proxy();
    match own {
        Some((certificate, key)) => {
            builder.identity(reqwest::Identity::from_pem(&[file(certificate), b"\n".to_vec(), file(key)].concat()).unwrap())
        }
        None => builder,
    }
    .build()
    .unwrap()
}

async fn status(client: &reqwest::Client, fixture: &Fixture) -> Option<u16> {
    let answer = client.get(format!("https://{}/v1/jobs", fixture.address)).send().await.ok()?;
    Some(answer.status().as_u16())
}

#[tokio::test]
async fn callers_that_trust_the_authority_are_answered() {
    let (fixture, _) = start(&options()).await;
    assert_eq!(status(&caller("ca.pem", None), &fixture).await, Some(200));
    assert_eq!(status(&caller("other-ca.pem", None), &fixture).await, None);
}

#[tokio::test]
async fn callers_must_show_a_certificate_where_that_is_asked() {
    let (fixture, _) = start(&TlsOptions { verify_client: true, min_version: "tls13".to_owned(), ..options() }).await;
    assert_eq!(status(&caller("ca.pem", None), &fixture).await, None);
    assert_eq!(status(&caller("ca.pem", Some(("other-server.pem", "other-server-key.pem"))), &fixture).await, None);
    assert_eq!(status(&caller("ca.pem", Some(("cli.pem", "cli-key.pem"))), &fixture).await, Some(200));
}

#[tokio::test]
async fn new_connections_are_given_new_certificates_and_old_ones_go_on() {
    let (fixture, tls) = start(&options()).await;
    let before = caller("ca.pem", None);
    assert_eq!(status(&before, &fixture).await, Some(200));
    let other = TlsOptions { certificate: file("other-server.pem"), key: file("other-server-key.pem"), ..TlsOptions::default() };
    let mismatch = TlsOptions { certificate: file("other-server.pem"), ..options() };
    assert!(tls.replace(&mismatch).is_err(), "a key that does not belong to the certificate");
    assert_eq!(status(&caller("ca.pem", None), &fixture).await, Some(200), "what cannot be used changes nothing");
    tls.replace(&other).unwrap();
    assert_eq!(status(&before, &fixture).await, Some(200), "its connection is still open");
    assert_eq!(status(&caller("ca.pem", None), &fixture).await, None);
    assert_eq!(status(&caller("other-ca.pem", None), &fixture).await, Some(200));
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_so() {
    let (fixture, _) = start(&options()).await;
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(b"GET /v1/jobs HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
}

/// The time is shorter here; that it is 5 s where nobody says otherwise is what its constant says.
#[proves("NET-030")]
#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut_off() {
    assert_eq!(drover_http::tls::HANDSHAKE_TIMEOUT, Duration::from_secs(5));
    assert_eq!(Options::default().connections_per_client, 100);
    let (fixture, _) = start(&TlsOptions { handshake_timeout: Duration::from_millis(200), ..options() }).await;
    for begun in [&b""[..], &[22, 3, 1]] {
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut [0; 16])).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{begun:?}: {ended:?}");
    }
    assert_eq!(status(&caller("ca.pem", None), &fixture).await, Some(200));
}
