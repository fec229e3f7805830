//! As much HTTP as tests need, over plain sockets, so that what is sent is exactly what a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

/// Sends a request on a connection of its own and reads the answer.
///
/// # Errors
/// When the connection fails or is closed before an answer.
pub fn call(address: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<Reply> {
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut request = head.into_bytes();
    request.extend_from_slice(&body);
    raw(address, &request)
}

/// Sends these bytes and reads one answer.
///
/// # Errors
/// When the connection fails or is closed before an answer.
pub fn raw(address: SocketAddr, request: &[u8]) -> std::io::Result<Reply> {
    raw_until(address, request, |_| false)
}

/// The same, but a chunked body is left alone once `enough` of it has come.
///
/// # Errors
/// When the connection fails or is closed before an answer.
pub fn raw_until(address: SocketAddr, request: &[u8], enough: impl Fn(&[u8]) -> bool) -> std::io::Result<Reply> {
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    exchange(stream, request, enough)
}

/// Sends these bytes over a Unix socket and reads one answer.
///
/// # Errors
/// When the connection fails or is closed before an answer.
pub fn over_socket(socket: &Path, request: &[u8]) -> std::io::Result<Reply> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    exchange(stream, request, |_| false)
}

fn exchange(mut stream: impl Read + Write, request: &[u8], enough: impl Fn(&[u8]) -> bool) -> std::io::Result<Reply> {
    // A server that has seen enough may answer and close before it has read everything.
    let sent = stream.write_all(request);
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let Some(status) = status else {
        sent?;
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    };
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let find = |name: &str| headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.clone());
    let mut body = Vec::new();
    if request.starts_with(b"HEAD ") {
        // The headers are those of an answer with a body, which is left out.
    } else if find("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
            if enough(&body) {
                break;
            }
        }
    } else if let Some(length) = find("content-length").and_then(|length| length.parse().ok()) {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok(Reply { status, headers, body })
}
