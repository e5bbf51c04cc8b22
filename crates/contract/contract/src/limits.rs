//! How long texts may be: stated once, from the heartbeat of a sensor to the entry in the log.
//!
//! The length of a text is counted in *characters* (Unicode scalar values), wherever somebody may write it
//! as they like: a name of 128 characters is as long in Chinese as in English. Bytes are counted only
//! where a message as a whole is received, and of what only programs write, which is ASCII.
//!
//! These are the limits of Pangea's Secure Audit Log. In the worst case each character takes six bytes of
//! an envelope, so the three longest texts fit into one with room to spare.

/// Most characters of a name: the alias and the location of a sensor, and `actor`, `source`, `target`,
/// `tenant_id` and `timestamp` of an event.
pub const NAME_CHARACTERS: usize = 128;

/// Most characters of `action` and `status` of an event.
pub const WORD_CHARACTERS: usize = 32;

/// Most characters of `message`, `new` and `old` of an event.
pub const TEXT_CHARACTERS: usize = 32_766;

/// What stands at the end of a text that was cut.
pub const CUT: char = '…';

/// How many characters a text has.
#[must_use]
pub fn characters(text: &str) -> usize {
    text.chars().count()
}

/// Whether a text has at most so many characters.
#[must_use]
pub fn fits(text: &str, most: usize) -> bool {
    // Most texts are short, and then their bytes need not be looked at.
    text.len() <= most || text.chars().nth(most).is_none()
}

/// The text where it has at most so many characters, and else its beginning with [`CUT`] as the last.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if fits(text, most) {
        return text.to_owned();
    }
    let Some(kept) = most.checked_sub(1) else {
        return String::new();
    };
    text.chars().take(kept).chain([CUT]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_count_and_not_bytes() {
        for (text, most, whole) in [
            ("", 0, true),
            ("温", 1, true),
            ("温温", 1, false),
            ("abc", 3, true),
            ("abcd", 3, false),
            ("a😀c", 3, true),
        ] {
            assert_eq!(fits(text, most), whole, "{text}");
            assert_eq!(cut(text, most) == text, whole, "{text}");
            assert!(characters(&cut(text, most)) <= most, "{text}");
        }
        assert_eq!(cut("温度計", 2), "温…");
        assert_eq!(cut("a", 0), "");
    }
}
