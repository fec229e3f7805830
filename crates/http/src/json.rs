//! JSON text as the API sends it: compact, or indented by four spaces with a final newline.

use serde::Serialize;

use crate::error::ApiError;

/// Encodes a value without spaces.
///
/// # Errors
/// 500 if the value has no JSON form.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|error| ApiError::by_text(format!("encode the reply: {error}")))
}

/// Re-indents compact JSON; keys keep their order and numbers their digits.
pub fn pretty(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 2);
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(&byte) = compact.get(position) {
        match byte {
            b'"' => {
                let end = string_end(compact, position);
                out.extend_from_slice(&compact[position..end]);
                position = end;
                continue;
            }
            b'{' | b'[' => {
                out.push(byte);
                if matches!(compact.get(position + 1), Some(b'}' | b']')) {
                    out.push(compact[position + 1]);
                    position += 2;
                    continue;
                }
                depth += 1;
                new_line(&mut out, depth);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
        position += 1;
    }
    out.push(b'\n');
    out
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + depth * 4, b' ');
}

/// The position after the closing quote of the string that starts at `start`.
pub(crate) fn string_end(text: &[u8], start: usize) -> usize {
    let mut position = start + 1;
    while let Some(&byte) = text.get(position) {
        position += 1;
        match byte {
            b'\\' => position += 1,
            b'"' => return position.min(text.len()),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_keeps_order_numbers_and_empty_containers() {
        let text = pretty(br#"{"b":[1,18446744073709551615,{}],"a":"x:{,\"","e":[]}"#);
        let expected =
            "{\n    \"b\": [\n        1,\n        18446744073709551615,\n        {}\n    ],\n    \"a\": \"x:{,\\\"\",\n    \"e\": []\n}\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
