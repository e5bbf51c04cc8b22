//! The logs that a witness watches, read from a log list as the witness network publishes them:
//! <https://github.com/transparency-dev/witness-network/blob/main/docs/log-list-format.md>.

use std::collections::BTreeMap;

use signed_note::{Signature, Verifier};

use crate::checkpoint::{SignatureError, SignedCheckpoint};
use crate::vkey::{LogKey, VkeyError};

/// Most logs of one list.
const MOST_LOGS: usize = 10_000;

/// Why a list of logs cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the list of logs: {problem}")]
pub struct WatchedError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A log that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedLog {
    origin: String,
    keys: Vec<LogKey>,
}

impl WatchedLog {
    /// The log's name, the first line of its checkpoints.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The log's signatures on the checkpoint.
    ///
    /// # Errors
    ///
    /// When there is none, or a false one in the name of one of its keys.
    pub fn signatures_on(
        &self,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Vec<Signature>, SignatureError> {
        checkpoint.signatures_by(&self.verifiers())
    }

    /// The keys, any of which may sign for the log.
    #[must_use]
    pub fn verifiers(&self) -> Vec<&dyn Verifier> {
        self.keys.iter().map(|key| key as &dyn Verifier).collect()
    }
}

/// The logs that are watched, by origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedLogs(BTreeMap<String, WatchedLog>);

impl WatchedLogs {
    /// Reads a list: the line `logs/v0`, then for each log `vkey <verifier key>`, and where its
    /// origin is not the key's name, `origin <origin>`. Two keys with one origin are two keys of
    /// one log. `bastion`, `qpd` and `contact` are passed over, and so are empty lines and lines
    /// that begin with `#`.
    ///
    /// # Errors
    ///
    /// Which line is wrong, and why.
    pub fn parse(list: &str) -> Result<Self, WatchedError> {
        let mut logs = Self::default();
        let mut begun = false;
        let mut current: Option<(usize, LogKey, Option<String>)> = None;
        for (line, text) in (1..).zip(list.lines()) {
            let wrong = |problem: String| WatchedError { line, problem };
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if !begun {
                begun = text == "logs/v0";
                if !begun {
                    return Err(wrong(
                        "the list must begin with the line `logs/v0`".to_owned(),
                    ));
                }
                continue;
            }
            let (keyword, value) = text.split_once(' ').unwrap_or((text, ""));
            match (keyword, &mut current) {
                ("vkey", _) => {
                    let key = LogKey::parse(value.trim())
                        .map_err(|error: VkeyError| wrong(error.to_string()))?;
                    if let Some(finished) = current.replace((line, key, None)) {
                        logs.add(finished)?;
                    }
                }
                ("origin", Some((_, _, origin @ None))) if !value.trim().is_empty() => {
                    *origin = Some(value.trim().to_owned());
                }
                ("qpd" | "bastion" | "contact", Some(_)) => {}
                ("origin" | "qpd" | "bastion" | "contact", None) => {
                    return Err(wrong(format!("`{keyword}` must follow a `vkey` line")));
                }
                ("origin", _) => {
                    let problem = "a log has one `origin`, its name or `none`";
                    return Err(wrong(problem.to_owned()));
                }
                _ => {
                    return Err(wrong(
                        "it must begin with vkey, origin, qpd, bastion or contact".to_owned(),
                    ));
                }
            }
        }
        if let Some(finished) = current {
            logs.add(finished)?;
        }
        Ok(logs)
    }

    fn add(
        &mut self,
        (line, key, origin): (usize, LogKey, Option<String>),
    ) -> Result<(), WatchedError> {
        let wrong = |problem: String| WatchedError { line, problem };
        let origin = origin.filter(|origin| origin != "none");
        let origin = origin.unwrap_or_else(|| key.name().to_owned());
        if self.0.len() == MOST_LOGS && !self.0.contains_key(&origin) {
            return Err(wrong(format!("a list has at most {MOST_LOGS} logs")));
        }
        let log = self.0.entry(origin.clone()).or_insert_with(|| WatchedLog {
            origin,
            keys: Vec::new(),
        });
        if log.keys.contains(&key) {
            return Err(wrong(format!("{key} is listed twice")));
        }
        log.keys.push(key);
        Ok(())
    }

    /// The log of this name.
    #[must_use]
    pub fn find(&self, origin: &str) -> Option<&WatchedLog> {
        self.0.get(origin)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &WatchedLog> {
        self.0.values()
    }

    /// Whether none is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    fn vkey(name: &str, seed: u8) -> String {
        fieldledger_tlog::LogKey::from_seed(name, &[seed; 32])
            .unwrap()
            .verifier_key()
            .to_owned()
    }

    #[test]
    fn a_list_of_the_witness_network_is_read() {
        let list = format!(
            "#\n# List: 10qps\n\nlogs/v0\n\n# foo's log\nvkey {}\norigin none\nqpd 86400\n\
             bastion none\ncontact https://a.example/contact us\n\nvkey {}\norigin the other\n\
             vkey {}\norigin the other",
            vkey("a.example", 1),
            vkey("b.example/1", 2),
            vkey("b.example/2", 3),
        );
        let logs = WatchedLogs::parse(&list).unwrap();
        let origins: Vec<&str> = logs.iter().map(WatchedLog::origin).collect();
        assert_eq!(origins, ["a.example", "the other"]);
        assert_eq!(logs.find("the other").unwrap().keys.len(), 2);
        assert_eq!(logs.find("b.example/1"), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let key = vkey("a.example", 1);
        for (list, line, problem) in [
            ("logs/v1\n".to_owned(), 1, "logs/v0"),
            (format!("\nvkey {key}"), 2, "logs/v0"),
            ("logs/v0\norigin a".to_owned(), 2, "must follow"),
            ("logs/v0\nlog a".to_owned(), 2, "vkey, origin"),
            ("logs/v0\nvkey a+b+c".to_owned(), 2, "base64"),
            ("logs/v0\nvkey".to_owned(), 2, "name+id+key"),
            (format!("logs/v0\nvkey {key}\norigin"), 3, "one `origin`"),
            (
                format!("logs/v0\nvkey {key}\norigin a\norigin b"),
                4,
                "one `origin`",
            ),
            (format!("logs/v0\nvkey {key}\nvkey {key}"), 3, "twice"),
        ] {
            let error = WatchedLogs::parse(&list).unwrap_err();
            assert_eq!(error.line, line, "{list:?}");
            assert!(error.problem.contains(problem), "{error}");
        }
    }

    #[test]
    fn an_empty_list_watches_nothing() {
        assert!(WatchedLogs::parse("").unwrap().is_empty());
        assert!(WatchedLogs::parse("logs/v0\n").unwrap().is_empty());
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_list_is_read_or_refused(list: String) {
            let _ = WatchedLogs::parse(&list);
            let _ = WatchedLogs::parse(&format!("logs/v0\nvkey {}\n{list}", vkey("a", 1)));
        }
    }
}
