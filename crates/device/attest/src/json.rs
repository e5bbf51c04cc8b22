//! Keys, signatures and paths in JSON: the strings of their text forms.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::evidence::Path;
use crate::identity::PublicKey;
use crate::signature::Signature;

/// Reads a string and parses it.
struct Text<T>(PhantomData<T>, &'static str);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData, "a public key as text"))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData, "a signature in base64"))
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData, "a path in base64"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::string::{String, ToString as _};

    use super::*;
    use crate::evidence::Evidence;
    use crate::identity::DeviceKey;

    fn evidence() -> Evidence {
        let key = DeviceKey::from_seed(&[7; 32]).public();
        let sig = Signature::from_bytes([1; 64]);
        Evidence {
            index: 1,
            size: 3,
            ..Evidence::of_one(key, sig)
        }
    }

    #[test]
    fn evidence_is_compact_and_sorted() {
        let evidence = evidence();
        let text = serde_json::to_string(&evidence).unwrap();
        let (key, sig) = (evidence.key, evidence.sig);
        let expected =
            std::format!(r#"{{"index":1,"key":"{key}","path":"","sig":"{sig}","size":3}}"#);
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    }

    #[test]
    fn other_json_is_refused_and_the_reason_given() {
        let good = serde_json::to_string(&evidence()).unwrap();
        let replaced = |from: &str, to: &str| good.replacen(from, to, 1);
        for (text, reason) in [
            (replaced("ed25519:", "rsa:"), "not a public key"),
            (replaced("\"path\":\"", "\"path\":\"AA=="), "not a path"),
            (replaced("\"sig\":\"", "\"sig\":\"AAAA"), "not a signature"),
            (replaced("\"size\":3", "\"size\":-3"), "invalid value"),
            (
                replaced("\"size\":3", "\"size\":3,\"more\":1"),
                "unknown field",
            ),
            (replaced("\"index\":1,", ""), "missing field"),
        ] {
            let read: Result<Evidence, _> = serde_json::from_str(&text);
            let error: String = read.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
