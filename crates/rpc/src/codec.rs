//! The binary form of messages inside gRPC frames.

use std::marker::PhantomData;

use bytes::{Buf, BufMut};
use minicbor::{Decode, Encode};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Bytes taken at first for a message; most are heartbeats, and a server holds thousands of these buffers.
const BUFFER: usize = 512;
/// How much of several messages is sent together.
const YIELD: usize = 32 * 1024;

/// Sends `T`, receives `U`, both as CBOR.
pub(crate) struct Cbor<T, U>(PhantomData<fn(T) -> U>);

impl<T, U> Default for Cbor<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// Writes messages.
pub(crate) struct Writer<T>(PhantomData<fn(T)>);
/// Reads messages.
pub(crate) struct Reader<U>(PhantomData<fn() -> U>);

impl<T, U> Codec for Cbor<T, U>
where
    T: Encode<()> + Send + 'static,
    U: for<'b> Decode<'b, ()> + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Writer<T>;
    type Decoder = Reader<U>;

    fn encoder(&mut self) -> Self::Encoder {
        Writer(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Reader(PhantomData)
    }
}

impl<T: Encode<()>> Encoder for Writer<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let bytes = minicbor::to_vec(&item).expect("writing to memory cannot fail");
        into.put_slice(&bytes);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, YIELD)
    }
}

impl<U: for<'b> Decode<'b, ()>> Decoder for Reader<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        minicbor::decode(&bytes).map(Some).map_err(|error| Status::invalid_argument(format!("cannot read the message: {error}")))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, YIELD)
    }
}
