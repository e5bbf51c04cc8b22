//! Versions of nats-server.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::error::SiteError;

/// wadm's event stream renames subjects while it gathers them. Older servers ignore that without
/// a word, and applications stay undeployed for ever.
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
    /// Asks the program at `path`.
    ///
    /// # Errors
    ///
    /// [`SiteError::Start`] if it cannot be run, [`SiteError::NotNatsServer`] if it prints
    /// something else, [`SiteError::NatsTooOld`] below [`OLDEST_NATS`].
    pub fn of_usable(path: &Path) -> Result<Self, SiteError> {
        let output = Command::new(path).arg("--version").output();
        let output = output.map_err(|source| SiteError::Start {
            name: path.display().to_string(),
            source,
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found = Self::parse(&text).ok_or_else(|| SiteError::NotNatsServer {
            path: path.to_owned(),
            output: text.trim().to_owned(),
        })?;
        match found >= OLDEST_NATS {
            true => Ok(found),
            false => Err(SiteError::NatsTooOld {
                path: path.to_owned(),
                found,
            }),
        }
    }

    /// Reads `nats-server: v2.15.1`, with or without a pre-release behind it.
    fn parse(text: &str) -> Option<Self> {
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
