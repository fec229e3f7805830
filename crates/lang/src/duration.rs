//! Durations as Go writes them: `1h30m`, `250ms`, `-1.5s`.
//!
//! # Compatibility
//!
//! Values and error texts are those of Go's `time` package, as existing clients show and match them. A duration is a
//! number of nanoseconds in 64 bits.

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It has no meaning, or does not fit.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// A number has no unit.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    /// A unit does not exist.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

/// The text in double quotes, everything outside of printable ASCII as escapes of its bytes.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("\\x{byte:02x}"))),
        }
    }
    out.push('"');
    out
}

/// How a duration may stand in the JSON of one kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonForm {
    /// A text or a number of nanoseconds; anything else is 0: tokens, node pools, locks of variables.
    Lenient,
    /// The same, but an empty text is wrong: how long tokens of an authentication method last.
    LenientNotEmpty,
    /// A text or a number, nothing else: leeways of an authentication method, client introduction.
    TextOrNumber,
    /// A text alone: thresholds of autopilot.
    TextOnly,
}

/// Why a JSON value is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonDurationError {
    /// The text is none.
    #[error(transparent)]
    Text(#[from] DurationError),
    /// It is of another type.
    #[error("unexpected TTL type: {0}")]
    Type(String),
}

/// The nanoseconds that a JSON value stands for. Null is 0; of a number the fraction is cut off, and one beyond 64 bits is
/// the lowest there is, as clients of the API know it.
///
/// # Errors
/// When the form does not allow the value, or a text is no duration.
pub fn duration_in_json(value: &serde_json::Value, form: JsonForm) -> Result<i64, JsonDurationError> {
    use serde_json::Value;
    match value {
        Value::Null => Ok(0),
        Value::String(text) if text.is_empty() && form != JsonForm::LenientNotEmpty => Ok(0),
        Value::String(text) => Ok(parse_duration(text)?),
        Value::Number(number) if form != JsonForm::TextOnly => {
            let number = number.as_f64().unwrap_or(f64::INFINITY);
            // The highest number of 64 bits is none as a floating one.
            Ok(if number >= i64::MAX as f64 { i64::MIN } else { number as i64 })
        }
        _ if matches!(form, JsonForm::Lenient | JsonForm::LenientNotEmpty) => Ok(0),
        other => Err(JsonDurationError::Type(other.to_string())),
    }
}

/// The nanoseconds of a duration.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let limit = 1u64 << 63;
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole_length = digits(rest);
        let whole_text = &rest[..whole_length];
        rest = &rest[whole_length..];
        let mut fraction_text = "";
        let mut point = false;
        if let Some(behind) = rest.strip_prefix('.') {
            point = true;
            let length = digits(behind);
            fraction_text = &behind[..length];
            rest = &behind[length..];
        }
        if whole_text.is_empty() && fraction_text.is_empty() {
            return Err(invalid());
        }
        let whole: u64 = if whole_text.is_empty() { 0 } else { whole_text.parse().map_err(|_| invalid())? };
        let unit_length = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let unit_text = &rest[..unit_length];
        if unit_text.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        rest = &rest[unit_length..];
        let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == unit_text) else {
            return Err(DurationError::UnknownUnit { unit: unit_text.to_owned(), text: text.to_owned() });
        };
        let mut part = whole.checked_mul(*unit).filter(|part| *part <= limit).ok_or_else(invalid)?;
        if point {
            // The fraction in the unit, in floating point, with as many digits as 63 bits hold.
            let (mut numerator, mut scale) = (0u64, 1f64);
            for digit in fraction_text.bytes() {
                match numerator.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0'))).filter(|n| *n < limit) {
                    Some(next) => {
                        numerator = next;
                        scale *= 10.0;
                    }
                    None => break,
                }
            }
            part = part.checked_add((numerator as f64 * (*unit as f64 / scale)) as u64).ok_or_else(invalid)?;
        }
        total = total.checked_add(part).filter(|total| *total <= limit).ok_or_else(invalid)?;
    }
    if negative {
        return Ok((total as i64).wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// The duration as text, in the largest unit that leaves no leading zero.
pub fn format_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let whole = value / unit;
        let rest = value % unit;
        if rest == 0 {
            return whole.to_string();
        }
        let digits = unit.ilog10() as usize;
        format!("{whole}.{}", format!("{rest:0digits$}").trim_end_matches('0'))
    };
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(total, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(total, 1_000_000)),
        _ => {
            let seconds = total / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = total - (seconds - seconds % 60) * 1_000_000_000;
            let shown = fraction(rest, 1_000_000_000);
            match (hours, minutes) {
                (0, 0) => format!("{sign}{shown}s"),
                (0, _) => format!("{sign}{minutes}m{shown}s"),
                _ => format!("{sign}{hours}h{minutes}m{shown}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_reads() {
        for text in ["0s", "1ns", "1.5µs", "250ms", "1.000000001s", "1m0s", "1h30m0s", "2562047h47m16.854775807s", "-1.5s"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }
}
