//! What `wadm.yaml` can set of a ledger.

use std::collections::HashMap;

use fieldledger_ledger::Config;

/// Where the ledger lives where nothing is configured, seen from the host's working folder.
const DEFAULT_DATA_DIR: &str = "state/ledger";

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SettingsError {
    /// A key that means nothing here: most likely misspelt.
    #[error("unknown setting {0:?}; the ledger knows data_dir, anchor, origin and index")]
    Unknown(String),
    /// A value that cannot be used.
    #[error("setting {key} is {value:?}; right would be {right}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What would be right.
        right: &'static str,
    },
}

/// Reads the settings:
///
/// - `data_dir`: the ledger's folder, from the host's working folder (`state/ledger`);
/// - `anchor`: the folder for the newest signed tree head, apart from the log: a sibling of
///   `data_dir`, of the same name with `-anchor` after it, where nothing is set;
/// - `origin`: the log's name in its checkpoints (`fieldledger.local/ledger`);
/// - `index`: `true` or `false`, whether text can be searched (`true`).
pub(crate) fn read(settings: &HashMap<String, String>) -> Result<Config, SettingsError> {
    let mut config = Config::new(DEFAULT_DATA_DIR);
    for (key, value) in settings {
        match key.as_str() {
            "data_dir" if !value.is_empty() => config.folder = value.into(),
            "data_dir" => {
                return Err(SettingsError::Value {
                    key: "data_dir",
                    value: value.clone(),
                    right: "a folder",
                });
            }
            "anchor" => {
                config.anchor = value.parse().map_err(|_| SettingsError::Value {
                    key: "anchor",
                    value: value.clone(),
                    right: "a folder, or nothing",
                })?;
            }
            "origin" => config.origin.clone_from(value),
            "index" => {
                config.index = value.parse().map_err(|_| SettingsError::Value {
                    key: "index",
                    value: value.clone(),
                    right: "true or false",
                })?;
            }
            _ => return Err(SettingsError::Unknown(key.clone())),
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use fieldledger_ledger::AnchorPlace;

    fn settings(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn nothing_set_means_the_usual() {
        let config = read(&settings(&[])).unwrap();
        assert_eq!(config.folder.to_str(), Some(DEFAULT_DATA_DIR));
        assert!(config.index);
    }

    #[test]
    fn settings_are_taken_over() {
        let config = read(&settings(&[
            ("data_dir", "/srv/log"),
            ("anchor", "/mnt/other/anchor"),
            ("origin", "plant/1"),
            ("index", "false"),
        ]))
        .unwrap();
        assert_eq!(
            (config.folder.to_str(), config.origin.as_str(), config.index),
            (Some("/srv/log"), "plant/1", false)
        );
        let anchor = AnchorPlace::Folder("/mnt/other/anchor".into());
        assert_eq!(config.anchor, anchor);
    }

    #[test]
    fn what_is_misspelt_is_named() {
        let unknown = read(&settings(&[("datadir", "x")])).unwrap_err();
        assert!(unknown.to_string().contains("datadir"));
        let value = read(&settings(&[("index", "yes")])).unwrap_err();
        assert!(value.to_string().contains("true or false"));
    }
}
