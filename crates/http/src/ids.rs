//! Ids in paths and prefixes in queries, with the texts that clients know for bad ones.

use std::ops::RangeInclusive;

use drover_base::Id;

use crate::error::ApiError;

/// Reads a full id from a path.
///
/// # Errors
/// 500 `<what> lookup failed: index error: …`.
pub fn full<K>(text: &str, what: &str) -> Result<Id<K>, ApiError> {
    let failed = |reason: &str| ApiError::by_text(format!("{what} lookup failed: index error: {reason}"));
    if text.len() != 36 {
        return Err(failed("UUID must be 36 characters"));
    }
    text.parse().map_err(|_| failed(&invalid(text)))
}

/// Checks a prefix of ids and returns its digits in lower case without hyphens.
///
/// # Errors
/// 500 `<what> lookup failed: index error: …`, or without the part before the colon if `what` is empty.
pub fn prefix(text: &str, what: &str) -> Result<String, ApiError> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let what = if what.is_empty() { String::new() } else { format!("{what} lookup failed: ") };
    let failed = |reason: &str| Err(ApiError::by_text(format!("{what}index error: {reason}")));
    if text.len() > 36 {
        return failed("Input (without hyphens) must be even length");
    }
    if !digits.len().is_multiple_of(2) {
        return failed("Input (without hyphens) must be even length");
    }
    if digits.chars().any(|letter| !letter.is_ascii_hexdigit()) {
        return failed(&invalid(&digits));
    }
    Ok(digits.to_ascii_lowercase())
}

fn invalid(text: &str) -> String {
    match text.chars().find(|letter| !letter.is_ascii_hexdigit() && *letter != '-') {
        Some(letter) => format!("Invalid UUID: encoding/hex: invalid byte: U+{:04X} {letter:?}", u32::from(letter)),
        None => "Invalid UUID".to_owned(),
    }
}

/// The ids that start with digits from [`prefix`].
pub fn range<K>(digits: &str) -> RangeInclusive<Id<K>> {
    let end = |fill: u8| {
        let mut bytes = [0; 16];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let digit =
                |at: usize| digits.as_bytes().get(at).and_then(|digit| char::from(*digit).to_digit(16)).map_or(fill, |digit| digit as u8);
            *byte = digit(2 * place) << 4 | digit(2 * place + 1);
        }
        Id::from_bytes(bytes)
    };
    end(0)..=end(15)
}

/// Whether an id starts with digits from [`prefix`].
pub fn starts_with<K>(id: Id<K>, digits: &str) -> bool {
    digits.is_empty() || id.to_string().replace('-', "").starts_with(digits)
}

#[cfg(test)]
mod tests {
    use drover_base::NodeId;

    use super::*;

    #[test]
    fn bad_ids_and_prefixes_have_their_texts() {
        let text = |error: ApiError| error.text;
        assert_eq!(text(full::<()>("short", "node").unwrap_err()), "node lookup failed: index error: UUID must be 36 characters");
        assert_eq!(
            text(prefix("c5e", "node").unwrap_err()),
            "node lookup failed: index error: Input (without hyphens) must be even length"
        );
        assert_eq!(text(prefix("zz", "").unwrap_err()), "index error: Invalid UUID: encoding/hex: invalid byte: U+007A 'z'");
    }

    #[test]
    fn prefixes_ignore_hyphens() {
        let id: NodeId = "12345678-9abc-4def-8000-000000000000".parse().unwrap();
        let starts = |text: &str| starts_with(id, &prefix(text, "x").unwrap());
        assert!(starts(""));
        assert!(starts("12345678-9A") && starts("123456789a") && !starts("13"));
        let inside = |text: &str| range(&prefix(text, "x").unwrap()).contains(&id);
        assert!(inside("") && inside("12345678-9A") && inside("12345678-9abc-4def-8000-000000000000"));
        assert!(!inside("13") && !inside("11") && !inside("12345678-9abc-4def-8000-000000000001"));
    }
}
