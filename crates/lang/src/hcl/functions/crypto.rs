//! Digests, UUIDs, bcrypt and RSA decryption.

use md5::Digest as _;
use num_bigint::{BigInt, BigUint};

use super::encoding::decode_base64;
use super::{Context, Outcome, string, whole};
use crate::hcl::value::Value;

fn hex(bytes: &[u8]) -> Value {
    Value::string(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

pub(super) fn md5(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(hex(&md5::Md5::digest(string(&arguments[0]))))
}

pub(super) fn sha1(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(hex(&crate::digest::sha1(string(&arguments[0]).as_bytes())))
}

pub(super) fn sha256(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(hex(&sha2::Sha256::digest(string(&arguments[0]))))
}

pub(super) fn sha512(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(hex(&sha2::Sha512::digest(string(&arguments[0]))))
}

pub(super) fn uuid_v4(context: &Context<'_>, _: &[Value]) -> Outcome {
    let mut bytes = [0; 16];
    context.host.random(&mut bytes);
    Ok(Value::string(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()))
}

pub(super) fn uuid_v5(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let namespace = match string(&arguments[0]) {
        "dns" => uuid::Uuid::NAMESPACE_DNS,
        "url" => uuid::Uuid::NAMESPACE_URL,
        "oid" => uuid::Uuid::NAMESPACE_OID,
        "x500" => uuid::Uuid::NAMESPACE_X500,
        other => {
            let bare = if other.len() == 38 { other.get(1..37).unwrap_or(other) } else { other };
            uuid::Uuid::parse_str(bare).map_err(|_| format!("the namespace \"{other}\" is neither a UUID nor dns, url, oid or x500"))?
        }
    };
    let digest = crate::digest::sha1(&[namespace.as_bytes(), string(&arguments[1]).as_bytes()].concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Ok(Value::string(uuid::Builder::from_sha1_bytes(bytes).into_uuid().to_string()))
}

// -- bcrypt -----------------------------------------------------------------------------------------------------------

/// Costs above this would take minutes.
const MAX_COST: i64 = 14;
const DEFAULT_COST: i64 = 10;

pub(super) fn bcrypt(context: &Context<'_>, arguments: &[Value]) -> Outcome {
    let cost = match arguments {
        [_] => DEFAULT_COST,
        [_, cost] => whole(cost)?,
        _ => return Err("at most two arguments are taken".to_owned()),
    };
    if cost > 31 {
        return Err(format!("a cost of {cost} is outside of 4 to 31"));
    }
    if cost > MAX_COST {
        return Err(format!("a cost above {MAX_COST} takes too long while a job file is read"));
    }
    let cost = if cost < 4 { DEFAULT_COST } else { cost };
    let mut salt = [0; 16];
    context.host.random(&mut salt);
    super::super::bcrypt::hash(string(&arguments[0]).as_bytes(), cost as u32, &salt).map(Value::string)
}

// -- RSA --------------------------------------------------------------------------------------------------------------

/// Largest modulus that is used, in bits.
const MAX_MODULUS: u64 = 8_192;

/// Decrypts PKCS #1 v1.5 (RFC 8017 §7.2.2) with a key in PKCS #1 or PKCS #8 form.
pub(super) fn rsa_decrypt(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let cipher = decode_base64(string(&arguments[0])).map_err(|_| "the cipher text is not base64".to_owned())?;
    let (modulus, exponent) = rsa_key(string(&arguments[1]))?;
    let length = modulus.bits().div_ceil(8) as usize;
    if cipher.len() > length || length < 11 || modulus.bits() > MAX_MODULUS {
        return Err("the cipher text does not fit the key".to_owned());
    }
    let plain = BigUint::from_bytes_be(&cipher).modpow(&exponent, &modulus).to_bytes_be();
    // The leading zero byte is not part of the number.
    let padded = (plain.len() + 1 == length).then_some(plain.as_slice());
    let message = padded.and_then(|bytes| bytes.strip_prefix(&[2])).and_then(|bytes| {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        (end >= 8).then(|| bytes[end + 1..].to_vec())
    });
    let message = message.ok_or_else(|| "the text was not encrypted for this key".to_owned())?;
    String::from_utf8(message).map(Value::string).map_err(|_| "the message is not UTF-8 text".to_owned())
}

fn rsa_key(pem: &str) -> Result<(BigUint, BigUint), String> {
    let absent = || "there is no private key in PEM form".to_owned();
    let (_, rest) = pem.split_once("-----BEGIN ").ok_or_else(absent)?;
    let (kind, rest) = rest.split_once("-----").ok_or_else(absent)?;
    let (body, _) = rest.split_once("-----END ").ok_or_else(absent)?;
    let body: String = body.lines().filter(|line| !line.contains(':')).map(str::trim).collect();
    let der = decode_base64(&body).map_err(|_| absent())?;
    let broken = || "the private key is damaged".to_owned();
    let mut fields = der_sequence(&der).ok_or_else(broken)?;
    if kind == "PRIVATE KEY" {
        let inner = fields.get(2).map(|(_, bytes)| *bytes).ok_or_else(broken)?;
        fields = der_sequence(inner).ok_or_else(broken)?;
    }
    let integer =
        |at: usize| fields.get(at).filter(|(tag, _)| *tag == 2).and_then(|(_, bytes)| BigInt::from_signed_bytes_be(bytes).to_biguint());
    match (integer(1), integer(3)) {
        (Some(modulus), Some(exponent)) if modulus.bits() > 0 => Ok((modulus, exponent)),
        _ => Err(broken()),
    }
}

/// Tags and contents inside a DER sequence.
fn der_sequence(der: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
        let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            let bytes = rest.get(..count).filter(|_| count <= 4)?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), &rest[count..])
        };
        Some((tag, rest.get(..length)?, &rest[length..]))
    }
    let (tag, mut body, _) = element(der)?;
    if tag != 0x30 {
        return None;
    }
    let mut fields = Vec::new();
    while !body.is_empty() {
        let (tag, content, rest) = element(body)?;
        fields.push((tag, content));
        body = rest;
    }
    Some(fields)
}
