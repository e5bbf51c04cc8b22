//! What an operator can set, and the parts that come of it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fieldledger_contract::ledger::{AsWitness, OwnWitnesses};
use fieldledger_ledger::{Checkpoint, InclusionProof, Ledger, QueryError};
use fieldledger_witness::{Policy, PolicyError, Reply, WatchedError, WatchedLogs};

use crate::authorities::{Authorities, AuthoritiesError};
use crate::board::Behaviour;
use crate::collector::{Collector, CollectorConfig, CollectorError, Pace};
use crate::witness::{Witness, WitnessError};

/// Where a witness keeps its key and memory where nothing is configured.
pub const DEFAULT_WITNESS_DIR: &str = "state/witness";

/// Why cosigning cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum CosigningError {
    /// A file that a setting names.
    #[error("setting {setting}: cannot read {}", .path.display())]
    Read {
        /// The setting.
        setting: &'static str,
        /// What it names.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The policy.
    #[error("setting witness_policy: {0}")]
    Policy(#[from] PolicyError),
    /// The list of logs.
    #[error("setting witness_logs: {0}")]
    Logs(#[from] WatchedError),
    /// The authorities.
    #[error("setting witness_ca cannot be used")]
    Authorities(#[from] AuthoritiesError),
    /// The behaviour.
    #[error("setting witness_behaviour is {0:?}; right would be serve or hold")]
    Behaviour(String),
    /// Logs to watch, and no name to cosign under.
    #[error("setting witness_logs is set, and witness_name is not: name the witness's key")]
    NoName,
    /// The ledger's own checkpoints.
    #[error(transparent)]
    Collector(#[from] CollectorError),
    /// Those of others.
    #[error(transparent)]
    Witness(#[from] WitnessError),
}

/// The settings, read and checked.
#[derive(Debug, Clone, Default)]
pub struct CosigningSettings {
    /// Which witnesses cosign the ledger's checkpoints; none where that is not wanted.
    pub policy: Option<Policy>,
    /// What is published while the policy is not satisfied.
    pub behaviour: Behaviour,
    /// How fast witnesses are asked.
    pub pace: Pace,
    /// Who may vouch for witnesses beside the public authorities.
    pub authorities: Authorities,
    /// The name under which this site cosigns for others; empty where it does not.
    pub witness_name: String,
    /// The logs it cosigns.
    pub witness_logs: WatchedLogs,
    /// Where it keeps its key and memory.
    pub witness_dir: PathBuf,
}

impl CosigningSettings {
    /// Names of the settings that [`CosigningSettings::read`] knows.
    pub const NAMES: [&str; 6] = [
        "witness_policy",
        "witness_behaviour",
        "witness_ca",
        "witness_name",
        "witness_logs",
        "witness_dir",
    ];

    /// Reads, out of settings that may hold others too:
    ///
    /// - `witness_policy`: a C2SP tlog-policy, or a file that holds one; empty for no witnesses;
    /// - `witness_behaviour`: `serve` or `hold`, what is published while the quorum is missing
    ///   (`serve`);
    /// - `witness_ca`: certificates in PEM, or a file that holds them: authorities of the site's own,
    ///   which may vouch for witnesses at `https://` URLs beside the public ones;
    /// - `witness_name`: the key's name under which this site cosigns for others; empty: it does
    ///   not;
    /// - `witness_logs`: the logs that it cosigns, a list that begins with `logs/v0`, or a file
    ///   that holds one;
    /// - `witness_dir`: where the witness keeps its key and memory (`state/witness`).
    ///
    /// A value of several lines is the text itself, one of a single line names a file.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and why.
    pub fn read(settings: &HashMap<String, String>) -> Result<Self, CosigningError> {
        let value = |name: &str| settings.get(name).map_or("", String::as_str);
        let policy = match text_of("witness_policy", value("witness_policy"))? {
            text if text.trim_ascii().is_empty() => None,
            text => Some(Policy::parse(&text)?),
        };
        let behaviour = match value("witness_behaviour") {
            "" => Behaviour::default(),
            word => word
                .parse()
                .map_err(|()| CosigningError::Behaviour(word.to_owned()))?,
        };
        let authorities = match text_of("witness_ca", value("witness_ca"))? {
            text if text.trim_ascii().is_empty() => Authorities::default(),
            text => Authorities::parse(&text)?,
        };
        let logs = text_of("witness_logs", value("witness_logs"))?;
        let witness_logs = WatchedLogs::parse(&String::from_utf8_lossy(&logs))?;
        let witness_name = value("witness_name").to_owned();
        if witness_name.is_empty() && !witness_logs.is_empty() {
            return Err(CosigningError::NoName);
        }
        let witness_dir = match value("witness_dir") {
            "" => DEFAULT_WITNESS_DIR.into(),
            folder => folder.into(),
        };
        Ok(Self {
            policy,
            behaviour,
            pace: Pace::default(),
            authorities,
            witness_name,
            witness_logs,
            witness_dir,
        })
    }
}

/// The text that a setting is, or that the file it names holds.
fn text_of(setting: &'static str, value: &str) -> Result<Vec<u8>, CosigningError> {
    if value.trim().is_empty() || value.contains('\n') {
        return Ok(value.as_bytes().to_vec());
    }
    let path = Path::new(value.trim());
    fs::read(path).map_err(|source| CosigningError::Read {
        setting,
        path: path.to_owned(),
        source,
    })
}

/// Both directions of cosigning at one site.
#[derive(Debug, Default)]
pub struct Cosigning {
    collector: Option<Collector>,
    witness: Option<Witness>,
}

impl Cosigning {
    /// Begins to collect cosignatures for the ledger in `folder`, and to be a witness, as far as
    /// the settings want it. Must be called in a tokio runtime, on a thread that may block.
    ///
    /// # Errors
    ///
    /// When a part cannot do its work.
    pub fn start(
        ledger: &Ledger,
        folder: &Path,
        settings: CosigningSettings,
    ) -> Result<Self, CosigningError> {
        let witness = match settings.witness_name.as_str() {
            "" => None,
            name => Some(Witness::open(
                &settings.witness_dir,
                name,
                settings.witness_logs,
            )?),
        };
        let collector = match settings.policy {
            None => None,
            Some(policy) => {
                let config = CollectorConfig {
                    policy,
                    behaviour: settings.behaviour,
                    folder: folder.join("witnessed"),
                    pace: settings.pace,
                    authorities: settings.authorities,
                };
                Some(Collector::start(ledger.clone(), config)?)
            }
        };
        Ok(Self { collector, witness })
    }

    /// The ledger's checkpoint to show to the world: the newest, or where witnesses are configured,
    /// what [`Collector::published`] says.
    ///
    /// # Errors
    ///
    /// A sentence that says why none may be shown.
    pub fn published(&self, ledger: &Ledger) -> Result<Checkpoint, String> {
        match &self.collector {
            Some(collector) => collector.published(),
            None => Ok(ledger.checkpoint()),
        }
    }

    /// An entry and its audit path in the published tree; in the newest where that one does not
    /// have it yet.
    ///
    /// # Errors
    ///
    /// As [`Ledger::inclusion`].
    pub fn published_inclusion(
        &self,
        ledger: &Ledger,
        index: u64,
    ) -> Result<InclusionProof, QueryError> {
        match self.published(ledger) {
            Ok(published) if index < published.tree_size => ledger.inclusion_in(index, &published),
            _ => ledger.inclusion(index),
        }
    }

    /// How the ledger's checkpoints are witnessed; none where no policy is configured.
    #[must_use]
    pub fn collector_status(&self) -> Option<OwnWitnesses> {
        self.collector.as_ref().map(Collector::status)
    }

    /// How this site does as a witness; none where it is none.
    #[must_use]
    pub fn witness_status(&self) -> Option<AsWitness> {
        self.witness.as_ref().map(Witness::status)
    }

    /// Answers the body of a `POST add-checkpoint`; 404 where this site is no witness. Blocks.
    #[must_use]
    pub fn add_checkpoint(&self, body: &[u8]) -> Reply {
        match &self.witness {
            Some(witness) => witness.add_checkpoint(body),
            None => Reply::text(404, "this site is not a witness\n".to_owned()),
        }
    }

    /// What this site's witness cosigned last of a log; see [`Witness::checkpoint`].
    #[must_use]
    pub fn cosigned_checkpoint(&self, origin_hash: &str) -> Option<String> {
        self.witness.as_ref()?.checkpoint(origin_hash)
    }

    /// Asks no witness any more.
    pub fn stop(&self) {
        if let Some(collector) = &self.collector {
            collector.stop();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<CosigningSettings, CosigningError> {
        let pairs = pairs.iter();
        CosigningSettings::read(
            &pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn nothing_set_means_no_witnesses() {
        let settings = read(&[("data_dir", "elsewhere"), ("witness_policy", "")]).unwrap();
        assert!(settings.policy.is_none() && settings.witness_logs.is_empty());
        assert_eq!(settings.behaviour, Behaviour::Serve);
        assert_eq!(settings.witness_dir.to_str(), Some(DEFAULT_WITNESS_DIR));
    }

    #[test]
    fn a_policy_is_a_text_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy");
        fs::write(&path, "quorum none\n").unwrap();
        for policy in ["# none\nquorum none\n", path.to_str().unwrap()] {
            let settings = read(&[("witness_policy", policy), ("witness_behaviour", "hold")]);
            let settings = settings.unwrap();
            assert!(settings.policy.is_some());
            assert_eq!(settings.behaviour, Behaviour::Hold);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let vkey = "a+1+1";
        for (pairs, problem) in [
            (vec![("witness_behaviour", "wait")], "serve or hold"),
            (vec![("witness_policy", "a\nquorum none")], "line 1"),
            (vec![("witness_ca", "no\ncertificate")], "witness_ca"),
            (vec![("witness_ca", "/nowhere/ca")], "/nowhere/ca"),
            (
                vec![("witness_policy", "/nowhere/policy")],
                "/nowhere/policy",
            ),
            (vec![("witness_logs", "/nowhere/logs")], "/nowhere/logs"),
            (
                vec![("witness_logs", &format!("logs/v0\nvkey {vkey}"))],
                "line 2",
            ),
        ] {
            let error = read(&pairs).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
    }
}
