//! Reads that go on: what changed since the last look, the pages of a long list, and the stream of events.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use drover_api::Events;
use drover_rt::{Clock, Entropy};
use futures::{Stream, stream};
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::error::SdkError;
use crate::objects::Objects;
use crate::query::{Answer, Query};

/// How long one blocking read is held unless told otherwise.
const WAIT: Duration = Duration::from_secs(60);
/// The pause between reads of something that has no index.
const UNINDEXED_PAUSE: Duration = Duration::from_secs(1);
/// How long an event stream may be silent: the agent says every ten seconds that it is still there.
const SILENCE_MAX: Duration = Duration::from_secs(35);

/// Follows what one read answers: see [`Client::watch`].
pub struct Watch<T> {
    client: Client,
    path: String,
    query: Query,
    wait: Duration,
    index: u64,
    failures: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Watch<T> {
    /// Goes on from an index that was seen already.
    #[must_use]
    pub fn after(mut self, index: u64) -> Self {
        self.index = index;
        self
    }

    /// Holds each read for at most so long.
    #[must_use]
    pub fn held_for(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The value as it is at first, and then each time that it has changed.
    ///
    /// # Errors
    /// As [`SdkError`], after as many tries as the client's [`crate::Retry`] allows; the next call tries again.
    pub async fn next(&mut self) -> Result<Answer<T>, SdkError> {
        loop {
            let query = self.query.clone().blocking(self.index, self.wait);
            let answer = match self.client.get::<T>(&self.path, &query).await {
                Ok(answer) => answer,
                Err(error) => {
                    rest(&self.client, &mut self.failures, error).await?;
                    continue;
                }
            };
            self.failures = 0;
            let (before, now) = (self.index, answer.meta.index);
            // An index that went back belongs to another state: what was seen of the old one says nothing.
            self.index = if now < before { 0 } else { now };
            if now == 0 && before == 0 {
                Clock::system().sleep(UNINDEXED_PAUSE).await;
            }
            if now != before || before == 0 {
                return Ok(answer);
            }
        }
    }

    /// The same as a stream; it ends after an error.
    pub fn into_stream(self) -> Pin<Box<dyn Stream<Item = Result<Answer<T>, SdkError>> + Send>>
    where
        T: Send + 'static,
    {
        Box::pin(stream::unfold(Some(self), |watch| async move {
            let mut watch = watch?;
            match watch.next().await {
                Ok(answer) => Some((Ok(answer), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

/// Waits before the next try after an error that may pass, or gives the error back once there were tries enough.
async fn rest(client: &Client, failures: &mut u32, error: SdkError) -> Result<(), SdkError> {
    *failures += 1;
    match client.config().retry.pause(*failures, Entropy::system().seed()).filter(|_| error.is_passing()) {
        Some(pause) => {
            Clock::system().sleep(pause).await;
            Ok(())
        }
        None => {
            *failures = 0;
            Err(error)
        }
    }
}

/// Follows what happens: see [`Client::events`].
pub struct EventStream {
    client: Client,
    query: Query,
    open: Option<Objects<Body, Events>>,
    index: u64,
    failures: u32,
}

type Body = Pin<Box<dyn Stream<Item = Result<Bytes, SdkError>> + Send>>;

impl EventStream {
    /// The index of the last events that were returned.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The next events. Connects again where it left off when the connection breaks.
    ///
    /// # Errors
    /// As [`SdkError`], after as many tries as the client's [`crate::Retry`] allows; the next call tries again.
    pub async fn next(&mut self) -> Result<Events, SdkError> {
        loop {
            match self.step().await {
                Ok(Some(events)) => {
                    self.failures = 0;
                    return Ok(events);
                }
                Ok(None) => {}
                Err(error) => {
                    self.open = None;
                    rest(&self.client, &mut self.failures, error).await?;
                }
            }
        }
    }

    /// Events, or nothing that matters.
    async fn step(&mut self) -> Result<Option<Events>, SdkError> {
        let Some(open) = &mut self.open else {
            let query = if self.index == 0 { self.query.clone() } else { self.query.clone().set("index", self.index + 1) };
            let body: Body = Box::pin(self.client.stream("/v1/event/stream", &query).await?);
            self.open = Some(Objects::new(body));
            return Ok(None);
        };
        let broken = |reason: &str| SdkError::Transport {
            method: "Get".to_owned(),
            url: format!("{}/v1/event/stream", self.client.address()),
            reason: reason.to_owned(),
            unsent: false,
        };
        match Clock::system().timeout(SILENCE_MAX, open.next()).await {
            None => Err(broken("the stream has been silent for too long")),
            Some(None) => Err(broken("the stream has ended")),
            Some(Some(Err(error))) => Err(error),
            // A sign of life, or what was seen before the connection broke.
            Some(Some(Ok(events))) if events.index <= self.index => {
                self.failures = 0;
                Ok(None)
            }
            Some(Some(Ok(events))) => {
                self.index = events.index;
                Ok(Some(events))
            }
        }
    }
}

struct Pages<T> {
    client: Client,
    path: String,
    query: Query,
    token: Option<String>,
    ready: VecDeque<T>,
}

impl Client {
    /// Follows a read: the first answer comes at once, the others when something has changed.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), drover_sdk::SdkError> {
    /// use drover_sdk::{Client, Config, Query, api};
    ///
    /// let client = Client::new(Config::from_environment())?;
    /// let mut jobs = client.watch::<Vec<api::JobListStub>>("/v1/jobs", Query::new());
    /// loop {
    ///     let answer = jobs.next().await?;
    ///     println!("{} jobs at index {}", answer.value.len(), answer.meta.index);
    /// }
    /// # }
    /// ```
    pub fn watch<T: DeserializeOwned>(&self, path: &str, query: Query) -> Watch<T> {
        Watch { client: self.clone(), path: path.to_owned(), query, wait: WAIT, index: 0, failures: 0, kind: PhantomData }
    }

    /// All of a long list, fetched in pages of so many.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), drover_sdk::SdkError> {
    /// use drover_sdk::{Client, Config, Query, api};
    /// use futures::TryStreamExt;
    ///
    /// let client = Client::new(Config::from_environment())?;
    /// let mut allocs = client.pages::<api::AllocationListStub>("/v1/allocations", Query::new().namespace("*"), 500);
    /// while let Some(alloc) = allocs.try_next().await? {
    ///     println!("{} {}", alloc.id, alloc.client_status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        query: Query,
        per_page: u32,
    ) -> Pin<Box<dyn Stream<Item = Result<T, SdkError>> + Send>> {
        let query = query.set("per_page", per_page.max(1));
        let pages = Pages { client: self.clone(), path: path.to_owned(), query, token: Some(String::new()), ready: VecDeque::new() };
        Box::pin(stream::try_unfold(pages, |mut pages| async move {
            loop {
                if let Some(value) = pages.ready.pop_front() {
                    return Ok(Some((value, pages)));
                }
                let Some(token) = pages.token.take() else { return Ok(None) };
                let query = pages.query.clone().set_some("next_token", &token);
                let answer = pages.client.get::<Vec<T>>(&pages.path, &query).await?;
                pages.ready.extend(answer.value);
                // A token that does not move would lead round in a circle.
                pages.token = Some(answer.meta.next_token).filter(|next| !next.is_empty() && *next != token);
            }
        }))
    }

    /// What happens, from an index on (0: from now on). Topics are as `Job`, `Node:*` or `Allocation:ID`; none stands for all.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), drover_sdk::SdkError> {
    /// use drover_sdk::{Client, Config, Query};
    ///
    /// let client = Client::new(Config::from_environment())?;
    /// let mut events = client.events(&["Deployment", "Allocation"], 0, Query::new());
    /// loop {
    ///     for event in events.next().await?.events.unwrap_or_default() {
    ///         println!("{} {} {}", event.index, event.r#type, event.key);
    ///     }
    /// }
    /// # }
    /// ```
    pub fn events(&self, topics: &[&str], index: u64, query: Query) -> EventStream {
        let query = topics.iter().fold(query, |query, topic| query.set("topic", topic));
        // The index that is asked for is the first one that is wanted.
        EventStream { client: self.clone(), query, open: None, index: index.saturating_sub(1), failures: 0 }
    }
}
