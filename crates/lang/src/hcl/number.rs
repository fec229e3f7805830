//! Numbers of the expression language: binary floating point with 512 bits of mantissa.
//!
//! # Compatibility
//!
//! Job files compute with this precision, so `0.1 + 0.2 == 0.3` holds and `1 / 3` prints 155 digits. A number prints as
//! the shortest decimal that reads back as the same number, always without an exponent. Small whole numbers take a
//! fast path.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use num_bigint::{BigInt, BigUint, Sign};

const PRECISION: u32 = 512;
/// Decimal exponents of literals beyond this are refused; a number as long as this would only be a denial of service.
const MAX_DECIMAL_EXPONENT: i64 = 5_000;
const MAX_BINARY_EXPONENT: i64 = 50_000;

/// A number; infinities exist, a not-a-number does not.
#[derive(Clone, Debug)]
pub enum Number {
    /// A whole number of 64 bits.
    Int(i64),
    /// Anything else that is finite, negative zero included.
    Big(Arc<Float>),
    /// Infinity, negative if set.
    Infinity(bool),
}

/// `mantissa * 2^exponent`, the mantissa odd or zero and at most `precision` bits.
#[derive(Clone, Debug)]
pub struct Float {
    negative: bool,
    mantissa: BigUint,
    exponent: i64,
    precision: u32,
}

impl Float {
    fn rounded(negative: bool, mut mantissa: BigUint, mut exponent: i64, sticky: bool, precision: u32) -> Self {
        let bits = mantissa.bits();
        if bits > u64::from(precision) {
            let drop = bits - u64::from(precision);
            let half = mantissa.bit(drop - 1);
            let below = sticky || mantissa.trailing_zeros().is_some_and(|zeros| zeros < drop - 1);
            mantissa >>= drop;
            exponent += drop as i64;
            if half && (below || mantissa.bit(0)) {
                mantissa += 1u32;
            }
        }
        let zeros = mantissa.trailing_zeros().unwrap_or(0);
        mantissa >>= zeros;
        exponent += zeros as i64;
        if mantissa.bits() == 0 {
            exponent = 0;
        }
        Self { negative, mantissa, exponent, precision }
    }

    fn is_zero(&self) -> bool {
        self.mantissa.bits() == 0
    }

    fn signed(&self) -> BigInt {
        BigInt::from_biguint(if self.negative { Sign::Minus } else { Sign::Plus }, self.mantissa.clone())
    }

    /// Both as integers at the smaller of the two exponents.
    fn aligned(a: &Self, b: &Self) -> (BigInt, BigInt, i64) {
        let exponent = a.exponent.min(b.exponent);
        (a.signed() << (a.exponent - exponent) as u64, b.signed() << (b.exponent - exponent) as u64, exponent)
    }

    fn integer(&self) -> Option<BigInt> {
        (self.exponent >= 0).then(|| self.signed() << self.exponent as u64)
    }
}

impl Number {
    fn from_float(float: Float) -> Self {
        if float.is_zero() {
            return if float.negative { Self::Big(Arc::new(float)) } else { Self::Int(0) };
        }
        let high = float.exponent + float.mantissa.bits() as i64;
        if high > MAX_BINARY_EXPONENT {
            return Self::Infinity(float.negative);
        }
        if high < -MAX_BINARY_EXPONENT {
            return Self::Int(0);
        }
        if float.exponent >= 0
            && high <= 64
            && let Some(whole) = float.integer().and_then(|whole| i64::try_from(whole).ok())
        {
            return Self::Int(whole);
        }
        Self::Big(Arc::new(float))
    }

    fn from_signed(value: &BigInt, exponent: i64, precision: u32) -> Self {
        Self::from_float(Float::rounded(value.sign() == Sign::Minus, value.magnitude().clone(), exponent, false, precision))
    }

    fn float(&self) -> Option<Float> {
        match self {
            Self::Int(value) => Some(Float::rounded(*value < 0, BigUint::from(value.unsigned_abs()), 0, false, PRECISION)),
            Self::Big(float) => Some((**float).clone()),
            Self::Infinity(_) => None,
        }
    }

    /// The number written in decimal, with an optional sign, fraction and exponent; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() <= 18 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().map(Self::Int);
        }
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => {
                let exponent = &rest[at + 1..];
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                (&rest[..at], exponent.parse::<i64>().ok()?)
            }
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        if exponent.abs() > MAX_DECIMAL_EXPONENT || whole.len() + fraction.len() > MAX_DECIMAL_EXPONENT as usize {
            return None;
        }
        let digits = BigUint::parse_bytes(format!("{whole}{fraction}").as_bytes(), 10)?;
        let scale = exponent - fraction.len() as i64;
        if digits.bits() == 0 {
            return Some(Self::from_float(Float::rounded(negative, digits, 0, false, PRECISION)));
        }
        Some(Self::from_float(if scale >= 0 {
            Float::rounded(negative, digits * BigUint::from(10u32).pow(scale as u32), 0, false, PRECISION)
        } else {
            quotient(negative, &digits, &BigUint::from(10u32).pow(scale.unsigned_abs() as u32), 0, PRECISION)
        }))
    }

    /// The number with the value of `value` and its 53 bits of precision; `None` for not-a-number.
    pub fn from_f64(value: f64) -> Option<Self> {
        if value.is_nan() {
            return None;
        }
        if value.is_infinite() {
            return Some(Self::Infinity(value < 0.0));
        }
        let bits = value.to_bits();
        let raw = (bits >> 52 & 0x7ff) as i64;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, exponent) = if raw == 0 { (fraction, -1074) } else { (fraction | 1 << 52, raw - 1075) };
        Some(Self::from_float(Float::rounded(value.is_sign_negative(), BigUint::from(mantissa), exponent, false, 53)))
    }

    /// The whole number given in digits of `base`.
    pub fn from_bigint(value: &BigInt) -> Self {
        Self::from_signed(value, 0, PRECISION)
    }

    /// The nearest double.
    pub fn to_f64(&self) -> f64 {
        match self {
            Self::Int(value) => *value as f64,
            Self::Infinity(negative) => {
                if *negative {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }
            }
            Self::Big(_) => self.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// The value when it is a whole number that fits.
    pub fn to_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Big(float) if float.is_zero() => Some(0),
            _ => None,
        }
    }

    /// The value when it is a whole number.
    pub fn to_bigint(&self) -> Option<BigInt> {
        match self {
            Self::Int(value) => Some(BigInt::from(*value)),
            Self::Big(float) => float.integer(),
            Self::Infinity(_) => None,
        }
    }

    /// Whether it is finite and has no fraction.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Int(_) => true,
            Self::Big(float) => float.exponent >= 0,
            Self::Infinity(_) => false,
        }
    }

    /// Whether it is an infinity.
    pub fn is_infinite(&self) -> bool {
        matches!(self, Self::Infinity(_))
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i64 {
        match self {
            Self::Int(value) => value.signum(),
            Self::Infinity(negative) => {
                if *negative {
                    -1
                } else {
                    1
                }
            }
            Self::Big(float) => {
                if float.is_zero() {
                    0
                } else if float.negative {
                    -1
                } else {
                    1
                }
            }
        }
    }

    /// The number with its sign changed; zero becomes negative zero.
    pub fn negate(&self) -> Self {
        match self {
            Self::Int(value) if *value != 0 && *value != i64::MIN => Self::Int(-value),
            Self::Infinity(negative) => Self::Infinity(!negative),
            _ => {
                let mut float = self.float().expect("infinities are handled above");
                float.negative = !float.negative;
                Self::from_float(float)
            }
        }
    }

    /// The magnitude.
    pub fn abs(&self) -> Self {
        match self {
            Self::Big(float) if float.negative => self.negate(),
            _ if self.signum() < 0 => self.negate(),
            _ => self.clone(),
        }
    }

    /// The sum; `None` for infinity minus infinity.
    pub fn add(&self, other: &Self) -> Option<Self> {
        if let (Self::Int(a), Self::Int(b)) = (self, other)
            && let Some(sum) = a.checked_add(*b)
        {
            return Some(Self::Int(sum));
        }
        match (self.float(), other.float()) {
            (Some(a), Some(b)) => {
                let (x, y, exponent) = Float::aligned(&a, &b);
                Some(Self::from_signed(&(x + y), exponent, a.precision.max(b.precision)))
            }
            (None, None) if self.signum() != other.signum() => None,
            (None, _) => Some(self.clone()),
            (_, None) => Some(other.clone()),
        }
    }

    /// The difference; `None` for infinity minus infinity.
    pub fn subtract(&self, other: &Self) -> Option<Self> {
        self.add(&other.negate())
    }

    /// The product; `None` for zero times infinity.
    pub fn multiply(&self, other: &Self) -> Option<Self> {
        if let (Self::Int(a), Self::Int(b)) = (self, other)
            && let Some(product) = a.checked_mul(*b)
        {
            return Some(Self::Int(product));
        }
        let negative = (self.signum() < 0) != (other.signum() < 0);
        match (self.float(), other.float()) {
            (Some(a), Some(b)) => Some(Self::from_float(Float::rounded(
                negative,
                a.mantissa * b.mantissa,
                a.exponent + b.exponent,
                false,
                a.precision.max(b.precision),
            ))),
            _ if self.signum() == 0 || other.signum() == 0 => None,
            _ => Some(Self::Infinity(negative)),
        }
    }

    /// The quotient, infinity when only the divisor is zero; `None` for zero by zero and infinity by infinity.
    pub fn divide(&self, other: &Self) -> Option<Self> {
        let negative = (self.signum() < 0) != (other.signum() < 0);
        match (self.float(), other.float()) {
            (Some(a), Some(b)) => {
                if b.is_zero() {
                    return (!a.is_zero()).then_some(Self::Infinity(a.negative != b.negative));
                }
                if a.is_zero() {
                    return Some(Self::Int(0));
                }
                let precision = a.precision.max(b.precision);
                Some(Self::from_float(quotient(negative, &a.mantissa, &b.mantissa, a.exponent - b.exponent, precision)))
            }
            (None, None) => None,
            (None, _) => Some(Self::Infinity(negative)),
            (_, None) => Some(Self::Int(0)),
        }
    }

    /// What is left of the number when the divisor is taken off as often as the quotient says, rounded towards zero; a zero or
    /// infinite divisor leaves the number as it is.
    ///
    /// # Compatibility
    ///
    /// The quotient is rounded like any other: `4 % 0.1` is 0.
    pub fn remainder(&self, other: &Self) -> Option<Self> {
        if let (Self::Int(a), Self::Int(b)) = (self, other)
            && let Some(rest) = a.checked_rem(*b)
        {
            return Some(Self::Int(rest));
        }
        match (self.float(), other.float()) {
            (Some(_), Some(b)) if b.is_zero() => Some(self.clone()),
            (Some(a), Some(b)) => {
                let quotient = self.divide(other)?;
                let whole = if quotient.signum() < 0 { quotient.ceil() } else { quotient.floor() };
                let whole = whole.float()?;
                let (mantissa, exponent) = (&whole.mantissa * &b.mantissa, whole.exponent + b.exponent);
                let product = Float::rounded(whole.negative != b.negative, mantissa, exponent, false, a.precision);
                let (x, y, exponent) = Float::aligned(&a, &product);
                Some(Self::from_signed(&(x - y), exponent, a.precision))
            }
            (Some(_), None) => Some(self.clone()),
            (None, _) => None,
        }
    }

    /// The largest whole number not above.
    pub fn floor(&self) -> Self {
        match self {
            Self::Big(float) if float.exponent < 0 => {
                let whole = float.signed() >> float.exponent.unsigned_abs();
                Self::from_signed(&whole, 0, float.precision.max(PRECISION))
            }
            _ => self.clone(),
        }
    }

    /// The smallest whole number not below.
    pub fn ceil(&self) -> Self {
        match self {
            Self::Big(float) if float.exponent < 0 => {
                let whole: BigInt = float.signed() >> float.exponent.unsigned_abs();
                Self::from_signed(&(whole + 1), 0, float.precision.max(PRECISION))
            }
            _ => self.clone(),
        }
    }

    /// The exact value as a fraction `numerator / 10^digits`; `None` for infinities. Used by fixed and scientific formats.
    pub(crate) fn decimal(&self) -> Option<(BigInt, u32)> {
        let float = self.float()?;
        if float.exponent >= 0 {
            return Some((float.signed() << float.exponent as u64, 0));
        }
        let digits = float.exponent.unsigned_abs() as u32;
        Some((float.signed() * BigInt::from(BigUint::from(5u32).pow(digits)), digits))
    }
}

fn quotient(negative: bool, numerator: &BigUint, denominator: &BigUint, exponent: i64, precision: u32) -> Float {
    let shift = (i64::from(precision) + 2 + denominator.bits() as i64 - numerator.bits() as i64).max(0) as u64;
    let shifted = numerator << shift;
    let whole = &shifted / denominator;
    let sticky = &whole * denominator != shifted;
    Float::rounded(negative, whole, exponent - shift as i64, sticky, precision)
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Self::Int(a), Self::Int(b)) = (self, other) {
            return a.cmp(b);
        }
        match (self.float(), other.float()) {
            (Some(a), Some(b)) => {
                let (x, y, _) = Float::aligned(&a, &b);
                x.cmp(&y)
            }
            (None, None) => self.signum().cmp(&other.signum()),
            (None, Some(_)) => self.signum().cmp(&0),
            (Some(_), None) => 0.cmp(&other.signum()),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Infinity(negative) => f.write_str(if *negative { "-Inf" } else { "+Inf" }),
            Self::Big(float) => {
                if float.negative {
                    f.write_str("-")?;
                }
                if float.is_zero() {
                    return f.write_str("0");
                }
                f.write_str(&shortest(float))
            }
        }
    }
}

/// The shortest decimal less than half a unit of the last place away from `float`, or as much where the last bit is even, nearest to it.
///
/// # Compatibility
///
/// Below a power of two the next number is nearer than that; other readers of job files do not mind either.
fn shortest(float: &Float) -> String {
    // Interval bounds at two bits below the unit in the last place, so that halves and quarters are whole.
    let spare = u64::from(float.precision) - float.mantissa.bits();
    let ulp = BigUint::from(4u32);
    let exponent = float.exponent - spare as i64 - 2;
    let mut value = &float.mantissa << (spare + 2);
    let mut low = &value - &ulp / 2u32;
    let mut high = &value + &ulp / 2u32;
    let inclusive = spare > 0;
    let mut scale = 0i64;
    if exponent >= 0 {
        value <<= exponent as u64;
        low <<= exponent as u64;
        high <<= exponent as u64;
    } else {
        let factor = BigUint::from(5u32).pow(exponent.unsigned_abs() as u32);
        value *= &factor;
        low *= &factor;
        high *= &factor;
        scale = exponent;
    }
    // The step is the largest power of ten of which a multiple lies inside.
    let inside =
        |candidate: &BigUint| if inclusive { *candidate >= low && *candidate <= high } else { *candidate > low && *candidate < high };
    let nearest = |step: &BigUint| {
        let down = &value / step * step;
        let up = &down + step;
        let down_is_nearer = &value - &down <= &up - &value;
        let (first, second) = if down_is_nearer { (down, up) } else { (up, down) };
        if inside(&first) { Some(first) } else { inside(&second).then_some(second) }
    };
    let ten = BigUint::from(10u32);
    let mut step_digits = (&high - &low).to_string().len() as u32 - 1;
    let mut step = ten.pow(step_digits);
    let mut best = nearest(&step);
    while best.is_none() {
        step_digits -= 1;
        step /= 10u32;
        best = nearest(&step);
    }
    let mut best = best.expect("the value itself is inside at step one");
    loop {
        step *= 10u32;
        match nearest(&step) {
            Some(wider) => {
                best = wider;
                step_digits += 1;
            }
            None => break,
        }
    }
    let mut digits = (&best / ten.pow(step_digits)).to_string();
    scale += i64::from(step_digits);
    if scale >= 0 {
        digits.extend(std::iter::repeat_n('0', scale as usize));
        return digits;
    }
    let fraction = scale.unsigned_abs() as usize;
    if digits.len() <= fraction {
        digits.insert_str(0, &"0".repeat(fraction + 1 - digits.len()));
    }
    digits.insert(digits.len() - fraction, '.');
    if digits.contains('.') {
        let kept = digits.trim_end_matches('0').trim_end_matches('.').len();
        digits.truncate(kept);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn prints_the_shortest_decimal() {
        for text in ["0.1", "3.14159265358979323846264338327950288", "100000000000000000000.5", "0.0000001", "-0"] {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number("1e21").to_string(), "1000000000000000000000");
        assert_eq!(Number::from_f64(1.21).unwrap().to_string(), "1.21");
        let third = Number::Int(1).divide(&Number::Int(3)).unwrap();
        assert_eq!(Number::from_f64(2f64.powi(64)).unwrap().to_string(), "18446744073709550000");
        assert_eq!(third.to_string().len(), 157);
        assert_eq!(third.multiply(&Number::Int(3)).unwrap(), Number::Int(1));
    }

    #[test]
    fn computes_without_decimal_surprises() {
        assert_eq!(number("0.1").add(&number("0.2")).unwrap(), number("0.3"));
        assert_eq!(number("-7").remainder(&number("3")).unwrap(), Number::Int(-1));
        assert_eq!(number("7.5").remainder(&number("2")).unwrap(), number("1.5"));
        assert_eq!(number("-0.5").floor(), Number::Int(-1));
        assert_eq!(number("-0.5").ceil(), Number::Int(0));
    }

    #[test]
    fn refuses_what_is_not_a_decimal() {
        for text in ["", "x", "0x10", " 1", "1_000", "1e", "--1", "1e999999999"] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }
}
