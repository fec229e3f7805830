//! Functions on network prefixes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use num_bigint::{BigInt, Sign};

use super::{Context, Outcome, string, whole};
use crate::hcl::value::Value;

/// Most bits by which a prefix is extended at once.
const MAX_EXTENSION: i64 = 32;

fn prefix(value: &Value) -> Result<IpNet, String> {
    let text = string(value);
    let parsed = text.split_once('/').and_then(|(address, length)| {
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse().ok().filter(|_| digits)?;
        IpNet::new(address.parse().ok()?, length).ok()
    });
    parsed.map(|net| net.trunc()).ok_or_else(|| format!("\"{text}\" is not an address with a prefix length"))
}

fn number_of(address: IpAddr) -> BigInt {
    match address {
        IpAddr::V4(address) => BigInt::from_bytes_be(Sign::Plus, &address.octets()),
        IpAddr::V6(address) => BigInt::from_bytes_be(Sign::Plus, &address.octets()),
    }
}

/// The address whose bytes are the low bytes of the magnitude.
fn address_of(number: &BigInt, like: IpAddr) -> IpAddr {
    let bytes = number.magnitude().to_bytes_le();
    let low = |count: usize| (0..count).rev().map(|at| bytes.get(at).copied().unwrap_or(0)).collect::<Vec<u8>>();
    match like {
        IpAddr::V4(_) => IpAddr::V4(<[u8; 4]>::try_from(low(4)).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from)),
        IpAddr::V6(_) => IpAddr::V6(<[u8; 16]>::try_from(low(16)).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from)),
    }
}

pub(super) fn host(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let net = prefix(&arguments[0])?;
    let number = whole(&arguments[1])?;
    let bits = net.max_prefix_len() - net.prefix_len();
    let last = (BigInt::from(1) << bits) - 1;
    let place = if number < 0 { &last + 1 + number } else { BigInt::from(number) };
    if place > last || place.sign() == Sign::Minus {
        return Err(format!("a prefix of {} has no host number {number}", net.prefix_len()));
    }
    Ok(Value::string(address_of(&(number_of(net.network()) | place), net.addr()).to_string()))
}

pub(super) fn netmask(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::string(prefix(&arguments[0])?.netmask().to_string()))
}

/// # Compatibility
///
/// A negative subnet number is accepted and counts below the base address, as other readers of job files do it.
pub(super) fn subnet(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let net = prefix(&arguments[0])?;
    let (extension, number) = (whole(&arguments[1])?, whole(&arguments[2])?);
    if extension > MAX_EXTENSION {
        return Err(format!("a prefix cannot be extended by more than {MAX_EXTENSION} bits"));
    }
    let length = i64::from(net.prefix_len()) + extension;
    if length > i64::from(net.max_prefix_len()) || length < 0 {
        return Err(format!("a prefix of {} cannot be extended by {extension}", net.prefix_len()));
    }
    if extension >= 0 && number.unsigned_abs() >= 1 << extension {
        return Err(format!("an extension by {extension} bits has no subnet number {number}"));
    }
    let shift = i64::from(net.max_prefix_len()) - length;
    let base = number_of(net.network()) | (BigInt::from(number) << shift);
    let address = address_of(&base, net.addr());
    let length = length as u8;
    let net = IpNet::new(address, length).map_err(|error| error.to_string())?.trunc();
    Ok(Value::string(net.to_string()))
}

pub(super) fn subnets(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let net = prefix(&arguments[0])?;
    let end = number_of(net.broadcast()) + 1;
    let mut next = number_of(net.network());
    let mut found = Vec::new();
    for argument in &arguments[1..] {
        let extension = whole(argument)?;
        if !(1..=MAX_EXTENSION).contains(&extension) {
            return Err(format!("a prefix is extended by 1 to {MAX_EXTENSION} bits, not {extension}"));
        }
        let length = i64::from(net.prefix_len()) + extension;
        if length > i64::from(net.max_prefix_len()) {
            return Err(format!("a prefix of {length} bits is too long"));
        }
        let size = BigInt::from(1) << (i64::from(net.max_prefix_len()) - length);
        // The next multiple of the size.
        next = (&next + &size - 1) / &size * &size;
        if &next + &size > end {
            return Err(format!("there is no room left for a prefix of {length} bits"));
        }
        found.push(format!("{}/{length}", address_of(&next, net.addr())));
        next += size;
    }
    Ok(Value::strings(found))
}
