//! A line of a board's log, wherever it goes.

use core::fmt::{self, Write as _};

use heapless::String;
use log::{Metadata, Record};

/// Whether a board logs it: what the crates beside ours have to say is for their authors.
#[must_use]
pub fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("fieldledger")
}

/// The line with this end, of `N` bytes at most: the rest of a longer one is cut off.
#[must_use]
pub fn line<const N: usize>(record: &Record<'_>, end: &str) -> String<N> {
    let mut cut = Cut::<N> {
        line: String::new(),
        room: N.saturating_sub(end.len()),
    };
    // An error says that it is full.
    let _ = write!(cut, "{:5} {}", record.level(), record.args());
    let mut line = cut.line;
    let written = line.push_str(end);
    debug_assert!(written.is_ok(), "there is room left for it");
    line
}

/// Takes as many characters as it has room for.
struct Cut<const N: usize> {
    line: String<N>,
    room: usize,
}

impl<const N: usize> fmt::Write for Cut<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.line.len() + character.len_utf8() > self.room {
                return Err(fmt::Error);
            }
            self.line.push(character).map_err(|_full| fmt::Error)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_two_characters_and_keeps_its_end() {
        let args = format_args!("22.5 °C °C °C");
        let record = Record::builder().args(args).build();
        assert_eq!(line::<40>(&record, "\r\n"), "INFO  22.5 °C °C °C\r\n");
        assert_eq!(line::<15>(&record, "\r\n"), "INFO  22.5 °\r\n");
        assert_eq!(line::<14>(&record, "\r\n"), "INFO  22.5 \r\n");
    }
}
