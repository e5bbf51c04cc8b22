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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::audit::{Order, SearchQuery};
    use crate::field::{Attestation, Outcome, Range, SensorProfile};
    use crate::{Error, InvalidField, WallTime};

    fn encoded<T>(value: &T) -> BytesMut
    where
        T: Encode<Nowhere>,
        for<'a> T::Encoder: Encoder<&'a T, Error = io::Error>,
    {
        let mut bytes = BytesMut::new();
        encode_member(value, &mut bytes).unwrap();
        bytes
    }

    /// Two of the value, one after the other, come back whether the bytes come at once or one by one.
    fn comes_back<T>(value: &T)
    where
        T: Encode<Nowhere> + Decode<Nowhere> + Clone + PartialEq + std::fmt::Debug,
        for<'a> T::Encoder: Encoder<&'a T, Error = io::Error>,
        io::Error: From<<T::Decoder as Decoder>::Error>,
    {
        let mut bytes = encoded(value);
        bytes.extend_from_slice(&encoded(value));
        let mut at_once = bytes.clone();
        let mut member = Member::<T>::default();
        for _ in 0..2 {
            assert!(member.fill(&mut at_once).unwrap());
            assert_eq!(&member.take(), value);
        }
        let mut come = BytesMut::new();
        let mut decoded = Vec::new();
        for byte in bytes {
            come.extend_from_slice(&[byte]);
            if member.fill(&mut come).unwrap() {
                decoded.push(member.take());
            }
        }
        assert_eq!(decoded, [value.clone(), value.clone()]);
    }

    #[test]
    fn values_come_back_however_their_bytes_come() {
        comes_back(&Error::Ended("it was frozen".to_owned()));
        comes_back(&Error::Invalid(vec![
            InvalidField::new("limit", "is 0"),
            InvalidField::new("", ""),
        ]));
        comes_back(&vec![Outcome::Value, Outcome::Historical, Outcome::Late]);
        comes_back(&SearchQuery {
            query: "boiler".to_owned(),
            start: Some("7d".to_owned()),
            order: Order::Descending,
            restriction: vec![("status".to_owned(), vec!["SUCCESS".to_owned()])],
            verbose: true,
            ..SearchQuery::default()
        });
        comes_back(&SensorProfile {
            id: "s".repeat(300),
            alias: "boiler".to_owned(),
            location: String::new(),
            unit: "Cel".to_owned(),
            range: Some(Range {
                low: -1.5,
                high: 90.0,
            }),
            calibration: None,
            unit_sent: "°C".to_owned(),
        });
        comes_back(&vec![None, Some(1_u64 << 52), Some(u64::MAX)]);
        comes_back(&vec![Attestation::Valid, Attestation::Retired]);
    }

    #[test]
    fn a_record_travels_as_its_members_and_an_enum_as_its_number() {
        assert_eq!(encoded(&WallTime::from_micros(300)), encoded(&300_u64));
        let range = Range {
            low: 1.0,
            high: 2.0,
        };
        assert_eq!(encoded(&range), encoded(&(1.0_f64, 2.0_f64)));
        assert_eq!(encoded(&Outcome::Late), encoded(&3_u8));
    }

    #[test]
    fn a_case_that_is_not_in_the_contract_is_refused() {
        let mut bytes = encoded(&200_u32);
        let mut member = Member::<Error>::default();
        let problem = member.fill(&mut bytes).unwrap_err();
        assert!(problem.to_string().contains("200"), "{problem}");
    }
}
