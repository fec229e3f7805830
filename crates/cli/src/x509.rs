//! Certificates as agents need them: an authority of one's own, certificates signed by it, and what is in one.
//!
//! Written and read in DER by hand: the few fields that such certificates have, with ECDSA keys on P-256.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_base::WallTime;
use std::net::IpAddr;

/// Certificates nest this deep at most where they are read.
const DEPTH_MAX: usize = 16;

/// What cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A key could not be made or used.
    #[error("{0}")]
    Key(String),
    /// It is no certificate.
    #[error("{0}")]
    Malformed(&'static str),
}

/// A name: attributes by their object identifier, in the order they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(pub Vec<(Attribute, String)>);

/// An attribute of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// C
    Country,
    /// ST
    Province,
    /// L
    Locality,
    /// STREET
    Street,
    /// POSTALCODE
    PostalCode,
    /// O
    Organization,
    /// OU
    OrganizationalUnit,
    /// CN
    CommonName,
    /// SERIALNUMBER
    SerialNumber,
}

impl Attribute {
    const ALL: [(Self, u8, &'static str); 9] = [
        (Self::Country, 6, "C"),
        (Self::Province, 8, "ST"),
        (Self::Locality, 7, "L"),
        (Self::Street, 9, "STREET"),
        (Self::PostalCode, 17, "POSTALCODE"),
        (Self::Organization, 10, "O"),
        (Self::OrganizationalUnit, 11, "OU"),
        (Self::CommonName, 3, "CN"),
        (Self::SerialNumber, 5, "SERIALNUMBER"),
    ];

    fn number(self) -> u8 {
        Self::ALL.iter().find(|(one, ..)| *one == self).map_or(3, |(_, number, _)| *number)
    }

    fn of(number: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == number).map(|(one, ..)| *one)
    }

    fn short(self) -> &'static str {
        Self::ALL.iter().find(|(one, ..)| *one == self).map_or("", |(.., short)| short)
    }
}

impl Name {
    /// The last part first, as tools print it.
    pub fn text(&self) -> String {
        self.0.iter().rev().map(|(attribute, value)| format!("{}={value}", attribute.short())).collect::<Vec<_>>().join(",")
    }

    /// The common name, "" if there is none.
    pub fn common(&self) -> &str {
        self.0.iter().find(|(attribute, _)| *attribute == Attribute::CommonName).map_or("", |(_, value)| value)
    }
}

/// What a certificate says, beside its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial number, big endian.
    pub serial: Vec<u8>,
    /// Who signed it.
    pub issuer: Name,
    /// Whose it is.
    pub subject: Name,
    /// From when it is good.
    pub not_before: WallTime,
    /// Until when.
    pub not_after: WallTime,
    /// Whether it may sign others.
    pub authority: bool,
    /// The domains that it may sign for; all if there are none.
    pub permitted_domains: Vec<String>,
    /// Names it is good for.
    pub dns_names: Vec<String>,
    /// Addresses it is good for.
    pub addresses: Vec<IpAddr>,
    /// Whether servers show it.
    pub for_servers: bool,
    /// Whether clients show it.
    pub for_clients: bool,
}

/// A key that signs.
pub struct Key(EcdsaKeyPair, Vec<u8>);

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate() -> Result<Self, CertificateError> {
        let wrong = || CertificateError::Key("failed to generate a key".to_owned());
        let bytes = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).map_err(|_| wrong())?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, bytes.as_ref()).map_err(|_| wrong())?;
        Ok(Self(pair, bytes.as_ref().to_vec()))
    }

    /// The key of a PEM file.
    ///
    /// # Errors
    /// When there is none of this kind.
    pub fn read(pem: &str) -> Result<Self, CertificateError> {
        let bytes = from_pem(pem, "PRIVATE KEY").ok_or_else(|| CertificateError::Key("no PEM-encoded data found".to_owned()))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &bytes);
        let pair = pair.or_else(|_| EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &bytes));
        let pair = pair.map_err(|_| CertificateError::Key("failed to parse private key: only ECDSA keys on P-256 are taken".to_owned()))?;
        Ok(Self(pair, bytes))
    }

    /// As a PEM file.
    pub fn pem(&self) -> String {
        to_pem("PRIVATE KEY", &self.1)
    }

    /// A short digest of the public half, to tell keys apart.
    fn id(&self) -> Vec<u8> {
        use sha2::Digest as _;
        sha2::Sha256::digest(self.0.public_key().as_ref())[..20].to_vec()
    }
}

/// A random serial number.
pub fn serial(entropy: &drover_rt::Entropy) -> Vec<u8> {
    let mut bytes = entropy.bits().to_be_bytes().to_vec();
    // Positive, and not shorter than it looks.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    bytes
}

/// A large number in decimal digits.
pub fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = u8::try_from(value % 10).unwrap_or(0);
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 128 {
        out.push(u8::try_from(length).unwrap_or(0));
    } else {
        let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
        out.extend(bytes);
    }
    out.extend_from_slice(content);
    out
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    value(0x30, &parts.concat())
}

fn number(bytes: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    if content.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.insert(0, 0);
    }
    value(2, &content)
}

/// `ecdsa-with-SHA256`
const SIGNATURE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// `ecPublicKey` and `prime256v1`
const PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// Extensions, by the last part of their identifier.
const KEY_ID: u8 = 14;
const KEY_USAGE: u8 = 15;
const ALTERNATIVE_NAMES: u8 = 17;
const BASIC_CONSTRAINTS: u8 = 19;
const NAME_CONSTRAINTS: u8 = 30;
const AUTHORITY_KEY_ID: u8 = 35;
const EXTENDED_USAGE: u8 = 37;

fn name(name: &Name) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = name
        .0
        .iter()
        .map(|(attribute, text)| {
            let tag = if *attribute == Attribute::Country { 0x13 } else { 0x0c };
            value(0x31, &sequence(&[value(6, &[0x55, 4, attribute.number()]), value(tag, text.as_bytes())]))
        })
        .collect();
    sequence(&parts)
}

fn time(at: WallTime) -> Vec<u8> {
    let text = crate::text::Zone::utc().time(at).replace(['-', ':', 'T'], "");
    // Years to 2049 have two digits.
    if text.as_str() < "2050" { value(0x17, &text.as_bytes()[2..]) } else { value(0x18, text.as_bytes()) }
}

fn extension(kind: u8, critical: bool, content: &[u8]) -> Vec<u8> {
    let mut parts = vec![value(6, &[0x55, 0x1d, kind])];
    if critical {
        parts.push(value(1, &[0xff]));
    }
    parts.push(value(4, content));
    sequence(&parts)
}

fn extensions(certificate: &Certificate, key: &Key, signer: &Key) -> Vec<u8> {
    let mut out = Vec::new();
    // Digital signature, and for an authority also the signing of certificates and of revocations.
    let usage: &[u8] = if certificate.authority { &[1, 0x86] } else { &[7, 0x80] };
    out.push(extension(KEY_USAGE, true, &value(3, usage)));
    let mut purposes = Vec::new();
    for (wanted, last) in [(certificate.for_clients, 2), (certificate.for_servers, 1)] {
        if wanted {
            purposes.push(value(6, &[0x2b, 6, 1, 5, 5, 7, 3, last]));
        }
    }
    if !purposes.is_empty() {
        out.push(extension(EXTENDED_USAGE, false, &sequence(&purposes)));
    }
    let constraints = if certificate.authority { sequence(&[value(1, &[0xff])]) } else { sequence(&[]) };
    out.push(extension(BASIC_CONSTRAINTS, true, &constraints));
    out.push(extension(KEY_ID, false, &value(4, &key.id())));
    out.push(extension(AUTHORITY_KEY_ID, false, &sequence(&[value(0x80, &signer.id())])));
    let mut names: Vec<Vec<u8>> = certificate.dns_names.iter().map(|name| value(0x82, name.as_bytes())).collect();
    names.extend(certificate.addresses.iter().map(|address| match address {
        IpAddr::V4(address) => value(0x87, &address.octets()),
        IpAddr::V6(address) => value(0x87, &address.octets()),
    }));
    if !names.is_empty() {
        out.push(extension(ALTERNATIVE_NAMES, false, &sequence(&names)));
    }
    if !certificate.permitted_domains.is_empty() {
        let subtrees: Vec<Vec<u8>> =
            certificate.permitted_domains.iter().map(|domain| sequence(&[value(0x82, domain.as_bytes())])).collect();
        out.push(extension(NAME_CONSTRAINTS, true, &sequence(&[value(0xa0, &subtrees.concat())])));
    }
    value(0xa3, &sequence(&out))
}

/// The PEM file of a certificate for `key`, signed by `signer`.
///
/// # Errors
/// When it cannot be signed.
pub fn sign(certificate: &Certificate, key: &Key, signer: &Key) -> Result<String, CertificateError> {
    let algorithm = sequence(&[value(6, SIGNATURE)]);
    let public = [&[0u8][..], key.0.public_key().as_ref()].concat();
    let body = sequence(&[
        value(0xa0, &value(2, &[2])),
        number(&certificate.serial),
        algorithm.clone(),
        name(&certificate.issuer),
        sequence(&[time(certificate.not_before), time(certificate.not_after)]),
        name(&certificate.subject),
        sequence(&[sequence(&[value(6, PUBLIC_KEY), value(6, CURVE)]), value(3, &public)]),
        extensions(certificate, key, signer),
    ]);
    let signature = signer.0.sign(&SystemRandom::new(), &body);
    let signature = signature.map_err(|_| CertificateError::Key("failed to sign the certificate".to_owned()))?;
    let signature = [&[0u8][..], signature.as_ref()].concat();
    Ok(to_pem("CERTIFICATE", &sequence(&[body, algorithm, value(3, &signature)])))
}

fn to_pem(label: &str, bytes: &[u8]) -> String {
    let coded = STANDARD.encode(bytes);
    let lines: Vec<&str> = coded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or("")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The first block whose label ends so.
fn from_pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let mut lines = text.lines().skip_while(|line| !(line.starts_with("-----BEGIN ") && line.ends_with(&format!("{label}-----"))));
    lines.next()?;
    let coded: String = lines.take_while(|line| !line.starts_with("-----END")).map(str::trim).collect();
    STANDARD.decode(coded).ok()
}

/// One value: its tag, its content, and what follows.
fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 128 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(count)?;
        (digits.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// The values in a content, one after the other.
fn values(mut bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let (tag, content, rest) = read(bytes)?;
        out.push((tag, content));
        bytes = rest;
    }
    Some(out)
}

fn read_name(content: &[u8]) -> Option<Name> {
    let mut out = Vec::new();
    for (_, set) in values(content)? {
        for (_, pair) in values(set)? {
            if let [(6, kind), (_, text)] = values(pair)?[..]
                && let [0x55, 4, number] = kind
                && let Some(attribute) = Attribute::of(*number)
            {
                out.push((attribute, String::from_utf8_lossy(text).into_owned()));
            }
        }
    }
    Some(Name(out))
}

fn read_time(tag: u8, content: &[u8]) -> Option<WallTime> {
    let text = std::str::from_utf8(content).ok()?;
    let century = match tag {
        0x17 if text.get(..2)? < "50" => "20",
        0x17 => "19",
        _ => "",
    };
    let digits = format!("{century}{text}");
    let part = |from: usize, to: usize| digits.get(from..to);
    let text = format!("{}-{}-{}T{}:{}:{}Z", part(0, 4)?, part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?);
    crate::text::parse_time(Some(&text))
}

fn read_extension(certificate: &mut Certificate, content: &[u8]) -> Option<()> {
    let parts = values(content)?;
    let (_, kind) = parts.first()?;
    let (_, inner) = parts.last()?;
    let [0x55, 0x1d, kind] = kind else { return Some(()) };
    let (_, inner, _) = read(inner)?;
    match *kind {
        BASIC_CONSTRAINTS => certificate.authority = values(inner)?.first().is_some_and(|(tag, flag)| *tag == 1 && *flag != [0]),
        ALTERNATIVE_NAMES => {
            for (tag, name) in values(inner)? {
                match (tag, name.len()) {
                    (0x82, _) => certificate.dns_names.push(String::from_utf8_lossy(name).into_owned()),
                    (0x87, 4) => certificate.addresses.push(IpAddr::from(<[u8; 4]>::try_from(name).ok()?)),
                    (0x87, 16) => certificate.addresses.push(IpAddr::from(<[u8; 16]>::try_from(name).ok()?)),
                    _ => {}
                }
            }
        }
        NAME_CONSTRAINTS => {
            for (_, permitted) in values(inner)?.into_iter().filter(|(tag, _)| *tag == 0xa0) {
                for (_, subtree) in values(permitted)? {
                    for (_, domain) in values(subtree)?.into_iter().filter(|(tag, _)| *tag == 0x82) {
                        certificate.permitted_domains.push(String::from_utf8_lossy(domain).into_owned());
                    }
                }
            }
        }
        EXTENDED_USAGE => {
            for (_, purpose) in values(inner)? {
                certificate.for_servers |= purpose.ends_with(&[7, 3, 1]);
                certificate.for_clients |= purpose.ends_with(&[7, 3, 2]);
            }
        }
        _ => {}
    }
    Some(())
}

fn parse(der: &[u8]) -> Option<Certificate> {
    let (0x30, whole, _) = read(der)? else { return None };
    let (0x30, body, _) = read(whole)? else { return None };
    let parts = values(body)?;
    if parts.len() > DEPTH_MAX {
        return None;
    }
    let mut parts = parts.into_iter().peekable();
    // The version is absent in the oldest form.
    parts.next_if(|(tag, _)| *tag == 0xa0);
    let mut certificate = Certificate { serial: parts.next()?.1.to_vec(), ..Certificate::default() };
    parts.next()?;
    certificate.issuer = read_name(parts.next()?.1)?;
    let times = values(parts.next()?.1)?;
    let [(from_tag, from), (to_tag, to)] = times[..] else { return None };
    certificate.not_before = read_time(from_tag, from)?;
    certificate.not_after = read_time(to_tag, to)?;
    certificate.subject = read_name(parts.next()?.1)?;
    parts.next()?;
    for (_, inner) in parts.filter(|(tag, _)| *tag == 0xa3) {
        let (_, list, _) = read(inner)?;
        for (_, extension) in values(list)? {
            read_extension(&mut certificate, extension)?;
        }
    }
    Some(certificate)
}

/// What the certificate of a PEM file says.
///
/// # Errors
/// When there is none.
pub fn read_certificate(pem: &str) -> Result<Certificate, CertificateError> {
    let der = from_pem(pem, "CERTIFICATE").ok_or(CertificateError::Malformed("no PEM-encoded data found"))?;
    parse(&der).ok_or(CertificateError::Malformed("malformed certificate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_read_again() {
        let (key, signer) = (Key::generate().unwrap(), Key::generate().unwrap());
        let certificate = Certificate {
            serial: vec![0x41, 2, 3],
            issuer: Name(vec![(Attribute::Country, "US".into()), (Attribute::CommonName, "CA 1".into())]),
            subject: Name(vec![(Attribute::CommonName, "server.global.nomad".into())]),
            not_before: WallTime(1_700_000_000_000_000_000),
            not_after: WallTime(2_700_000_000_000_000_000),
            authority: false,
            permitted_domains: vec!["nomad".into(), "localhost".into()],
            dns_names: vec!["server.global.nomad".into(), "localhost".into()],
            addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            for_servers: true,
            for_clients: true,
        };
        let pem = sign(&certificate, &key, &signer).unwrap();
        assert_eq!(read_certificate(&pem).unwrap(), certificate);
        assert_eq!(certificate.issuer.text(), "CN=CA 1,C=US");
        assert!(Key::read(&key.pem()).is_ok());
        assert!(read_certificate("nothing").is_err() && read_certificate(&pem.replace("MII", "AII")).is_err());
    }

    #[test]
    fn long_numbers_are_shown_in_decimal() {
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&[1, 0]), "256");
        assert_eq!(decimal(&u128::MAX.to_be_bytes()), u128::MAX.to_string());
    }
}
