//! How the types travel over the lattice: the codec of wRPC for `#[derive(Wire)]`.
//!
//! No type of the contract holds a stream, a future or a resource. So a value is complete once its
//! bytes are there, nothing is ever deferred, and a codec needs to know nothing of the transport:
//! the parts of a value are encoded for [`Nowhere`].
#![allow(
    unreachable_pub,
    reason = "these types appear in implementations of wRPC's traits, and nowhere else"
)]

use std::io;

pub(crate) use wit_bindgen_wrpc::bytes::BytesMut;
pub(crate) use wit_bindgen_wrpc::tokio_util::codec::{Decoder, Encoder};
pub(crate) use wit_bindgen_wrpc::wasm_tokio::CoreVecDecoder;
use wit_bindgen_wrpc::wasm_tokio::{Leb128DecoderU32, Leb128Encoder};
use wit_bindgen_wrpc::wrpc_transport::Index;
pub(crate) use wit_bindgen_wrpc::wrpc_transport::{Decode, Encode, SyncCodec};

/// A type of the contract on the wire.
pub(crate) trait Value: Sized {
    /// What has been decoded of a value whose bytes have not all come.
    type State: Default;

    /// Goes on with the bytes that have come; none where there must be more.
    fn decode(state: &mut Self::State, src: &mut BytesMut) -> io::Result<Option<Self>>;

    /// Appends the bytes of the value.
    fn encode(&self, dst: &mut BytesMut) -> io::Result<()>;
}

/// The codec of a type, in the terms of `tokio-util`.
#[derive(Debug)]
pub struct Codec<S>(pub(crate) S);

impl<S: Default> Default for Codec<S> {
    fn default() -> Self {
        Self(S::default())
    }
}

/// Implements the traits of wRPC for a [`Value`].
macro_rules! travels {
    ($type:ident) => {
        impl crate::wire::Decoder for crate::wire::Codec<State> {
            type Item = $type;
            type Error = std::io::Error;

            fn decode(
                &mut self,
                src: &mut crate::wire::BytesMut,
            ) -> std::io::Result<Option<$type>> {
                <$type as crate::wire::Value>::decode(&mut self.0, src)
            }
        }

        crate::wire::travels!(@encoded $type, $type);
        crate::wire::travels!(@encoded $type, &$type);
        crate::wire::travels!(@encoded $type, &&$type);

        impl<R> crate::wire::Decode<R> for $type {
            type Decoder = crate::wire::SyncCodec<crate::wire::Codec<State>>;
            type ListDecoder = crate::wire::SyncCodec<crate::wire::CoreVecDecoder<Self::Decoder>>;
        }
    };
    (@encoded $type:ident, $form:ty) => {
        impl crate::wire::Encoder<$form> for crate::wire::Codec<State> {
            type Error = std::io::Error;

            fn encode(
                &mut self,
                value: $form,
                dst: &mut crate::wire::BytesMut,
            ) -> std::io::Result<()> {
                <$type as crate::wire::Value>::encode(&value, dst)
            }
        }

        impl<W> crate::wire::Encode<W> for $form {
            type Encoder = crate::wire::SyncCodec<crate::wire::Codec<State>>;
        }
    };
}
pub(crate) use travels;

/// A part of a value, decoded or not yet.
pub struct Member<T: Decode<Nowhere>> {
    decoder: T::Decoder,
    value: Option<T>,
}

impl<T: Decode<Nowhere>> Default for Member<T> {
    fn default() -> Self {
        Self {
            decoder: T::Decoder::default(),
            value: None,
        }
    }
}

impl<T: Decode<Nowhere>> Member<T>
where
    io::Error: From<<T::Decoder as Decoder>::Error>,
{
    /// Goes on with the bytes that have come; true once the part is complete.
    pub(crate) fn fill(&mut self, src: &mut BytesMut) -> io::Result<bool> {
        if self.value.is_none() {
            self.value = self.decoder.decode(src)?;
        }
        Ok(self.value.is_some())
    }

    /// The part, once it is complete; the next value's is decoded from the start.
    pub(crate) fn take(&mut self) -> T {
        self.value
            .take()
            .expect("a part is taken once it is filled")
    }
}

/// Appends the bytes of a part of a value.
pub(crate) fn encode_member<'a, T>(member: &'a T, dst: &mut BytesMut) -> io::Result<()>
where
    T: Encode<Nowhere>,
    T::Encoder: Encoder<&'a T>,
    io::Error: From<<T::Encoder as Encoder<&'a T>>::Error>,
{
    T::Encoder::default().encode(member, dst)?;
    Ok(())
}

/// Appends the number of a case.
pub(crate) fn encode_case(number: u32, dst: &mut BytesMut) -> io::Result<()> {
    Leb128Encoder.encode(number, dst)
}

/// The number of a case; none where its bytes have not come.
pub(crate) fn case_number(src: &mut BytesMut) -> io::Result<Option<u32>> {
    Leb128DecoderU32.decode(src)
}

pub(crate) fn unknown_case(number: u32) -> io::Error {
    let problem = format!("the contract has no case {number} of this type");
    io::Error::new(io::ErrorKind::InvalidInput, problem)
}

/// Where nothing is sent: a transport that nobody has, because no value needs it.
#[derive(Debug)]
pub enum Nowhere {}

impl Index<Self> for Nowhere {
    fn index(&self, _path: &[usize]) -> wit_bindgen_wrpc::anyhow::Result<Self> {
        match *self {}
    }
}
