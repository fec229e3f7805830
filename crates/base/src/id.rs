//! Random 128-bit ids, shown as version-4 UUIDs; one type per kind of object so that two cannot be swapped.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder};
use uuid::Uuid;

/// An id of an object of kind `K`.
pub struct Id<K> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $alias:ident;)*) => {$(
        #[doc = concat!("Marks the id of ", stringify!($kind), ".")]
        #[derive(Debug)]
        pub enum $kind {}
        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    /// Id of an allocation.
    Allocation => AllocId;
    /// Id of an evaluation.
    Evaluation => EvalId;
    /// Id of a node.
    Node => NodeId;
    /// Id of a deployment.
    Deployment => DeploymentId;
}

impl<K> Id<K> {
    /// The id with all bits zero, which no object has.
    pub const NIL: Self = Self { uuid: Uuid::nil(), kind: PhantomData };

    /// An id from 128 random bits; version and variant bits are set.
    pub fn from_random(bits: u128) -> Self {
        Self { uuid: uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid(), kind: PhantomData }
    }

    /// The id with exactly these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { uuid: Uuid::from_bytes(bytes), kind: PhantomData }
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.uuid.as_bytes()
    }

    /// The first eight hex digits, as commands show ids.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }

    /// Whether this is [`Self::NIL`].
    pub fn is_nil(&self) -> bool {
        self.uuid.is_nil()
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.uuid.cmp(&other.uuid)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}
impl<K> Default for Id<K> {
    fn default() -> Self {
        Self::NIL
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid.hyphenated(), f)
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a 36-character UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("UUID must be 36 characters")]
pub struct BadId;

impl<K> FromStr for Id<K> {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if text.len() != 36 {
            return Err(BadId);
        }
        let uuid = Uuid::try_parse(text).map_err(|_| BadId)?;
        Ok(Self { uuid, kind: PhantomData })
    }
}

impl<C, K> Encode<C> for Id<K> {
    fn encode<W: minicbor::encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.as_bytes())?.ok()
    }
}

impl<'b, C, K> Decode<'b, C> for Id<K> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| minicbor::decode::Error::message("an id has 16 bytes"))?;
        Ok(Self::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_and_read_as_version_4_uuids() {
        let id = AllocId::from_random(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let text = id.to_string();
        assert_eq!((text.len(), &text[14..15]), (36, "4"));
        assert_eq!(text.parse::<AllocId>(), Ok(id));
        assert_eq!("abc".parse::<AllocId>(), Err(BadId));
    }

    #[test]
    fn ids_survive_the_binary_form() {
        let id = NodeId::from_random(42);
        let bytes = minicbor::to_vec(id).expect("a vector takes every byte");
        assert_eq!(minicbor::decode::<NodeId>(&bytes).expect("just encoded"), id);
    }
}
