//! Byte sizes such as `100GB` or `1.5 MiB`, as artifact limits and source sizes use them.

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizeError {
    /// It does not start with a number.
    #[error("\"{0}\" does not start with a number")]
    NoNumber(String),
    /// The unit does not exist.
    #[error("unhandled size name: {0}")]
    UnknownUnit(String),
    /// It does not fit.
    #[error("too large: {0}")]
    TooLarge(String),
}

/// The number of bytes; units are decimal (`kB`) or binary (`KiB`), their case does not matter, commas are passed over.
pub fn parse_byte_size(text: &str) -> Result<u64, ByteSizeError> {
    let length = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ','))).unwrap_or(text.len());
    let number: f64 = text[..length].replace(',', "").parse().map_err(|_| ByteSizeError::NoNumber(text.to_owned()))?;
    let unit = text[length..].trim().to_lowercase();
    let power = |letter: &str| "kmgtpe".find(letter).map(|at| at as i32 + 1);
    let factor = match unit.as_str() {
        "" | "b" => Some(1f64),
        _ => unit.get(..1).and_then(power).and_then(|power| match &unit[1..] {
            "" | "b" => Some(1000f64.powi(power)),
            "i" | "ib" => Some(1024f64.powi(power)),
            _ => None,
        }),
    };
    let bytes = number * factor.ok_or(ByteSizeError::UnknownUnit(unit))?;
    // The largest double below 2^64 is the limit.
    if bytes >= u64::MAX as f64 { Err(ByteSizeError::TooLarge(text.to_owned())) } else { Ok(bytes as u64) }
}
