//! What `wadm.yaml` can set of a ledger.

use std::collections::HashMap;
use std::time::Duration;

use fieldledger_cosigning::{CosigningError, CosigningSettings};
use fieldledger_ledger::{
    AnchorPlace, Config, ObjectFolder, Publication, RetentionPolicy, RetentionScope,
};

/// Where the ledger lives where nothing is configured, seen from the host's working folder.
const DEFAULT_DATA_DIR: &str = "state/ledger";

const SECONDS_A_DAY: u64 = 86_400;

/// How the settings of S3 begin.
const AWS: &str = "aws_";

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// A key that means nothing here: most likely misspelt.
    #[error(
        "unknown setting {0:?}; the ledger knows data_dir, anchor, archive, local_segments, origin, \
         index, publish_interval_ms, publish_entries, retention_days, retention_scope, aws_... and \
         for witnesses {witnesses}",
        witnesses = CosigningSettings::NAMES.join(", ")
    )]
    Unknown(String),
    /// A setting about witnesses that cannot be used.
    #[error(transparent)]
    Cosigning(#[from] CosigningError),
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
    /// An object store that cannot be used.
    #[error("setting {key} cannot be used: {problem}")]
    Objects {
        /// The setting.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// Reads the settings:
///
/// - `data_dir`: the ledger's folder, from the host's working folder (`state/ledger`);
/// - `anchor`: where the newest signed tree head is kept, apart from the log: a folder, or
///   `s3://bucket/prefix`; a sibling of `data_dir`, of the same name with `-anchor` after it, where
///   nothing is set;
/// - `archive`: where full segments are copied to: `file:///folder` or `s3://bucket/prefix`, or
///   nothing;
/// - `local_segments`: how many archived segments stay on the disk as well (all);
/// - `aws_endpoint`, `aws_region`, `aws_access_key_id` and so on: settings of S3, which go before the
///   variables of the same names in the environment;
/// - `origin`: the log's name in its checkpoints (`fieldledger.local/ledger`);
/// - `index`: `true` or `false`, whether text can be searched (`true`);
/// - `publish_interval_ms`: how long an entry waits at most for a root of Pangea's tree (`60000`);
/// - `publish_entries`: after how many entries there is one earlier (`16384`);
/// - `retention_days`: after how many days payloads are given up; kept for ever where nothing is set;
/// - `retention_scope`: which: `readings` (the default), or `all` but the log's own;
/// - those about witnesses: see [`CosigningSettings::read`].
pub(crate) fn read(
    settings: &HashMap<String, String>,
) -> Result<(Config, CosigningSettings), SettingsError> {
    let mut config = Config::new(DEFAULT_DATA_DIR);
    let mut publication = Publication::default();
    let mut keep_days = None;
    let mut scope = RetentionScope::default();
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
                config.anchor = match value.starts_with("s3://") {
                    true => AnchorPlace::Objects(objects("anchor", value, settings)?),
                    false => value.parse().map_err(|_| SettingsError::Value {
                        key: "anchor",
                        value: value.clone(),
                        right: "a folder, s3://bucket/prefix, or nothing",
                    })?,
                };
            }
            "archive" if value.is_empty() => config.archive = None,
            "archive" => config.archive = Some(objects("archive", value, settings)?),
            "local_segments" if value.is_empty() => config.local_segments = None,
            "local_segments" => {
                let parsed = value.parse().map_err(|_| SettingsError::Value {
                    key: "local_segments",
                    value: value.clone(),
                    right: "a number, or nothing for all",
                })?;
                config.local_segments = Some(parsed);
            }
            // Read together with what needs them.
            key if key.starts_with(AWS) => {}
            "origin" => config.origin.clone_from(value),
            "index" => {
                config.index = value.parse().map_err(|_| SettingsError::Value {
                    key: "index",
                    value: value.clone(),
                    right: "true or false",
                })?;
            }
            "publish_interval_ms" => {
                publication.interval_ms = number("publish_interval_ms", value)?;
            }
            "retention_days" if value.is_empty() => keep_days = None,
            "retention_days" => keep_days = Some(number("retention_days", value)?),
            "retention_scope" => {
                scope = value.parse().map_err(|_| SettingsError::Value {
                    key: "retention_scope",
                    value: value.clone(),
                    right: "readings or all",
                })?;
            }
            "publish_entries" => publication.entries = number("publish_entries", value)?,
            key if CosigningSettings::NAMES.contains(&key) => {}
            _ => return Err(SettingsError::Unknown(key.clone())),
        }
    }
    config.publication = Some(publication);
    config.retention = keep_days.map(|days| RetentionPolicy {
        keep_for: Duration::from_secs(days.saturating_mul(SECONDS_A_DAY)),
        scope,
    });
    Ok((config, CosigningSettings::read(settings)?))
}

/// The object store at a URL, with the settings that say how to reach it.
fn objects(
    key: &'static str,
    url: &str,
    settings: &HashMap<String, String>,
) -> Result<ObjectFolder, SettingsError> {
    let aws = settings
        .iter()
        .filter(|(name, value)| name.starts_with(AWS) && !value.is_empty());
    let aws = aws.map(|(name, value)| (name.as_str(), value.as_str()));
    ObjectFolder::open(url, aws).map_err(|problem| SettingsError::Objects { key, problem })
}

/// A number of something; there is always at least one.
fn number(key: &'static str, value: &str) -> Result<u64, SettingsError> {
    let number = value.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| SettingsError::Value {
        key,
        value: value.to_owned(),
        right: "a whole number above 0",
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn nothing_set_means_the_usual() {
        let (config, cosigning) = read(&settings(&[])).unwrap();
        assert!(cosigning.policy.is_none() && cosigning.witness_name.is_empty());
        assert_eq!(config.folder.to_str(), Some(DEFAULT_DATA_DIR));
        assert!(config.index);
        assert_eq!(config.retention, None);
    }

    #[test]
    fn settings_are_taken_over() {
        let (config, cosigning) = read(&settings(&[
            ("data_dir", "/srv/log"),
            ("anchor", "/mnt/other/anchor"),
            ("origin", "plant/1"),
            ("index", "false"),
            ("publish_interval_ms", "500"),
            ("publish_entries", "7"),
            ("retention_days", "30"),
            ("retention_scope", "all"),
            ("witness_name", "plant/witness"),
            ("witness_policy", "# nobody\nquorum none\n"),
        ]))
        .unwrap();
        assert!(cosigning.policy.is_some());
        assert_eq!(cosigning.witness_name, "plant/witness");
        assert_eq!(
            (config.folder.to_str(), config.origin.as_str(), config.index),
            (Some("/srv/log"), "plant/1", false)
        );
        let anchor = AnchorPlace::Folder("/mnt/other/anchor".into());
        assert_eq!(config.anchor, anchor);
        let publication = Publication {
            interval_ms: 500,
            entries: 7,
        };
        assert_eq!(config.publication, Some(publication));
        let retention = RetentionPolicy {
            keep_for: Duration::from_secs(30 * 86_400),
            scope: RetentionScope::All,
        };
        assert_eq!(config.retention, Some(retention));
    }

    #[test]
    fn object_stores_are_reached_by_their_settings() {
        let (config, _) = read(&settings(&[
            ("anchor", "s3://anchors/plant"),
            ("archive", "s3://archive/plant"),
            ("local_segments", "3"),
            ("aws_region", "eu-central-1"),
            ("aws_endpoint", ""),
        ]))
        .unwrap();
        assert!(matches!(config.anchor, AnchorPlace::Objects(_)));
        assert!(config.archive.is_some());
        assert_eq!(config.local_segments, Some(3));
        let nothing = settings(&[("archive", ""), ("local_segments", ""), ("anchor", "")]);
        assert_eq!(read(&nothing).unwrap().0.archive, None);
        for (key, value) in [
            ("archive", "x"),
            ("local_segments", "some"),
            ("retention_days", "0"),
            ("retention_scope", "some"),
        ] {
            let error = read(&settings(&[(key, value)])).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
        let misspelt = settings(&[("archive", "s3://a"), ("aws_regoin", "x")]);
        let error = read(&misspelt).unwrap_err();
        assert!(error.to_string().contains("aws_regoin"), "{error}");
    }

    #[test]
    fn what_is_misspelt_is_named() {
        let unknown = read(&settings(&[("datadir", "x")])).unwrap_err();
        assert!(unknown.to_string().contains("datadir"));
        let value = read(&settings(&[("index", "yes")])).unwrap_err();
        assert!(value.to_string().contains("true or false"));
        for value in ["", "0", "-1", "soon"] {
            let value = read(&settings(&[("publish_entries", value)])).unwrap_err();
            assert!(value.to_string().contains("a whole number"));
        }
        let policy = read(&settings(&[("witness_policy", "quorum\n")])).unwrap_err();
        assert!(policy.to_string().contains("witness_policy"));
    }
}
