//! Query strings and what is common to many of them, with the exact texts of their errors.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use percent_encoding::percent_decode;

use crate::error::ApiError;

/// The longest a blocking query is held, and the default.
pub const WAIT_MAX: Duration = Duration::from_secs(300);
/// More query parameters than this are ignored.
const PARAMETERS_MAX: usize = 1024;

/// The parameters of a query string in the order sent, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Splits and decodes; what is not UTF-8 is replaced.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|part| !part.is_empty()).take(PARAMETERS_MAX);
        Self(
            pairs
                .map(|part| {
                    let (name, value) = part.split_once('=').unwrap_or((part, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The first value of a parameter, "" if it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or("")
    }

    /// The first value of a parameter.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Forgets a parameter.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A boolean in any of the accepted spellings; absent or empty is `None`.
    ///
    /// # Errors
    /// With `status`, as `Failed to parse value of "name" (value) as a bool: …`.
    pub fn boolean(&self, name: &str, status: StatusCode) -> Result<Option<bool>, ApiError> {
        let value = self.get(name);
        if value.is_empty() {
            return Ok(None);
        }
        parse_bool(value)
            .map(Some)
            .ok_or_else(|| ApiError::new(status, format!("Failed to parse value of \"{name}\" ({value}) as a bool: {}", not_a_bool(value))))
    }

    /// An integer; absent or empty is `None`.
    ///
    /// # Errors
    /// With `status`, as `Failed to parse value of "name" (value) as an int: …`.
    pub fn integer(&self, name: &str, status: StatusCode) -> Result<Option<i64>, ApiError> {
        let value = self.get(name);
        if value.is_empty() {
            return Ok(None);
        }
        value.parse().map(Some).map_err(|_| {
            let reason = not_a_number("Atoi", value);
            ApiError::new(status, format!("Failed to parse value of \"{name}\" ({value}) as an int: {reason}"))
        })
    }
}

fn decode(text: &str) -> String {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
}

/// A boolean in the spellings that clients of the API use.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// The reason given for a bad boolean.
pub fn not_a_bool(value: &str) -> String {
    format!("strconv.ParseBool: parsing {value:?}: invalid syntax")
}

/// The reason given for a bad number, by the parsing function that clients know it by.
pub fn not_a_number(function: &str, value: &str) -> String {
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    let reason =
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) { "value out of range" } else { "invalid syntax" };
    format!("strconv.{function}: parsing {value:?}: {reason}")
}

/// A duration such as `1h30m`, `1.5s` or `300000ms`; a bare `0` is zero. `None` if malformed, negative or too large.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut nanoseconds = 0_f64;
    let mut whole = 0_u128;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_end);
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        match number.parse::<u64>() {
            Ok(number) => whole = whole.checked_add(u128::from(number).checked_mul(scale)?)?,
            Err(_) => nanoseconds += number.parse::<f64>().ok()? * scale as f64,
        }
        rest = after;
    }
    let total = whole.checked_add(nanoseconds as u128)?;
    i64::try_from(total).ok().map(|total| Duration::from_nanos(total.unsigned_abs()))
}

/// How a blocking, stale-able read is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Held until the index of the data exceeds this; 0 never blocks.
    pub index: u64,
    /// How long it is held at most, before jitter.
    pub wait: Duration,
    /// Any server may answer.
    pub stale: bool,
    /// Ids (or names) start with this.
    pub prefix: String,
}

impl ReadOptions {
    /// Reads `index`, `wait`, `stale` and `prefix`.
    ///
    /// # Errors
    /// 400 with the text that clients know.
    pub fn parse(query: &Query) -> Result<Self, ApiError> {
        let wait = match query.get("wait") {
            "" => WAIT_MAX,
            text => match parse_duration(text).ok_or_else(|| ApiError::bad_request("Invalid wait time"))? {
                Duration::ZERO => WAIT_MAX,
                wait => wait.min(WAIT_MAX),
            },
        };
        let index = match query.get("index") {
            "" => 0,
            text => text.parse().map_err(|_| ApiError::bad_request("Invalid index"))?,
        };
        let stale = match query.find("stale") {
            None => false,
            Some("") => true,
            Some(text) => {
                parse_bool(text).ok_or_else(|| ApiError::bad_request("Expect `true` or `false` for `stale` query string parameter"))?
            }
        };
        Ok(Self { index, wait, stale, prefix: query.get("prefix").to_owned() })
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOptions {
    /// Items per page; 0 is all, a negative number none.
    pub per_page: i32,
    /// The first item of the page wanted.
    pub next_token: String,
    /// Whether the order is turned round.
    pub reverse: bool,
    /// A filter expression, "" for none.
    pub filter: String,
}

impl PageOptions {
    /// Reads `per_page`, `next_token`, `reverse` and `filter`.
    ///
    /// # Errors
    /// 400 with the text that clients know.
    pub fn parse(query: &Query) -> Result<Self, ApiError> {
        let per_page = match query.get("per_page") {
            "" => 0,
            text => text.parse().map_err(|_| ApiError::bad_request("Expect a number for `per_page` query string parameter"))?,
        };
        Ok(Self {
            per_page,
            next_token: query.get("next_token").to_owned(),
            reverse: query.get("reverse") == "true",
            filter: query.get("filter").to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_kept_in_order() {
        let query = Query::parse("a=1&topic=Job%3Aweb&topic=Node&b+c=d+e&flag&a=2");
        assert_eq!((query.get("a"), query.get("b c"), query.find("flag"), query.find("none")), ("1", "d e", Some(""), None));
        assert_eq!(query.all("topic").collect::<Vec<_>>(), ["Job:web", "Node"]);
    }

    #[test]
    fn durations_are_read_as_clients_send_them() {
        let read = |text| parse_duration(text).map(|duration| duration.as_nanos());
        assert_eq!(read("300000ms"), Some(300_000_000_000));
        assert_eq!(read("1h30m"), Some(5_400_000_000_000));
        assert_eq!(read("1.5s"), Some(1_500_000_000));
        assert_eq!(read("0"), Some(0));
        for bad in ["", "zz", "10", "-5s", "1d", ".", "9999999999h", "1s2"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wait_is_cut_to_five_minutes_and_bad_ones_are_named() {
        let read = |text: &str| ReadOptions::parse(&Query::parse(text));
        assert_eq!(read("wait=10m&index=7").unwrap(), ReadOptions { index: 7, wait: WAIT_MAX, stale: false, prefix: String::new() });
        assert_eq!(read("").unwrap().wait, WAIT_MAX);
        assert!(read("stale").unwrap().stale && !read("stale=false").unwrap().stale);
        for (text, error) in [
            ("wait=zz", "Invalid wait time"),
            ("index=abc", "Invalid index"),
            ("index=-1", "Invalid index"),
            ("stale=maybe", "Expect `true` or `false` for `stale` query string parameter"),
        ] {
            assert_eq!(read(text).unwrap_err(), ApiError::bad_request(error));
        }
        let error = PageOptions::parse(&Query::parse("per_page=x")).unwrap_err();
        assert_eq!(error, ApiError::bad_request("Expect a number for `per_page` query string parameter"));
    }

    #[test]
    fn a_bad_boolean_is_quoted() {
        let error = Query::parse("meta=x").boolean("meta", StatusCode::INTERNAL_SERVER_ERROR).unwrap_err();
        assert_eq!(error.text, "Failed to parse value of \"meta\" (x) as a bool: strconv.ParseBool: parsing \"x\": invalid syntax");
    }
}
