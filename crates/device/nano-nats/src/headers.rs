//! Headers of a message (ADR-4 of nats-architecture-and-design).

/// The status of a message that nats-server sends by itself: nobody subscribes to the subject of
/// a request.
pub const NO_RESPONDERS: u16 = 503;

/// The first line of a header block, up to the status.
pub(crate) const VERSION_LINE: &[u8] = b"NATS/1.0";

/// The headers of a message, as they arrived.
///
/// Names keep their case, and a name can occur several times. A line that has no colon, or is not
/// UTF-8, is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    block: &'a [u8],
}

impl<'a> Headers<'a> {
    pub(crate) const fn new(block: &'a [u8]) -> Self {
        Self { block }
    }

    /// Whether the message has no header block at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// The block as it arrived, from `NATS/1.0` to the empty line.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.block
    }

    /// The status in the first line, such as [`NO_RESPONDERS`].
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let first = lines(self.block).next()?;
        let rest = first.strip_prefix(VERSION_LINE)?.trim_ascii();
        let number = rest.split(u8::is_ascii_whitespace).next()?;
        core::str::from_utf8(number).ok()?.parse().ok()
    }

    /// The value of the first header of that name, compared without regard to ASCII case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let mut all = self.iter();
        let found = all.find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// Names and values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        lines(self.block).skip(1).filter_map(|line| {
            let (name, value) = core::str::from_utf8(line).ok()?.split_once(':')?;
            Some((name.trim_end(), value.trim()))
        })
    }
}

/// The lines of a block, without their ends.
fn lines<'a>(block: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let lines = block.split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Whether a header can be sent: a name of visible ASCII without a colon, a value in one line.
pub(crate) fn can_be_sent(name: &str, value: &str) -> bool {
    let is_named = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':');
    is_named && !value.contains(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block() {
        let headers =
            Headers::new(b"NATS/1.0\r\nUnit: Cel\r\nNats-Msg-Id:7\r\nUnit: K\r\nnothing\r\n\r\n");
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("Unit", "Cel"), ("Nats-Msg-Id", "7"), ("Unit", "K")]);
        assert_eq!(headers.get("unit"), Some("Cel"));
        assert_eq!(headers.get("other"), None);
        assert_eq!(headers.status(), None);
    }

    #[test]
    fn a_status() {
        let headers = Headers::new(b"NATS/1.0 503\r\n\r\n");
        assert_eq!(headers.status(), Some(NO_RESPONDERS));
        let headers = Headers::new(b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1\r\n\r\n");
        assert_eq!(headers.status(), Some(100));
        assert_eq!(headers.get("nats-last-consumer"), Some("1"));
        for none in [&b""[..], b"NATS/1.0 x\r\n", b"HTTP/1.0 503\r\n"] {
            assert_eq!(Headers::new(none).status(), None);
        }
    }

    #[test]
    fn what_can_be_sent() {
        assert!(can_be_sent("Unit", "a value: with a colon"));
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:b", "x"),
            ("a", "x\r\nb: y"),
            ("ä", "x"),
        ] {
            assert!(!can_be_sent(name, value), "{name} {value}");
        }
    }
}
