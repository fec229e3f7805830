//! What runs in allocations: output, commands, and connections to their ports.

use drover_api::websocket::Message;
use drover_api::wire::Base64;
use drover_api::{ExecStreamingIOOperation, ExecStreamingInput, ExecStreamingOutput};
use futures::Stream;

use crate::areas::Allocations;
use crate::client::Client;
use crate::error::SdkError;
use crate::objects::Frames;
use crate::query::{Query, segment};
use crate::websocket::{Reader, Writer};

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code.
    pub code: i64,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// What is held of a command's output at most.
const OUTPUT_MAX: usize = 64 << 20;

impl Allocations<'_> {
    /// What a task writes: `stdout` or `stderr`, from the start, and with `follow` as it goes on.
    ///
    /// # Errors
    /// As [`SdkError`]; 404 for a task that has not written yet.
    pub async fn logs(
        &self,
        alloc: &str,
        task: &str,
        kind: &str,
        follow: bool,
        query: &Query,
    ) -> Result<Frames<impl Stream<Item = Result<bytes::Bytes, SdkError>> + Send + Unpin + use<>>, SdkError> {
        let query = query.clone().set("task", task).set("type", kind).set("follow", follow);
        Ok(Frames::new(self.client().stream(&format!("/v1/client/fs/logs/{}", segment(alloc)), &query).await?))
    }

    /// A conversation with a command that runs beside a task: [`ExecStreamingInput`] goes out, [`ExecStreamingOutput`] comes in.
    ///
    /// # Errors
    /// As [`SdkError`].
    pub async fn exec(
        &self,
        alloc: &str,
        task: &str,
        command: &[&str],
        terminal: bool,
        query: &Query,
    ) -> Result<(Reader, Writer), SdkError> {
        let command = serde_json::to_string(command).map_err(|error| SdkError::Settings(error.to_string()))?;
        let query = query.clone().set("task", task).set("tty", terminal).set("command", command);
        self.client().converse(&format!("/v1/client/allocation/{}/exec", segment(alloc)), &query).await
    }

    /// Runs a command beside a task to its end.
    ///
    /// # Errors
    /// As [`SdkError`]; also when the conversation ends before the command.
    pub async fn run(&self, alloc: &str, task: &str, command: &[&str], input: &[u8], query: &Query) -> Result<Finished, SdkError> {
        let url = format!("{}/v1/client/allocation/{alloc}/exec", self.client().address());
        let broken = |reason: String| SdkError::Transport { method: "Get".to_owned(), url: url.clone(), reason, unsent: false };
        let (mut reader, mut writer) = self.exec(alloc, task, command, false, query).await?;
        let part = |data: Option<Vec<u8>>| ExecStreamingInput {
            stdin: Some(ExecStreamingIOOperation { close: data.is_none(), data: data.map(Base64) }),
            ..ExecStreamingInput::default()
        };
        if !input.is_empty() {
            writer.json(&part(Some(input.to_vec()))).await.map_err(|error| broken(error.to_string()))?;
        }
        writer.json(&part(None)).await.map_err(|error| broken(error.to_string()))?;
        let mut finished = Finished::default();
        loop {
            match reader.next().await.map_err(|error| broken(error.to_string()))? {
                Some(Message::Text(bytes) | Message::Binary(bytes)) => {
                    let output: ExecStreamingOutput =
                        serde_json::from_slice(&bytes).map_err(|error| SdkError::Decode { url: url.clone(), reason: error.to_string() })?;
                    finished.stdout.extend(output.stdout.and_then(|part| part.data).map(|data| data.0).unwrap_or_default());
                    finished.stderr.extend(output.stderr.and_then(|part| part.data).map(|data| data.0).unwrap_or_default());
                    if finished.stdout.len() + finished.stderr.len() > OUTPUT_MAX {
                        return Err(broken("the command writes too much".to_owned()));
                    }
                    if output.exited {
                        finished.code = output.result.map_or(0, |result| result.exit_code);
                        return Ok(finished);
                    }
                }
                Some(Message::Ping(bytes)) => writer.send(&Message::Pong(bytes)).await.map_err(|error| broken(error.to_string()))?,
                Some(Message::Pong(_)) => {}
                Some(Message::Close(_, reason)) if !reason.is_empty() => return Err(broken(reason)),
                Some(Message::Close(..)) | None => return Err(broken("the connection ended before the command".to_owned())),
            }
        }
    }
}

fn tunnel_of(alloc: &str) -> String {
    format!("/v1/client/allocation/{}/tunnel", segment(alloc))
}

impl Client {
    /// A connection to a port of an allocation, through the agents: bytes go out and come in as binary messages.
    ///
    /// # Errors
    /// As [`SdkError`]; 404 for a port that the allocation does not have.
    pub async fn tunnel(&self, alloc: &str, port: &str, query: &Query) -> Result<(Reader, Writer), SdkError> {
        self.converse(&tunnel_of(alloc), &query.clone().set("port", port)).await
    }

    /// Whether there could be such a connection: the allocation has the port, and the caller may reach it. Nothing is connected.
    ///
    /// # Errors
    /// As of [`Self::tunnel`].
    pub async fn tunnel_exists(&self, alloc: &str, port: &str, query: &Query) -> Result<(), SdkError> {
        const UPGRADE_REQUIRED: u16 = 426;
        match self.get::<serde_json::Value>(&tunnel_of(alloc), &query.clone().set("port", port)).await {
            Err(error) if !error.is_code(UPGRADE_REQUIRED) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
