//! Sharing in the binary form: an `Arc` is written as what it points to.

use std::sync::Arc;

use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

/// Writes what `value` points to.
///
/// # Errors
/// When the writer fails.
pub fn encode<T: Encode<C>, C, W: Write>(value: &Arc<T>, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), EncodeError<W::Error>> {
    value.as_ref().encode(e, ctx)
}

/// Reads a value into an `Arc` of its own.
///
/// # Errors
/// When the bytes are not a `T`.
pub fn decode<'b, T: Decode<'b, C>, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Arc<T>, DecodeError> {
    T::decode(d, ctx).map(Arc::new)
}

/// The same for an optional `Arc`.
pub mod maybe {
    use super::*;

    /// Writes what `value` points to, or null.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn encode<T: Encode<C>, C, W: Write>(value: &Option<Arc<T>>, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), EncodeError<W::Error>> {
        match value {
            Some(value) => value.as_ref().encode(e, ctx),
            None => e.null()?.ok(),
        }
    }

    /// Reads a value into an `Arc` of its own, or null.
    ///
    /// # Errors
    /// When the bytes are not a `T`.
    pub fn decode<'b, T: Decode<'b, C>, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Option<Arc<T>>, DecodeError> {
        Option::<T>::decode(d, ctx).map(|value| value.map(Arc::new))
    }
}

/// The same for shared text.
pub mod text {
    use super::*;

    /// Writes the text.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn encode<C, W: Write>(value: &Arc<str>, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.str(value)?.ok()
    }

    /// Reads text of its own.
    ///
    /// # Errors
    /// When the bytes are not text.
    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Arc<str>, DecodeError> {
        d.str().map(Arc::from)
    }
}
