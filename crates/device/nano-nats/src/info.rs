//! What the server says of itself in `INFO`, read as it streams by.

use heapless::String;

use crate::ProtocolError;

/// Bytes of the longest nonce that is kept; nats-server's have 11 to 15.
pub const MAX_NONCE: usize = 64;

/// Bytes of the longest version that is kept.
pub const MAX_VERSION: usize = 32;

/// What the server says of itself.
///
/// The list of a cluster's other servers (`connect_urls`) is passed over: it has no bound. A device
/// is given the servers that it may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The server's version, such as `2.11.4`; empty if it is longer than [`MAX_VERSION`].
    pub version: String<MAX_VERSION>,
    /// The most bytes of headers and payload that the server takes in a message.
    pub max_payload: u32,
    /// The number that the server gave this connection.
    pub client_id: u64,
    /// What a client that authenticates by nkey has to sign.
    pub nonce: Option<String<MAX_NONCE>>,
    /// Whether the server knows headers.
    pub headers: bool,
    /// Whether the server wants credentials.
    pub auth_required: bool,
    /// Whether the server wants TLS, which the transport must then begin before `CONNECT`.
    pub tls_required: bool,
    /// Whether the server has JetStream.
    pub jetstream: bool,
    /// Whether the server is about to stop, and the client had better go to another.
    pub lame_duck: bool,
}

/// Bytes of the longest key that is told apart.
const MAX_KEY: usize = 16;

/// Levels of nesting; `INFO` has two.
const MAX_DEPTH: u8 = 16;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the object.
    Outside,
    /// After `{` or `,` of the object.
    BeforeKey,
    /// After a key.
    BeforeColon,
    /// After a colon.
    BeforeValue,
    /// A string, and whether the byte before was a backslash.
    Text { is_key: bool, is_escaped: bool },
    /// A number, `true`, `false` or `null`.
    Scalar,
    /// An array or object inside the object, and within a string of it.
    Nested { in_text: bool, is_escaped: bool },
    /// After a value.
    AfterValue,
    /// After the object.
    End,
}

/// Reads the fields of [`ServerInfo`] from a JSON object that comes byte by byte.
///
/// It takes everything that is JSON, and some that is not inside of what it passes over.
#[derive(Debug, Clone)]
pub(crate) struct InfoScanner {
    place: Place,
    depth: u8,
    key: Collected<MAX_KEY>,
    value: Collected<MAX_NONCE>,
    has_max_payload: bool,
    info: ServerInfo,
}

/// A text, unless it is longer than can be kept or has escapes.
#[derive(Debug, Clone)]
struct Collected<const N: usize> {
    text: heapless::Vec<u8, N>,
    is_whole: bool,
}

impl<const N: usize> Collected<N> {
    const fn new() -> Self {
        Self {
            text: heapless::Vec::new(),
            is_whole: true,
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.is_whole = true;
    }

    fn push(&mut self, byte: u8) {
        self.is_whole &= self.text.push(byte).is_ok();
    }

    fn get(&self) -> Option<&str> {
        let text = core::str::from_utf8(&self.text).ok();
        text.filter(|_| self.is_whole)
    }
}

impl InfoScanner {
    pub(crate) fn new() -> Self {
        Self {
            place: Place::Outside,
            depth: 0,
            key: Collected::new(),
            value: Collected::new(),
            has_max_payload: false,
            info: ServerInfo::default(),
        }
    }

    /// Takes the next byte of the line.
    pub(crate) fn push(&mut self, byte: u8) -> Result<(), ProtocolError> {
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.place = match (self.place, byte) {
            (
                Place::Text {
                    is_key,
                    is_escaped: true,
                },
                _,
            ) => {
                // None of the values that are kept has an escape in it.
                self.collected_is_broken(is_key);
                Place::Text {
                    is_key,
                    is_escaped: false,
                }
            }
            (Place::Text { is_key, .. }, b'\\') => Place::Text {
                is_key,
                is_escaped: true,
            },
            (Place::Text { is_key: true, .. }, b'"') => Place::BeforeColon,
            (Place::Text { is_key: false, .. }, b'"') => {
                self.keep_text()?;
                Place::AfterValue
            }
            (place @ Place::Text { is_key: true, .. }, byte) => {
                self.key.push(byte);
                place
            }
            (place @ Place::Text { is_key: false, .. }, byte) => {
                self.value.push(byte);
                place
            }
            (
                Place::Nested {
                    in_text: true,
                    is_escaped: true,
                },
                _,
            ) => Place::Nested {
                in_text: true,
                is_escaped: false,
            },
            (Place::Nested { in_text: true, .. }, b'\\') => Place::Nested {
                in_text: true,
                is_escaped: true,
            },
            (Place::Nested { in_text, .. }, b'"') => Place::Nested {
                in_text: !in_text,
                is_escaped: false,
            },
            (place @ Place::Nested { in_text: true, .. }, _) => place,
            (place @ Place::Nested { .. }, byte) => self.nest(place, byte)?,
            (Place::Scalar, b',' | b'}') => {
                self.keep_scalar()?;
                after_value(byte)?
            }
            (Place::Scalar, _) if is_space => {
                self.keep_scalar()?;
                Place::AfterValue
            }
            (Place::Scalar, byte) => {
                self.value.push(byte);
                Place::Scalar
            }
            (place, _) if is_space => place,
            (Place::Outside, b'{') => Place::BeforeKey,
            (Place::BeforeKey, b'"') => {
                self.key.clear();
                Place::Text {
                    is_key: true,
                    is_escaped: false,
                }
            }
            (Place::BeforeKey, b'}') => Place::End,
            (Place::BeforeColon, b':') => Place::BeforeValue,
            (Place::BeforeValue, byte) => self.begin_value(byte),
            (Place::AfterValue, byte) => after_value(byte)?,
            _ => return Err(ProtocolError::InvalidInfo),
        };
        Ok(())
    }

    /// What was read, at the end of the line.
    pub(crate) fn finish(&mut self) -> Result<ServerInfo, ProtocolError> {
        match self.place == Place::End && self.has_max_payload {
            true => Ok(core::mem::take(&mut self.info)),
            false => Err(ProtocolError::InvalidInfo),
        }
    }

    fn collected_is_broken(&mut self, is_key: bool) {
        match is_key {
            true => self.key.is_whole = false,
            false => self.value.is_whole = false,
        }
    }

    fn begin_value(&mut self, byte: u8) -> Place {
        self.value.clear();
        match byte {
            b'"' => Place::Text {
                is_key: false,
                is_escaped: false,
            },
            b'{' | b'[' => {
                self.depth = 1;
                Place::Nested {
                    in_text: false,
                    is_escaped: false,
                }
            }
            byte => {
                self.value.push(byte);
                Place::Scalar
            }
        }
    }

    fn nest(&mut self, place: Place, byte: u8) -> Result<Place, ProtocolError> {
        match byte {
            b'{' | b'[' if self.depth >= MAX_DEPTH => return Err(ProtocolError::InvalidInfo),
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        Ok(match self.depth {
            0 => Place::AfterValue,
            _ => place,
        })
    }

    fn keep_text(&mut self) -> Result<(), ProtocolError> {
        match (self.key.get(), self.value.get()) {
            (Some("nonce"), None) => return Err(ProtocolError::InvalidInfo),
            (Some("nonce"), Some("")) => {}
            (Some("nonce"), Some(nonce)) => self.info.nonce = String::try_from(nonce).ok(),
            (Some("version"), Some(version)) => {
                self.info.version = String::try_from(version).unwrap_or_default();
            }
            _ => {}
        }
        Ok(())
    }

    fn keep_scalar(&mut self) -> Result<(), ProtocolError> {
        let Some(key) = self.key.get() else {
            return Ok(());
        };
        let value = self.value.get();
        let info = &mut self.info;
        match key {
            "max_payload" => {
                info.max_payload = number(value)?;
                self.has_max_payload = true;
            }
            "client_id" => info.client_id = number(value)?,
            "headers" => info.headers = truth(value)?,
            "auth_required" => info.auth_required = truth(value)?,
            "tls_required" => info.tls_required = truth(value)?,
            "jetstream" => info.jetstream = truth(value)?,
            "ldm" => info.lame_duck = truth(value)?,
            _ => {}
        }
        Ok(())
    }
}

fn after_value(byte: u8) -> Result<Place, ProtocolError> {
    match byte {
        b',' => Ok(Place::BeforeKey),
        b'}' => Ok(Place::End),
        _ => Err(ProtocolError::InvalidInfo),
    }
}

fn number<T: core::str::FromStr>(value: Option<&str>) -> Result<T, ProtocolError> {
    let number = value.and_then(|value| value.parse().ok());
    number.ok_or(ProtocolError::InvalidInfo)
}

fn truth(value: Option<&str>) -> Result<bool, ProtocolError> {
    match value {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => Err(ProtocolError::InvalidInfo),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    fn scan(text: &str) -> Result<ServerInfo, ProtocolError> {
        let mut scanner = InfoScanner::new();
        text.bytes().try_for_each(|byte| scanner.push(byte))?;
        scanner.finish()
    }

    #[test]
    fn what_nats_server_sends() {
        let info = scan(
            r#"{"server_id":"NDA","server_name":"a \"b\" \u003c","version":"2.11.4","proto":1,
               "git_commit":"x","go":"go1.24","host":"127.0.0.1","port":4222,"headers":true,
               "auth_required":true,"max_payload":1048576,"jetstream":true,"client_id":7,
               "client_ip":"127.0.0.1","nonce":"kPAhkiXYKHMQ8tg","cluster":"c",
               "connect_urls":["10.0.0.1:4222","[::1]:4222","}\"]"],"xkey":"XA","x":{"y":[{}]} }"#,
        );
        let info = info.unwrap();
        assert_eq!(info.version, "2.11.4");
        assert_eq!(info.max_payload, 1_048_576);
        assert_eq!(info.client_id, 7);
        assert_eq!(info.nonce.as_deref(), Some("kPAhkiXYKHMQ8tg"));
        assert!(info.headers && info.auth_required && info.jetstream);
        assert!(!info.tls_required && !info.lame_duck);
    }

    #[test]
    fn what_no_server_sends() {
        let bad = [
            "",
            "{}",
            "[]",
            r#"{"max_payload":1"#,
            r#"{"max_payload":-1}"#,
            r#"{"max_payload":1} x"#,
            r#"{"max_payload":"1"}"#,
            r#"{"max_payload":1,"headers":1}"#,
            r#"{"max_payload":1,"headers":null}"#,
            r#"{"max_payload":1,"nonce":"a\u0062"}"#,
            // A nonce of two lines could be something else that the client's key signs.
            r#"{"max_payload":1,"nonce":"a\nb"}"#,
            r#"{"max_payload" 1}"#,
            r#"{max_payload:1}"#,
            r#"{"max_payload":1,"x":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}"#,
        ];
        for text in bad {
            assert_eq!(scan(text), Err(ProtocolError::InvalidInfo), "{text}");
        }
    }

    /// Any JSON, nested a little.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            "\\PC{0,20}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::btree_map("\\PC{0,20}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn finds_its_fields_between_any_others(
            others in prop::collection::btree_map("[a-z\"{}:,\\\\ß]{0,20}", json(), 0..6),
            max_payload: u32,
            tls_required: bool,
            nonce in "[A-Za-z0-9_-]{1,64}",
            pretty: bool,
        ) {
            let mut object: serde_json::Map<_, _> = others.into_iter().collect();
            for key in ["client_id", "headers", "auth_required", "jetstream", "ldm"] {
                object.remove(key);
            }
            object.insert("max_payload".into(), max_payload.into());
            object.insert("tls_required".into(), tls_required.into());
            object.insert("nonce".into(), nonce.clone().into());
            let text = match pretty {
                true => serde_json::to_string_pretty(&object).unwrap(),
                false => serde_json::to_string(&object).unwrap(),
            };
            let info = scan(&text).unwrap();
            prop_assert_eq!(info.max_payload, max_payload);
            prop_assert_eq!(info.tls_required, tls_required);
            prop_assert_eq!(info.nonce.as_deref(), Some(nonce.as_str()));
        }
    }
}
