//! TLS of the listener: what an operator's certificates and wishes come to, and handshakes that are bounded in number and time.
//!
//! Certificates can be replaced while the agent runs: connections that are open keep theirs, new ones are given the new.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use drover_rt::Clock;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes under way at once; more wait, and their time runs.
const HANDSHAKES_MAX: usize = 256;
/// How long a handshake may take where nothing else is told (NET-030).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The first byte of every TLS connection: a record of the handshake.
const HANDSHAKE_RECORD: u8 = 22;
/// What is said to who speaks no TLS.
const NO_TLS: &str = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
/// How much of such a request is read, so that its sender gets to hear the answer.
const NO_TLS_READ_MAX: usize = 64 * 1024;

/// What TLS is to be like; files as they were read.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// PEM of the certificate, with those that lead to an authority behind it.
    pub certificate: Vec<u8>,
    /// PEM of its key.
    pub key: Vec<u8>,
    /// PEM of the authorities whose certificates callers may show.
    pub authorities: Vec<u8>,
    /// Whether callers must show one.
    pub verify_client: bool,
    /// `tls10`, `tls11`, `tls12`, `tls13`, or "" for `tls12`.
    pub min_version: String,
    /// Names of the suites for TLS 1.2, separated by commas; "" for all.
    pub cipher_suites: String,
    /// How long a handshake may take; zero for [`HANDSHAKE_TIMEOUT`].
    pub handshake_timeout: Duration,
}

/// Why TLS cannot be had like that.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// A file that holds something else.
    #[error("{file} holds no {what} in PEM: {reason}")]
    File {
        /// The key that names it.
        file: &'static str,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A name that is not known.
    #[error("{key} cannot be {value:?}: {allowed}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// Certificate and key, or their use.
    #[error("the certificate cannot be used: {0}")]
    Use(#[from] rustls::Error),
}

/// The TLS of a listener. Clones share it.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<RwLock<(Arc<ServerConfig>, Duration)>>,
    handshakes: Arc<Semaphore>,
}

impl Tls {
    /// TLS like this.
    ///
    /// # Errors
    /// When certificates, keys or names cannot be used.
    pub fn new(options: &TlsOptions) -> Result<Self, TlsProblem> {
        Ok(Self { config: Arc::new(RwLock::new(configured(options)?)), handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)) })
    }

    /// For all connections from now on.
    ///
    /// # Errors
    /// When certificates, keys or names cannot be used: then nothing changes.
    pub fn replace(&self, options: &TlsOptions) -> Result<(), TlsProblem> {
        let config = configured(options)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Shakes hands in time; `None` when nothing came of it. Who speaks no TLS is told.
    pub(crate) async fn accept(&self, stream: TcpStream, clock: &Clock) -> Option<TlsStream<TcpStream>> {
        let (config, limit) = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let shaken = clock.timeout(limit, async {
            let mut first = [0; 1];
            if stream.peek(&mut first).await.ok()? == 1 && first[0] != HANDSHAKE_RECORD {
                say_no_tls(stream).await;
                return None;
            }
            let _one_of_many = self.handshakes.acquire().await.ok()?;
            match TlsAcceptor::from(config).accept(stream).await {
                Ok(stream) => Some(stream),
                Err(error) => {
                    tracing::debug!(%error, "tls handshake");
                    None
                }
            }
        });
        shaken.await.flatten()
    }
}

async fn say_no_tls(mut stream: TcpStream) {
    let said = stream.write_all(NO_TLS.as_bytes()).await.is_ok() && stream.shutdown().await.is_ok();
    let (mut rest, mut buffer) = (NO_TLS_READ_MAX, [0; 4096]);
    while said && rest > 0 {
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => rest = rest.saturating_sub(count),
            _ => return,
        }
    }
}

fn configured(options: &TlsOptions) -> Result<(Arc<ServerConfig>, Duration), TlsProblem> {
    let provider = Arc::new(CryptoProvider { cipher_suites: suites(&options.cipher_suites)?, ..aws_lc_rs::default_provider() });
    let file = |file, what| move |error: rustls::pki_types::pem::Error| TlsProblem::File { file, what, reason: error.to_string() };
    let certificates = |pem: &[u8], name: &'static str| -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(file(name, "certificate"))?;
        match found.is_empty() {
            true => Err(TlsProblem::File { file: name, what: "certificate", reason: "there is none in it".to_owned() }),
            false => Ok(found),
        }
    };
    let chain = certificates(&options.certificate, "tls.cert_file")?;
    let key = PrivateKeyDer::from_pem_slice(&options.key).map_err(file("tls.key_file", "private key"))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions(&options.min_version)?)?;
    let builder = if options.verify_client {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&options.authorities, "tls.ca_file")? {
            roots.add(authority)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let reason = |error: rustls::server::VerifierBuilderError| error.to_string();
        builder.with_client_cert_verifier(verifier.map_err(|error| TlsProblem::File {
            file: "tls.ca_file",
            what: "certificate of an authority",
            reason: reason(error),
        })?)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let limit = if options.handshake_timeout.is_zero() { HANDSHAKE_TIMEOUT } else { options.handshake_timeout };
    Ok((Arc::new(config), limit))
}

/// # Compatibility
///
/// `tls10` and `tls11` are taken and mean TLS 1.2: what is below it is spoken by nobody here.
fn versions(least: &str) -> Result<Vec<&'static SupportedProtocolVersion>, TlsProblem> {
    match least {
        "" | "tls10" | "tls11" | "tls12" => Ok(vec![&TLS13, &TLS12]),
        "tls13" => Ok(vec![&TLS13]),
        other => Err(TlsProblem::Value {
            key: "tls.tls_min_version",
            value: other.to_owned(),
            allowed: "it is one of tls10, tls11, tls12 and tls13".to_owned(),
        }),
    }
}

/// The name of a suite as certificates' users write it; those of ChaCha20 are known without their digest, too.
fn suite_name(suite: SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    name.strip_suffix("_POLY1305_SHA256").map_or_else(|| name.clone(), |start| format!("{start}_POLY1305"))
}

/// The suites for TLS 1.2 that are named, and all for TLS 1.3.
fn suites(names: &str) -> Result<Vec<SupportedCipherSuite>, TlsProblem> {
    let all = aws_lc_rs::ALL_CIPHER_SUITES;
    let wanted: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if wanted.is_empty() {
        return Ok(aws_lc_rs::DEFAULT_CIPHER_SUITES.to_vec());
    }
    let is_named = |suite: &SupportedCipherSuite, name: &str| {
        suite_name(*suite) == name.strip_suffix("_SHA256").filter(|start| start.ends_with("_POLY1305")).unwrap_or(name)
    };
    let mut found: Vec<SupportedCipherSuite> = all.iter().filter(|suite| suite.tls13().is_some()).copied().collect();
    for name in wanted {
        match all.iter().find(|suite| suite.tls13().is_none() && is_named(suite, name)) {
            Some(suite) => found.push(*suite),
            None => {
                let names: Vec<String> = all.iter().filter(|suite| suite.tls13().is_none()).map(|suite| suite_name(*suite)).collect();
                return Err(TlsProblem::Value {
                    key: "tls.tls_cipher_suites",
                    value: name.to_owned(),
                    allowed: format!("the suites for TLS 1.2 are {}; those of TLS 1.3 are always there", names.join(", ")),
                });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_known_by_the_names_that_operators_write() {
        let told = suites(
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        )
        .unwrap();
        let older: Vec<String> = told.iter().filter(|suite| suite.tls13().is_none()).map(|suite| suite_name(*suite)).collect();
        assert_eq!(
            older,
            ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"]
        );
        assert_eq!(told.len() - older.len(), 3, "TLS 1.3 has its own");
        let refused = suites("TLS_RSA_WITH_RC4_128_SHA").unwrap_err().to_string();
        assert!(refused.contains("RC4") && refused.contains("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"), "{refused}");
    }

    #[test]
    fn old_versions_mean_the_oldest_that_is_spoken() {
        assert_eq!(versions("tls10").unwrap().len(), 2);
        assert_eq!(versions("tls13").unwrap().len(), 1);
        assert!(versions("ssl3").unwrap_err().to_string().contains("tls12"));
    }

    #[test]
    fn files_that_hold_something_else_are_named() {
        let refused = Tls::new(&TlsOptions { certificate: b"hello".to_vec(), ..TlsOptions::default() }).unwrap_err().to_string();
        assert!(refused.contains("tls.cert_file"), "{refused}");
    }
}
