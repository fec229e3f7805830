//! The keyring: makes root keys, takes them out of their wrapping, encrypts and decrypts variables.
//!
//! Key material leaves this file only wrapped. What names the key that encrypted it travels beside it, so that what an older
//! key encrypted stays readable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use drover_base::{NodeId, WallTime};
use drover_model::variable::{RootKey, RootKeyState};
use drover_rt::Entropy;
use drover_state::Snapshot;

/// Bytes of a nonce.
const NONCE: usize = 12;
/// Bytes of a key that encrypts.
const KEY: usize = 32;

/// Why the keyring cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyringError {
    /// There is no active key yet.
    #[error("keyring has not been initialized yet")]
    NotReady,
    /// A key is named that is not there.
    #[error("no such key {0:?} in keyring")]
    NoKey(String),
    /// A key or what it encrypted is damaged.
    #[error("unable to decrypt with key {0:?}")]
    Damaged(String),
    /// A key could not be made.
    #[error("unable to make a key: {0}")]
    Generate(&'static str),
}

/// Keys out of their wrapping, by id.
#[derive(Default)]
pub(crate) struct Keyring {
    ciphers: Mutex<BTreeMap<String, Arc<LessSafeKey>>>,
    public: Mutex<BTreeMap<String, PublicKey>>,
    /// What nodes are vouched for with, by node.
    pub(crate) identities: Mutex<BTreeMap<NodeId, Claims>>,
}

/// What a signed identity claims.
pub type Claims = serde_json::Map<String, serde_json::Value>;

/// What everybody may know of a root key: how its signatures are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The root key's id.
    pub id: String,
    /// The RSA modulus, most significant byte first, without leading zeros.
    pub modulus: Vec<u8>,
    /// The RSA exponent, likewise.
    pub exponent: Vec<u8>,
}

/// One element of DER: its content, and what comes after it.
fn element(tag: u8, data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = data.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(*length & 0x7f))?;
        (digits.iter().try_fold(0_usize, |sum, digit| Some(sum.checked_mul(256)? + usize::from(*digit)))?, rest)
    };
    if *found == tag { rest.split_at_checked(length) } else { None }
}

/// Modulus and exponent of an `RSAPublicKey`: a sequence of two integers.
fn rsa_parts(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let bare = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect();
    let (fields, _) = element(SEQUENCE, der)?;
    let (modulus, fields) = element(INTEGER, fields)?;
    let (exponent, _) = element(INTEGER, fields)?;
    Some((bare(modulus), bare(exponent)))
}

fn cipher(key: &[u8], id: &str) -> Result<LessSafeKey, KeyringError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| KeyringError::Damaged(id.to_owned()))
}

fn random<const N: usize>(entropy: &Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    for part in bytes.chunks_mut(16) {
        part.copy_from_slice(&entropy.bits().to_le_bytes()[..part.len()]);
    }
    bytes
}

/// Nonce and ciphertext. What is encrypted is bound to the text that names it.
fn seal(key: &LessSafeKey, id: &str, name: &str, mut data: Vec<u8>, entropy: &Entropy) -> Result<Vec<u8>, KeyringError> {
    let nonce = random::<NONCE>(entropy);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name.as_bytes()), &mut data)
        .map_err(|_| KeyringError::Damaged(id.to_owned()))?;
    Ok([&nonce[..], &data].concat())
}

fn open(key: &LessSafeKey, id: &str, name: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyringError> {
    let damaged = || KeyringError::Damaged(id.to_owned());
    let (nonce, data) = sealed.split_at_checked(NONCE).ok_or_else(damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
    let mut data = data.to_vec();
    let length = key.open_in_place(nonce, Aad::from(name.as_bytes()), &mut data).map_err(|_| damaged())?.len();
    data.truncate(length);
    Ok(data)
}

/// A new root key: 32 bytes for AES-256-GCM and an RSA key of 2048 bits, both wrapped. Takes a while.
pub(crate) fn generate(entropy: &Entropy, now: WallTime) -> Result<RootKey, KeyringError> {
    let id = entropy.id::<drover_base::id::Allocation>().to_string();
    let wrapping_key = random::<KEY>(entropy);
    let wrap = cipher(&wrapping_key, &id)?;
    let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyringError::Generate("RSA"))?;
    let signing = pair.as_der().map_err(|_| KeyringError::Generate("RSA"))?;
    Ok(RootKey {
        wrapped_encryption_key: seal(&wrap, &id, "encryption", random::<KEY>(entropy).to_vec(), entropy)?,
        wrapped_signing_key: seal(&wrap, &id, "signing", signing.as_ref().to_vec(), entropy)?,
        wrapping_key: wrapping_key.to_vec(),
        state: RootKeyState::Active,
        create_time: now,
        id,
        ..RootKey::default()
    })
}

impl Keyring {
    /// The key that encrypts, out of its wrapping.
    fn unwrap_key(&self, root: &RootKey) -> Result<Arc<LessSafeKey>, KeyringError> {
        let mut known = self.ciphers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(&root.id) {
            return Ok(Arc::clone(key));
        }
        let wrap = cipher(&root.wrapping_key, &root.id)?;
        let key = Arc::new(cipher(&open(&wrap, &root.id, "encryption", &root.wrapped_encryption_key)?, &root.id)?);
        known.insert(root.id.clone(), Arc::clone(&key));
        Ok(key)
    }

    /// Claims as a JSON Web Token, signed with the active key.
    pub(crate) fn sign(&self, state: &Snapshot, claims: &Claims) -> Result<String, KeyringError> {
        let root = state.active_root_key().ok_or(KeyringError::NotReady)?;
        let damaged = || KeyringError::Damaged(root.id.clone());
        let wrap = cipher(&root.wrapping_key, &root.id)?;
        let signing = open(&wrap, &root.id, "signing", &root.wrapped_signing_key)?;
        let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&signing).map_err(|_| damaged())?;
        let header = serde_json::json!({ "alg": "RS256", "kid": root.id, "typ": "JWT" });
        let body = serde_json::to_vec(claims).map_err(|_| damaged())?;
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(body));
        let mut signature = vec![0; pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        pair.sign(&aws_lc_rs::signature::RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).map_err(|_| damaged())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a JSON Web Token claims, if one of the keys that sign or signed has signed it.
    pub(crate) fn verified(&self, state: &Snapshot, token: &str) -> Option<Claims> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, body) = message.split_once('.')?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Claims = serde_json::from_slice(&decoded(header)?).ok()?;
        // No other algorithm is even looked at.
        if header.get("alg")?.as_str()? != "RS256" {
            return None;
        }
        let root = state.root_key(header.get("kid")?.as_str()?).filter(|root| root.state != RootKeyState::Deprecated)?;
        let key = self.public_key(root).ok()?;
        let key = aws_lc_rs::signature::RsaPublicKeyComponents { n: &key.modulus, e: &key.exponent };
        key.verify(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &decoded(signature)?).ok()?;
        serde_json::from_slice(&decoded(body)?).ok()
    }

    /// How signatures of these keys are checked: of all that are or may be used to sign.
    pub(crate) fn public_keys(&self, state: &Snapshot) -> Result<Vec<PublicKey>, KeyringError> {
        state.root_keys().filter(|root| root.state != RootKeyState::Deprecated).map(|root| self.public_key(root)).collect()
    }

    fn public_key(&self, root: &RootKey) -> Result<PublicKey, KeyringError> {
        let mut known = self.public.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(&root.id) {
            return Ok(key.clone());
        }
        let damaged = || KeyringError::Damaged(root.id.clone());
        let wrap = cipher(&root.wrapping_key, &root.id)?;
        let signing = open(&wrap, &root.id, "signing", &root.wrapped_signing_key)?;
        let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&signing).map_err(|_| damaged())?;
        let (modulus, exponent) = rsa_parts(pair.public_key().as_ref()).ok_or_else(damaged)?;
        let key = PublicKey { id: root.id.clone(), modulus, exponent };
        known.insert(root.id.clone(), key.clone());
        Ok(key)
    }

    /// Encrypts with the active key; returns its id too.
    pub(crate) fn encrypt(
        &self,
        state: &Snapshot,
        name: &str,
        data: Vec<u8>,
        entropy: &Entropy,
    ) -> Result<(String, Vec<u8>), KeyringError> {
        let root = state.active_root_key().ok_or(KeyringError::NotReady)?;
        let key = self.unwrap_key(root)?;
        Ok((root.id.clone(), seal(&key, &root.id, name, data, entropy)?))
    }

    /// Decrypts with the key that is named.
    pub(crate) fn decrypt(&self, state: &Snapshot, key_id: &str, name: &str, data: &[u8]) -> Result<Vec<u8>, KeyringError> {
        let root = state.root_key(key_id).ok_or_else(|| KeyringError::NoKey(key_id.to_owned()))?;
        open(self.unwrap_key(root)?.as_ref(), key_id, name, data)
    }
}

#[cfg(test)]
mod tests {
    use drover_macros::proves;

    use super::*;

    #[proves("KEY-001")]
    #[test]
    fn a_root_key_encrypts_with_aes_and_signs_with_rsa_and_leaves_only_wrapped() {
        let entropy = Entropy::seeded(1);
        let root = generate(&entropy, WallTime(1)).unwrap();
        let wrap = cipher(&root.wrapping_key, &root.id).unwrap();
        assert_eq!(open(&wrap, &root.id, "encryption", &root.wrapped_encryption_key).unwrap().len(), KEY);
        let signing = open(&wrap, &root.id, "signing", &root.wrapped_signing_key).unwrap();
        let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&signing).unwrap();
        assert_eq!(pair.public_modulus_len(), 256);
        assert!(open(&wrap, &root.id, "signing", &root.wrapped_encryption_key).is_err());
        let mut damaged = root.wrapped_encryption_key.clone();
        damaged[20] ^= 1;
        assert!(open(&wrap, &root.id, "encryption", &damaged).is_err() && open(&wrap, &root.id, "encryption", b"short").is_err());
        assert!(!format!("{root:?}").contains("wrapping_key"));
    }

    #[proves("KEY-026")]
    #[test]
    fn everybody_may_know_the_public_half_of_keys_that_sign() {
        use drover_model::Command;
        use drover_model::command::Change;
        use drover_state::Store;
        let (entropy, keyring, mut store) = (Entropy::seeded(3), Keyring::default(), Store::default());
        let mut roots = Vec::new();
        for (index, state) in [(1, RootKeyState::Prepublished), (2, RootKeyState::Deprecated), (3, RootKeyState::Active)] {
            let root = RootKey { state, ..generate(&entropy, WallTime(1)).unwrap() };
            roots.push(root.clone());
            let change = Change::UpsertRootKey(Box::new(root));
            store.apply(index, Command { time: WallTime(1), change }).result.unwrap();
        }
        let keys = keyring.public_keys(&store.snapshot()).unwrap();
        let mut ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        ids.sort_unstable();
        let mut wanted = [roots[0].id.as_str(), roots[2].id.as_str()];
        wanted.sort_unstable();
        assert_eq!(ids, wanted, "a key that was given up signs nothing any more");
        assert!(keys.iter().all(|key| key.modulus.len() == 256 && key.exponent == [1, 0, 1]));
        assert_eq!(rsa_parts(b"\x30\x82"), None);
        // And with it, what the active key signed is checked.
        let claims = Claims::from_iter([("sub".to_owned(), "node:global:default:n:default".into())]);
        let token = keyring.sign(&store.snapshot(), &claims).unwrap();
        let [header, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&decoded(header)).unwrap();
        assert_eq!((header["kid"].as_str().unwrap(), header["alg"].as_str().unwrap()), (roots[2].id.as_str(), "RS256"));
        assert_eq!(serde_json::from_slice::<Claims>(&decoded(body)).unwrap(), claims);
        let key = keys.iter().find(|key| key.id == roots[2].id).unwrap();
        let key = aws_lc_rs::signature::RsaPublicKeyComponents { n: &key.modulus, e: &key.exponent };
        let message = token.rsplit_once('.').unwrap().0.as_bytes();
        key.verify(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, message, &decoded(signature)).unwrap();
    }

    #[proves("KEY-004", "KEY-005", "VAR-007")]
    #[test]
    fn without_its_key_nothing_is_encrypted_or_shown() {
        use drover_model::Command;
        use drover_model::command::Change;
        use drover_state::Store;
        let (entropy, keyring) = (Entropy::seeded(2), Keyring::default());
        let mut store = Store::default();
        let empty = store.snapshot();
        assert!(matches!(keyring.encrypt(&empty, "n", b"hush".to_vec(), &entropy), Err(KeyringError::NotReady)));
        let mut index = 0;
        let mut add = |store: &mut Store| {
            index += 1;
            let key = generate(&entropy, WallTime(1)).unwrap();
            let change = Change::UpsertRootKey(Box::new(key));
            store.apply(index, Command { time: WallTime(1), change }).result.unwrap();
            store.snapshot()
        };
        let first = add(&mut store);
        let (id, sealed) = keyring.encrypt(&first, "n", b"hush".to_vec(), &entropy).unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"hush"));
        // A newer key encrypts from now on, and what the older one encrypted stays readable.
        let second = add(&mut store);
        let (newer, other) = keyring.encrypt(&second, "n", b"hush".to_vec(), &entropy).unwrap();
        assert_ne!(id, newer);
        assert_eq!(keyring.decrypt(&second, &id, "n", &sealed).unwrap(), b"hush");
        assert_eq!(Keyring::default().decrypt(&second, &newer, "n", &other).unwrap(), b"hush");
        // Under another name it is not the same, and without the key it is nothing.
        assert!(keyring.decrypt(&second, &id, "m", &sealed).is_err());
        assert!(matches!(keyring.decrypt(&empty, &id, "n", &sealed), Err(KeyringError::NoKey(_))));
        assert!(keyring.decrypt(&second, &id, "n", &other).is_err());
    }
}
