//! Numeric functions.

use num_bigint::BigInt;

use super::{Context, Outcome, numeric, whole};
use crate::hcl::number::Number;
use crate::hcl::value::Value;

pub(super) fn abs(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::Number(numeric(&arguments[0]).abs()))
}

pub(super) fn ceil(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::Number(numeric(&arguments[0]).ceil()))
}

pub(super) fn floor(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::Number(numeric(&arguments[0]).floor()))
}

fn from_f64(value: f64) -> Outcome {
    Number::from_f64(value).map(Value::Number).ok_or_else(|| "the result is not a number".to_owned())
}

pub(super) fn log(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    from_f64(numeric(&arguments[0]).to_f64().ln() / numeric(&arguments[1]).to_f64().ln())
}

pub(super) fn pow(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let (base, exponent) = (numeric(&arguments[0]).to_f64(), numeric(&arguments[1]).to_f64());
    match whole_power(base, exponent) {
        Some(value) => from_f64(value),
        None => from_f64(base.powf(exponent)),
    }
}

/// A power with a whole exponent by squaring, the binary exponent kept apart.
///
/// # Compatibility
///
/// The last digit differs from a correctly rounded power, as it does in other readers of job files.
fn whole_power(base: f64, exponent: f64) -> Option<f64> {
    if exponent.fract() != 0.0 || exponent.abs() > 1e6 || !base.is_normal() {
        return None;
    }
    let split = |value: f64| {
        let shift = (value.to_bits() >> 52 & 0x7ff) as i64 - 1022;
        (f64::from_bits(value.to_bits() & !(0x7ff << 52) | 1022 << 52), shift)
    };
    let (mut square, mut square_shift) = split(base);
    let (mut product, mut shift) = (1f64, 0i64);
    let mut left = exponent.abs() as u64;
    while left > 0 {
        if left & 1 == 1 {
            product *= square;
            shift += square_shift;
        }
        square *= square;
        square_shift *= 2;
        if square < 0.5 {
            square *= 2.0;
            square_shift -= 1;
        }
        if square_shift.abs() > 1 << 40 {
            return None;
        }
        left >>= 1;
    }
    if exponent < 0.0 {
        (product, shift) = (1.0 / product, -shift);
    }
    let (mantissa, own) = if product.is_normal() { split(product) } else { return None };
    let total = own + shift;
    Some(match total {
        ..-1000 => return None,
        1025.. => f64::INFINITY.copysign(mantissa),
        _ => mantissa * 2f64.powi((total / 2) as i32) * 2f64.powi((total - total / 2) as i32),
    })
}

pub(super) fn max(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    arguments
        .iter()
        .map(numeric)
        .reduce(|best, next| if next > best { next } else { best })
        .cloned()
        .map(Value::Number)
        .ok_or_else(|| "at least one number is needed".to_owned())
}

pub(super) fn min(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    arguments
        .iter()
        .map(numeric)
        .reduce(|best, next| if next < best { next } else { best })
        .cloned()
        .map(Value::Number)
        .ok_or_else(|| "at least one number is needed".to_owned())
}

pub(super) fn signum(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    whole(&arguments[0]).map(|number| Value::int(number.signum()))
}

/// Digits of bases above 36 are the digits, lower case, then upper case.
pub(super) fn parse_int(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let Some(text) = arguments[0].as_str() else {
        return Err(format!("a string is needed, not {}", arguments[0].outline().friendly()));
    };
    let base = whole(&arguments[1])?;
    if !(2..=62).contains(&base) {
        return Err("the base must be between 2 and 62".to_owned());
    }
    let refuse = || format!("\"{text}\" is no whole number in base {base}");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || digits.len() > 10_000 {
        return Err(refuse());
    }
    let mut value = BigInt::from(0);
    for byte in digits.bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            b'A'..=b'Z' if base <= 36 => byte - b'A' + 10,
            b'A'..=b'Z' => byte - b'A' + 36,
            _ => return Err(refuse()),
        };
        if i64::from(digit) >= base {
            return Err(refuse());
        }
        value = value * base + digit;
    }
    Ok(Value::Number(Number::from_bigint(&if negative { -value } else { value })))
}
