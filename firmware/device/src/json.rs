//! Text inside a JSON string (RFC 8259, section 7).

use core::fmt::{self, Write as _};

/// A text in quotation marks, escaped where it must be.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                control if u32::from(control) < 0x20 => write!(f, "\\u{:04x}", u32::from(control))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

/// Whether it can stand in a message as it is.
pub(crate) fn is_quotable(text: &str) -> bool {
    !text.contains(['"', '\\'])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn others_read_what_is_written(text in any::<std::string::String>()) {
            let written = std::format!("{}", Quoted(&text));
            let read: std::string::String = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
