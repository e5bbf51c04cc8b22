//! The text of a message: what a careless writer put around it is taken off.
//!
//! Editors put a byte order mark before a text, and programs in C send the NUL behind it. Some devices
//! write `°` as one byte, as Latin-1 has it. None of it changes what was said.

use std::borrow::Cow;

/// The byte order mark in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A message as text.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    pub(crate) text: Cow<'a, str>,
    /// It is no UTF-8 and was read as Latin-1.
    pub(crate) is_latin: bool,
}

/// The message without byte order mark, blanks and NULs around it.
pub(crate) fn trimmed(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let Some(first) = bytes.iter().position(|byte| !is_padding(byte)) else {
        return &[];
    };
    let last = bytes.iter().rposition(|byte| !is_padding(byte));
    &bytes[first..=last.unwrap_or(first)]
}

/// The same within a text, such as that of a JSON string.
pub(crate) fn trimmed_text(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\0' | '\u{feff}'))
}

/// A message as text: each byte is a character of Latin-1 where the whole is no UTF-8.
pub(crate) fn readable(bytes: &[u8]) -> Text<'_> {
    let bytes = trimmed(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Text {
            text: Cow::Borrowed(text),
            is_latin: false,
        },
        Err(_) => Text {
            text: Cow::Owned(bytes.iter().copied().map(char::from).collect()),
            is_latin: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_message_is_taken_off() {
        for bytes in [
            &b"{}"[..],
            b"\xef\xbb\xbf{}",
            b"{}\0",
            b" \r\n{}\0\0\n",
            b"\xef\xbb\xbf {} ",
        ] {
            assert_eq!(readable(bytes).text, "{}", "{bytes:?}");
        }
        assert_eq!(readable(b" \0").text, "");
        assert_eq!(trimmed_text("\u{feff} 6.3\0"), "6.3");
    }

    #[test]
    fn a_degree_in_latin_1_is_a_degree() {
        let read = readable(b"21 \xb0C");
        assert_eq!((&*read.text, read.is_latin), ("21 °C", true));
        assert!(!readable("21 °C".as_bytes()).is_latin);
    }
}
