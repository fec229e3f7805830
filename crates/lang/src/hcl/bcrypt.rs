//! The bcrypt password hash (Provos and Mazières, "A Future-Adaptable Password Scheme").
//!
//! Blowfish's initial boxes are the hexadecimal digits of π behind the point; they are computed once, when first used.

use std::sync::LazyLock;

use num_bigint::BigUint;

/// Longest password, in bytes.
const MAX_PASSWORD: usize = 72;
/// 18 round keys and four boxes of 256 words.
const WORDS: usize = 18 + 4 * 256;
const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The words of π, by Machin's formula π = 16 arctan(1/5) − 4 arctan(1/239) in fixed point.
static PI: LazyLock<Box<[u32; WORDS]>> = LazyLock::new(|| {
    let bits = WORDS as u64 * 32;
    let spare = 64;
    let one = BigUint::from(1u32) << (bits + spare);
    let arctangent = |inverse: u32| {
        let square = BigUint::from(inverse * inverse);
        let mut power = &one / inverse;
        let (mut plus, mut minus) = (BigUint::ZERO, BigUint::ZERO);
        let mut odd = 1u32;
        while power != BigUint::ZERO {
            let term = &power / odd;
            if odd % 4 == 1 {
                plus += term
            } else {
                minus += term
            }
            power /= &square;
            odd += 2;
        }
        plus - minus
    };
    let pi = arctangent(5) * 16u32 - arctangent(239) * 4u32;
    let fraction = (pi - (BigUint::from(3u32) << (bits + spare))) >> spare;
    let mut words = fraction.to_u32_digits();
    words.resize(WORDS, 0);
    words.reverse();
    words.into_boxed_slice().try_into().expect("resized to exactly this length")
});

struct Blowfish {
    words: Box<[u32; WORDS]>,
}

impl Blowfish {
    fn encrypt(&self, mut left: u32, mut right: u32) -> (u32, u32) {
        let words = &*self.words;
        let mut round = 0;
        while round < 16 {
            left ^= words[round];
            let high = words[18 + (left >> 24) as usize].wrapping_add(words[274 + (left >> 16 & 255) as usize]);
            right ^= (high ^ words[530 + (left >> 8 & 255) as usize]).wrapping_add(words[786 + (left & 255) as usize]);
            (left, right) = (right, left);
            round += 1;
        }
        (right ^ self.words[17], left ^ self.words[16])
    }

    /// Mixes key and salt into the boxes; an empty salt counts as zeros.
    fn expand(&mut self, key: &[u8], salt: &[u32]) {
        let mut bytes = key.iter().cycle();
        for word in &mut self.words[..18] {
            let mut part = 0;
            for _ in 0..4 {
                part = part << 8 | u32::from(bytes.next().copied().unwrap_or(0));
            }
            *word ^= part;
        }
        let (mut left, mut right) = (0, 0);
        let mut salt = salt.iter().cycle();
        for at in (0..WORDS).step_by(2) {
            left ^= salt.next().copied().unwrap_or(0);
            right ^= salt.next().copied().unwrap_or(0);
            (left, right) = self.encrypt(left, right);
            self.words[at] = left;
            self.words[at + 1] = right;
        }
    }
}

/// The hash of `password` in its usual text form, `$2a$cost$salt…`; the cost is the logarithm of the rounds.
pub(super) fn hash(password: &[u8], cost: u32, salt: &[u8; 16]) -> Result<String, String> {
    if password.len() > MAX_PASSWORD {
        return Err(format!("a password has at most {MAX_PASSWORD} bytes"));
    }
    let mut key = password.to_vec();
    key.push(0);
    let salt_words: Vec<u32> = salt.chunks_exact(4).map(|bytes| bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))).collect();
    let mut cipher = Blowfish { words: PI.clone() };
    cipher.expand(&key, &salt_words);
    for _ in 0..1u64 << cost {
        cipher.expand(&key, &[]);
        cipher.expand(salt, &[]);
    }
    let mut text: Vec<u32> =
        b"OrpheanBeholderScryDoubt".chunks_exact(4).map(|bytes| bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))).collect();
    for _ in 0..64 {
        for pair in text.chunks_exact_mut(2) {
            (pair[0], pair[1]) = cipher.encrypt(pair[0], pair[1]);
        }
    }
    let digest: Vec<u8> = text.iter().flat_map(|word| word.to_be_bytes()).take(23).collect();
    Ok(format!("$2a${cost:02}${}{}", encode(salt), encode(&digest)))
}

/// Base64 with bcrypt's own alphabet and no padding.
fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain(std::iter::repeat(&0)).take(3).fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        for place in 0..=chunk.len() {
            out.push(ALPHABET[(word >> (18 - 6 * place) & 63) as usize] as char);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_start_with_the_digits_of_pi() {
        assert_eq!(PI[..3], [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e]);
    }

    #[test]
    fn hashes_as_other_implementations_do() {
        // The empty password of the reference vectors: $2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.
        let salt = decode("DCq7YPn5Rq63x1Lad4cll.");
        assert_eq!(hash(b"", 6, &salt).unwrap(), "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.");
    }

    fn decode(text: &str) -> [u8; 16] {
        let mut bits = Vec::new();
        for c in text.bytes() {
            let value = ALPHABET.iter().position(|letter| *letter == c).unwrap();
            bits.extend((0..6).rev().map(|bit| value >> bit & 1));
        }
        let mut bytes = [0; 16];
        for (byte, bits) in bytes.iter_mut().zip(bits.chunks(8)) {
            *byte = bits.iter().fold(0, |byte, bit| byte << 1 | *bit as u8);
        }
        bytes
    }
}
