//! The path below which a proxy shows the site.

use std::str::FromStr;

/// Bytes of a prefix at most.
const LONGEST: usize = 256;

/// A path such as `/plant/north`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// A text that is no [`Prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a path prefix is such as /plant/north: it begins with a slash and has letters, digits and -._~ \
     between slashes"
)]
pub struct PrefixError;

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let parts = text.strip_prefix('/').ok_or(PrefixError)?;
        let is_part = |part: &str| {
            let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-._~".contains(&letter);
            !matches!(part, "" | "." | "..") && part.bytes().all(plain)
        };
        match text.len() <= LONGEST && parts.split('/').all(is_part) {
            true => Ok(Self(text.to_owned())),
            false => Err(PrefixError),
        }
    }
}

/// Where a path lies, seen from a prefix.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// It is the prefix itself, so that the page's links would lead astray.
    Itself,
    /// Below it, as this path of the site.
    Below(&'a str),
    /// Elsewhere: the proxy has taken the prefix off.
    Elsewhere,
}

impl Prefix {
    /// The path, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn see<'a>(&self, path: &'a str) -> Seen<'a> {
        match path.strip_prefix(&self.0) {
            Some("") => Seen::Itself,
            Some(rest) if rest.starts_with('/') => Seen::Below(rest),
            _ => Seen::Elsewhere,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_plain_path() {
        for text in ["/plant", "/plant/", "/plant/north-1", "/a.b/~c"] {
            let prefix: Prefix = text.parse().unwrap();
            assert_eq!(prefix.as_str(), text.trim_end_matches('/'));
        }
        let long = format!("/{}", "x".repeat(LONGEST));
        for text in [
            "", "/", "plant", "//x", "/a//b", "/../x", "/a b", "/ü", "/a?b", "/a\"", &long,
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError), "{text}");
        }
    }

    #[test]
    fn a_path_is_seen_from_a_prefix() {
        let prefix: Prefix = "/plant".parse().unwrap();
        for (path, seen) in [
            ("/plant", Seen::Itself),
            ("/plant/", Seen::Below("/")),
            ("/plant/api/logs", Seen::Below("/api/logs")),
            ("/plants", Seen::Elsewhere),
            ("/api/logs", Seen::Elsewhere),
        ] {
            assert_eq!(prefix.see(path), seen, "{path}");
        }
    }
}
