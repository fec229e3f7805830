//! Which region answers a request: decided here for every route, before anybody is asked for rights. Those are looked at where the
//! request is answered.

use std::fmt;

use http::HeaderMap;
use http::header::HeaderName;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::error::ApiError;

/// The region that a server of another one has passed a request on to. It is answered there or not at all, so that none goes in
/// circles.
pub(crate) const FOR_REGION: HeaderName = HeaderName::from_static("x-drover-region");

/// How a route's requests say which region they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// By the query.
    #[default]
    Asked,
    /// By the body around a job, the query, or the job.
    OfJob,
    /// They do not: every region gives the same answer.
    Any,
    /// It is the one that writes for all regions.
    Shared,
    /// The same if the token in the body is good in every region.
    OfToken,
    /// The same if the token in the path is.
    OfNamedToken,
}

/// What decides beside the request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known<'a> {
    /// This agent's region.
    pub(crate) own: &'a str,
    /// The region that writes for all; none where each writes for itself.
    pub(crate) shared: Option<&'a str>,
    /// Whether there are other regions that a request may be for.
    pub(crate) others: bool,
    /// Whether the token in the path is good in every region.
    pub(crate) token_is_global: bool,
}

/// Where a request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// In this region.
    Here,
    /// In another one.
    There(String),
    /// As the body says, which has to be read first.
    InBody,
}

/// The refusal of what is for a region that nobody knows a way to.
pub(crate) fn no_path() -> ApiError {
    ApiError::by_text("No path to region")
}

impl Known<'_> {
    fn leads(&self, region: &str) -> Decision {
        if region.is_empty() || region == self.own { Decision::Here } else { Decision::There(region.to_owned()) }
    }

    fn shared_or(&self, asked: &str) -> Decision {
        self.leads(self.shared.unwrap_or(asked))
    }

    /// Where a request is answered. `body` is there once it was read.
    ///
    /// # Errors
    /// When it was passed on to a region that this is not.
    pub(crate) fn decide(&self, home: Home, asked: &str, headers: &HeaderMap, body: Option<&[u8]>) -> Result<Decision, ApiError> {
        if let Some(meant) = headers.get(FOR_REGION) {
            return if meant.as_bytes() == self.own.as_bytes() { Ok(Decision::Here) } else { Err(no_path()) };
        }
        Ok(match (home, body) {
            (Home::Any, _) => Decision::Here,
            (Home::Asked, _) => self.leads(asked),
            (Home::Shared, _) => self.shared_or(asked),
            (Home::OfNamedToken, _) if self.token_is_global => self.shared_or(asked),
            (Home::OfNamedToken, _) => self.leads(asked),
            // What cannot be told apart is left to the endpoint, which says what is wrong with it.
            (Home::OfJob, None) if !self.others && self.leads(asked) == Decision::Here => Decision::Here,
            (Home::OfToken, None) if self.shared.is_none() => self.leads(asked),
            (Home::OfJob | Home::OfToken, None) => Decision::InBody,
            (Home::OfJob, Some(body)) => self.leads(&self.of_job(&head(body), asked)),
            (Home::OfToken, Some(body)) if head(body).global => self.shared_or(asked),
            (Home::OfToken, Some(_)) => self.leads(asked),
        })
    }

    /// The region of a job: the wrapper beats the query, and the query the job.
    fn of_job(&self, head: &Head, asked: &str) -> String {
        let in_job = head.job.as_ref().map_or("", |job| job.region.as_str());
        let named = [head.region.as_str(), asked, in_job].into_iter().find(|region| !region.is_empty()).unwrap_or("");
        if named == ANY { String::new() } else { named.to_owned() }
    }
}

/// A job of this region is of whichever gets it.
const ANY: &str = "global";

/// What of a body decides about the region.
#[derive(Debug, Default)]
struct Head {
    region: String,
    global: bool,
    job: Option<Box<Head>>,
}

/// What a body says of the region; nothing if it cannot be read.
fn head(body: &[u8]) -> Head {
    let mut decoder = serde_json::Deserializer::from_slice(body);
    Head::deserialize(&mut decoder).unwrap_or_default()
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Head;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Head, A::Error> {
                let mut head = Head::default();
                // Names are in any case, and the last of several counts, as everywhere in the API.
                while let Some(name) = members.next_key::<String>()? {
                    match name.to_ascii_lowercase().as_str() {
                        "region" => head.region = members.next_value::<Option<String>>()?.unwrap_or_default(),
                        "global" => head.global = members.next_value::<Option<bool>>()?.unwrap_or_default(),
                        "job" => head.job = members.next_value()?,
                        _ => drop(members.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(head)
            }
        }
        from.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EAST: Known<'static> = Known { own: "east", shared: Some("west"), others: true, token_is_global: false };

    fn decided(known: Known<'_>, home: Home, asked: &str, body: Option<&str>) -> String {
        match known.decide(home, asked, &HeaderMap::new(), body.map(str::as_bytes)).unwrap() {
            Decision::Here => "here".to_owned(),
            Decision::There(region) => region,
            Decision::InBody => "in body".to_owned(),
        }
    }

    #[test]
    fn the_query_decides_unless_what_is_written_is_of_all_regions() {
        let alone = Known { shared: None, ..EAST };
        let named = Known { token_is_global: true, ..EAST };
        for (known, home, asked, wanted) in [
            (EAST, Home::Asked, "", "here"),
            (EAST, Home::Asked, "east", "here"),
            (EAST, Home::Asked, "north", "north"),
            (EAST, Home::Any, "north", "here"),
            (EAST, Home::Shared, "", "west"),
            (EAST, Home::Shared, "north", "west"),
            (alone, Home::Shared, "", "here"),
            (alone, Home::Shared, "north", "north"),
            (EAST, Home::OfNamedToken, "", "here"),
            (EAST, Home::OfNamedToken, "north", "north"),
            (named, Home::OfNamedToken, "north", "west"),
            (EAST, Home::OfToken, "", "in body"),
            (alone, Home::OfToken, "", "here"),
            (EAST, Home::OfJob, "", "in body"),
            // The region of all is where they are written, whatever the query says.
            (Known { own: "west", ..EAST }, Home::Shared, "north", "here"),
            // Nobody else is known: nothing is read for nothing.
            (Known { others: false, ..EAST }, Home::OfJob, "", "here"),
            (Known { others: false, ..EAST }, Home::OfJob, "north", "in body"),
        ] {
            assert_eq!(decided(known, home, asked, None), wanted, "{known:?} {home:?} {asked:?}");
        }
    }

    #[test]
    fn bodies_of_jobs_and_tokens_decide_in_their_order() {
        for (asked, body, wanted) in [
            ("", r#"{"Job": {"Region": "north"}}"#, "north"),
            ("south", r#"{"Job": {"Region": "north"}}"#, "south"),
            ("south", r#"{"Region": "west", "Job": {"Region": "north"}}"#, "west"),
            ("", r#"{"job": {"region": "global"}}"#, "here"),
            ("global", r#"{"Job": {"Region": "north"}}"#, "here"),
            ("", r#"{"Region": null, "Job": {"ID": "x", "TaskGroups": [{"Region": "north"}]}}"#, "here"),
            ("", r#"{"Job": null}"#, "here"),
            ("", "nonsense", "here"),
            ("", r#"{"Region": 7}"#, "here"),
        ] {
            assert_eq!(decided(EAST, Home::OfJob, asked, Some(body)), wanted, "{asked:?} {body}");
        }
        for (asked, body, wanted) in [
            ("", r#"{"Global": true}"#, "west"),
            ("north", r#"{"global": true}"#, "west"),
            ("north", r#"{"Global": false}"#, "north"),
            ("", "{}", "here"),
            ("", "[", "here"),
        ] {
            assert_eq!(decided(EAST, Home::OfToken, asked, Some(body)), wanted, "{asked:?} {body}");
        }
    }

    #[test]
    fn what_was_passed_on_is_answered_or_refused() {
        let passed_on = |region: &'static str| HeaderMap::from_iter([(FOR_REGION, http::HeaderValue::from_static(region))]);
        for home in [Home::Asked, Home::OfJob, Home::Shared, Home::OfToken, Home::OfNamedToken] {
            assert_eq!(EAST.decide(home, "north", &passed_on("east"), None), Ok(Decision::Here));
            assert_eq!(EAST.decide(home, "east", &passed_on("north"), None), Err(no_path()));
        }
    }
}
