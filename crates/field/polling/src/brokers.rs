//! A list of servers that an operator sends while polling goes on.
//!
//! ```json
//! {"version":2,"brokers":["nats://10.0.0.1:4222","nats://10.0.0.2:4222"],"by":"eva","reason":"new hall"}
//! ```
//!
//! It is what devices take on their `brokers` topic, with who sends it and why. Best first; an empty
//! list gives the link's settings their say again. Who may send one is for the server to decide. Users
//! and passwords have no place in it: whoever may read the subject would read them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most servers in a list, as many as devices take.
pub const BROKERS_MAX: usize = 8;

/// The longest address, in bytes, as devices take it.
pub const ADDRESS_BYTES_MAX: usize = 96;

/// The longest message. Eight addresses and two texts fit in it.
pub const ORDER_BYTES_MAX: usize = 4_096;

/// The longest name and the longest reason, in characters.
const TEXT_CHARS_MAX: usize = 256;

/// What a server's address begins with.
const SCHEMES: [&str; 2] = ["nats://", "tls://"];

/// A list as an operator sends it, checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// A list counts only where this is higher than that of the one before.
    pub version: u64,
    /// Best first. Empty: those of the link's settings.
    pub brokers: Vec<String>,
    /// Who sends it.
    #[serde(default)]
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A list that was taken, as it is kept for the next start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// That of the message.
    pub version: u64,
    /// Best first.
    pub brokers: Vec<String>,
    /// What the link's settings named, without passwords. Where they name something else by now, that
    /// is newer than this list, and counts instead.
    pub instead_of: Vec<String>,
}

/// Why a list is not taken.
#[derive(Debug, Error)]
pub enum OrderError {
    /// Longer than a list can be.
    #[error("list of brokers has {length} bytes; at most {ORDER_BYTES_MAX} are taken")]
    TooLong {
        /// Bytes.
        length: usize,
    },
    /// No such message.
    #[error(
        "list of brokers is not JSON such as {{\"version\":2,\"brokers\":[\"nats://10.0.0.1:4222\"]}}"
    )]
    Json(#[source] serde_json::Error),
    /// More servers than anyone tries in turn.
    #[error("list names {count} brokers; at most {BROKERS_MAX} are taken")]
    TooMany {
        /// Servers.
        count: usize,
    },
    /// No address of a server.
    #[error("broker {address:?} {problem}")]
    Address {
        /// Shortened, and without what looks like a password.
        address: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A name or a reason that is no line of text.
    #[error("\"{field}\" is not one line of at most {TEXT_CHARS_MAX} characters")]
    Text {
        /// Which.
        field: &'static str,
    },
    /// An older list than the present one, or another one of the same version.
    #[error("version {version} is not higher than {present}, which counts already")]
    Old {
        /// Of the message.
        version: u64,
        /// Of the list that was taken last.
        present: u64,
    },
}

impl Order {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it, in words for whoever sent it.
    pub fn parse(message: &[u8]) -> Result<Self, OrderError> {
        let length = message.len();
        if length > ORDER_BYTES_MAX {
            return Err(OrderError::TooLong { length });
        }
        let order: Self = serde_json::from_slice(message).map_err(OrderError::Json)?;
        let count = order.brokers.len();
        if count > BROKERS_MAX {
            return Err(OrderError::TooMany { count });
        }
        for (place, address) in order.brokers.iter().enumerate() {
            let is_repeated = order.brokers[..place].contains(address);
            if let Some(problem) = problem_of(address, is_repeated) {
                let address = match address.rsplit_once('@') {
                    Some((_, rest)) => format!("…@{rest}"),
                    None => address.clone(),
                };
                let address = address.chars().take(ADDRESS_BYTES_MAX).collect();
                return Err(OrderError::Address { address, problem });
            }
        }
        for (field, text) in [("by", &order.by), ("reason", &order.reason)] {
            let is_line = !text.chars().any(char::is_control);
            if !is_line || text.chars().count() > TEXT_CHARS_MAX {
                return Err(OrderError::Text { field });
            }
        }
        Ok(order)
    }

    /// Whether it is the list that was taken last: its sender has not heard the answer.
    #[must_use]
    pub fn repeats(&self, present: &Ordered) -> bool {
        self.version == present.version && self.brokers == present.brokers
    }

    /// What is kept of it, after `present`, where the link's settings name `link`.
    ///
    /// # Errors
    ///
    /// [`OrderError::Old`] where it is none that follows.
    pub fn after(&self, present: &Ordered, link: Vec<String>) -> Result<Ordered, OrderError> {
        if self.version <= present.version {
            return Err(OrderError::Old {
                version: self.version,
                present: present.version,
            });
        }
        Ok(Ordered {
            version: self.version,
            brokers: self.brokers.clone(),
            instead_of: link,
        })
    }
}

impl Ordered {
    /// The servers it names, where it counts beside settings that name `link`.
    #[must_use]
    pub fn servers(&self, link: &[String]) -> Option<&[String]> {
        let counts = !self.brokers.is_empty() && self.instead_of == link;
        counts.then_some(self.brokers.as_slice())
    }
}

/// What is wrong with an address, if anything is.
fn problem_of(address: &str, is_repeated: bool) -> Option<&'static str> {
    if address.len() > ADDRESS_BYTES_MAX {
        return Some("is longer than 96 bytes");
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    if !address.bytes().all(is_plain) {
        return Some("holds a character that no address has");
    }
    if address.contains('@') {
        return Some("holds a user; the link's settings say who the provider is");
    }
    let rest = SCHEMES
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with([':', '/']));
    if !has_host {
        return Some("is none such as nats://10.0.0.1:4222 or tls://broker.plant:4222");
    }
    is_repeated.then_some("is named twice")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ordered(version: u64, brokers: &[&str]) -> Ordered {
        Ordered {
            version,
            brokers: brokers.iter().map(|name| (*name).to_owned()).collect(),
            instead_of: vec!["nats://old".to_owned()],
        }
    }

    #[test]
    fn a_list_is_taken_once_and_only_after_an_older_one() {
        let message = br#"{"version":2,"brokers":["nats://a:1","tls://b"],"by":"eva"}"#;
        let order = Order::parse(message).unwrap();
        let link = vec!["nats://old".to_owned()];
        let taken = order.after(&Ordered::default(), link.clone()).unwrap();
        assert_eq!(taken, ordered(2, &["nats://a:1", "tls://b"]));
        assert_eq!(taken.servers(&link).unwrap(), taken.brokers);
        assert!(order.repeats(&taken));
        assert!(order.after(&taken, link.clone()).is_err());
        // A change of the settings is newer than the list.
        assert_eq!(taken.servers(&["nats://new".to_owned()]), None);

        let back = Order::parse(br#"{"version":3,"brokers":[]}"#).unwrap();
        let taken = back.after(&taken, link.clone()).unwrap();
        assert_eq!(taken.servers(&link), None);
        assert!(order.after(&taken, link).is_err(), "an old message again");
    }

    #[test]
    fn what_is_wrong_is_said_and_no_password_with_it() {
        let many = format!(
            r#"{{"version":1,"brokers":[{}]}}"#,
            (0..9)
                .map(|n| format!("\"nats://{n}\""))
                .collect::<Vec<_>>()
                .join(",")
        );
        let long = format!(r#"{{"version":1,"brokers":["nats://{}"]}}"#, "a".repeat(90));
        let huge = "x".repeat(ORDER_BYTES_MAX + 1);
        for (message, words) in [
            ("", "not JSON"),
            ("[]", "not JSON"),
            (r#"{"version":-1,"brokers":[]}"#, "not JSON"),
            (r#"{"version":1}"#, "not JSON"),
            (r#"{"version":1,"brokers":[],"broker":"x"}"#, "not JSON"),
            (r#"{"version":1,"brokers":["mqtt://a:1883"]}"#, "none such"),
            (r#"{"version":1,"brokers":["nats://"]}"#, "none such"),
            (r#"{"version":1,"brokers":["nats://:4222"]}"#, "none such"),
            (r#"{"version":1,"brokers":["nats://a b"]}"#, "character"),
            (
                r#"{"version":1,"brokers":["nats://a,nats://b"]}"#,
                "character",
            ),
            (
                r#"{"version":1,"brokers":["nats://u:SECRET@a"]}"#,
                "holds a user",
            ),
            (
                r#"{"version":1,"brokers":["nats://a","nats://a"]}"#,
                "twice",
            ),
            (r#"{"version":1,"brokers":[],"by":"a\nb"}"#, "\"by\""),
            (&many, "9 brokers"),
            (&long, "96 bytes"),
            (&huge, "4097 bytes"),
        ] {
            let error = Order::parse(message.as_bytes()).unwrap_err();
            let error = crate::chain(&error);
            assert!(error.contains(words), "{message}: {error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
