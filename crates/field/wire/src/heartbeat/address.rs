//! Addresses that a sensor names. They only inform, so nothing depends on how they are written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A MAC address as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MacAddr {
    /// Six bytes.
    Bytes([u8; 6]),
    /// Something else, or nothing, as it was sent.
    Text(String),
}

impl MacAddr {
    /// Six bytes in one of the usual spellings: `aa:bb:cc:dd:ee:ff`, `AA-BB-CC-DD-EE-FF`,
    /// `aabb.ccdd.eeff` or `aabbccddeeff`.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut separators = text.chars().filter(|c| !c.is_ascii_hexdigit());
        let separator = separators.next();
        let is_even = separators.all(|other| Some(other) == separator);
        let group = match separator {
            None => 12,
            Some(':' | '-') => 2,
            Some('.') => 4,
            Some(_) => return None,
        };
        let mut groups = text.split(|c| Some(c) == separator);
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        if !is_even || digits.len() != 12 || !groups.all(|part| part.len() == group) {
            return None;
        }
        let mut bytes = [0; 6];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self::Bytes(bytes))
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes([a, b, c, d, e, g]) => {
                write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
            }
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_is_one_address() {
        for text in [
            "28:cd:c1:03:e2:9f",
            "28-CD-C1-03-E2-9F",
            "28cd.c103.e29f",
            "28CDC103E29F",
        ] {
            let address = MacAddr::from_text(text);
            assert_eq!(
                address.map(|address| address.to_string()).as_deref(),
                Some("28:cd:c1:03:e2:9f")
            );
        }
        for text in [
            "",
            "28:cd:c1:03:e2",
            "28:cd-c1:03:e2:9f",
            "2:8cd:c1:03:e2:9f",
            "zz:cd:c1:03:e2:9f",
            "28 cd c1 03 e2 9f",
        ] {
            assert_eq!(MacAddr::from_text(text), None, "{text}");
        }
    }
}
