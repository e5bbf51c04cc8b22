//! Versions of nats-server.

use std::fmt;

/// wadm's event stream renames subjects while it gathers them. Older servers ignore that without
/// a word, and applications stay undeployed forever.
pub const OLDEST_NATS: NatsVersion = NatsVersion {
    major: 2,
    minor: 10,
    patch: 0,
};

/// A version such as 2.15.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NatsVersion {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl NatsVersion {
    /// Reads `nats-server: v2.15.1`, with or without a pre-release behind it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let version = text.trim().strip_prefix("nats-server: v")?;
        let release = version.split(['-', '+']).next()?;
        let mut numbers = release.split('.').map(str::parse);
        Some(Self {
            major: numbers.next()?.ok()?,
            minor: numbers.next()?.ok()?,
            patch: numbers.next()?.ok()?,
        })
    }
}

impl fmt::Display for NatsVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let new = NatsVersion::parse("nats-server: v2.10.0-RC.1\n").unwrap();
        let old = NatsVersion::parse("nats-server: v2.9.25").unwrap();
        assert!(new >= OLDEST_NATS);
        assert!(old < OLDEST_NATS);
    }

    #[test]
    fn anything_else_is_no_version() {
        for text in ["", "nats-server", "nats-server: v2.10", "2.10.1"] {
            assert_eq!(NatsVersion::parse(text), None, "{text}");
        }
    }
}
