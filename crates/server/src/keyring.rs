//! The keyring: makes root keys, takes them out of their wrapping, encrypts and decrypts variables.
//!
//! Key material leaves this file only wrapped. What names the key that encrypted it travels beside it, so that what an older
//! key encrypted stays readable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use drover_base::WallTime;
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
pub(crate) struct Keyring(Mutex<BTreeMap<String, Arc<LessSafeKey>>>);

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
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(&root.id) {
            return Ok(Arc::clone(key));
        }
        let wrap = cipher(&root.wrapping_key, &root.id)?;
        let key = Arc::new(cipher(&open(&wrap, &root.id, "encryption", &root.wrapped_encryption_key)?, &root.id)?);
        known.insert(root.id.clone(), Arc::clone(&key));
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
}
