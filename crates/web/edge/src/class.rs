//! What kind of work a request is.

use hyper::Method;

/// Kinds of requests. Each has places of its own, so that none waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Whether the site is well.
    Probe,
    /// What looks through the log.
    Search,
    /// What lasts as long as its client takes to read it.
    Download,
    /// What is written.
    Write,
    /// The page, its files, and what is answered at once.
    Other,
}

/// All of them.
pub(crate) const CLASSES: [Class; 5] = [
    Class::Probe,
    Class::Search,
    Class::Download,
    Class::Write,
    Class::Other,
];

const PROBES: [&str; 2] = ["/healthz", "/metrics"];

const SEARCHES: [&str; 7] = [
    "/api/logs",
    "/api/results",
    "/api/readings",
    "/api/entries",
    "/api/gaps",
    "/audit/v1/search",
    "/audit/v1/results",
];

const DOWNLOADS: [&str; 4] = [
    "/api/export",
    "/audit/v1/export",
    "/audit/v1/download_results",
    "/audit/download",
];

impl Class {
    /// That of a request. A path that only looks like another one, as with an escaped letter, is no more
    /// than `Other`.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let path = path.trim_end_matches('/');
        let is = |known: &&str| {
            path.strip_prefix(*known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match () {
            () if PROBES.contains(&path) => Self::Probe,
            () if SEARCHES.contains(&path) => Self::Search,
            () if DOWNLOADS.iter().any(&is) => Self::Download,
            () if !method.is_safe() => Self::Write,
            () => Self::Other,
        }
    }

    /// In words, for who waits too long.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Probe => "health and metrics",
            Self::Search => "searches",
            Self::Download => "downloads",
            Self::Write => "writes",
            Self::Other => "requests",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_of_one_kind() {
        for (method, path, class) in [
            (Method::GET, "/healthz", Class::Probe),
            (Method::HEAD, "/metrics", Class::Probe),
            (Method::GET, "/metrics/x", Class::Other),
            (Method::POST, "/api/logs", Class::Search),
            (Method::GET, "/api/readings", Class::Search),
            (Method::GET, "/api/readings/", Class::Search),
            (Method::POST, "/api/gaps/7/close", Class::Write),
            (Method::GET, "/api/readingsx", Class::Other),
            (Method::POST, "/audit/v1/search", Class::Search),
            (Method::GET, "/audit/download/x", Class::Download),
            (Method::POST, "/audit/v1/log", Class::Write),
            (Method::POST, "/api/log/erase", Class::Write),
            (Method::GET, "/", Class::Other),
            (Method::GET, "/api/log/witnesses", Class::Other),
        ] {
            assert_eq!(Class::of(&method, path), class, "{method} {path}");
        }
    }
}
