//! Cosignatures: those of witnesses on this log, and those that this site gives to others.

use fieldledger_contract_derive::Wire;

use crate::base::WallTime;
#[cfg(feature = "serde")]
use crate::base::unix_seconds;

/// Witnesses: those of this site's log, and this site as one of other logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Witnessing {
    /// How this log's checkpoints are witnessed; absent where no policy is configured.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub own: Option<OwnWitnesses>,
    /// What this site does as a witness; absent where it is none.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub as_witness: Option<AsWitness>,
}

/// How this log's checkpoints are witnessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OwnWitnesses {
    /// What is published while the quorum is missing: `serve` the newest checkpoint, or `hold` the
    /// last one that satisfied the policy.
    #[cfg_attr(feature = "schema", schema(example = "serve"))]
    pub behaviour: String,
    /// Entries in the log.
    pub tree_size: u64,
    /// Entries in the published tree; absent where nothing may be published yet.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub published_size: Option<u64>,
    /// Whether the published checkpoint satisfies the policy.
    pub witnessed: bool,
    /// Entries in the newest tree that satisfied the policy; absent where none ever did.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub witnessed_size: Option<u64>,
    /// Each witness of the policy.
    pub witnesses: Vec<WitnessState>,
}

/// One witness of this log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WitnessState {
    /// What the policy calls it.
    pub name: String,
    /// Its verifier key.
    pub key: String,
    /// Where it is asked; empty where the policy gives no URL.
    pub url: String,
    /// Entries in the tree that it cosigned last; 0 for none.
    pub cosigned_size: u64,
    /// When it did; in JSON seconds since the Unix epoch, 0 for never.
    #[cfg_attr(feature = "serde", serde(with = "unix_seconds"))]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub cosigned_at: Option<WallTime>,
    /// Entries of the log beyond that.
    pub lag: u64,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Why an attempt failed last; stays after a success.
    pub last_error: String,
    /// Whether it says that this log is not the one it has cosigned.
    pub refuses: bool,
}

/// This site as a witness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AsWitness {
    /// The verifier key that others must configure.
    pub key: String,
    /// The logs watched.
    pub logs: Vec<WatchedLog>,
}

/// A log that this site watches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Wire)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WatchedLog {
    /// Its name.
    pub origin: String,
    /// Entries in the tree cosigned last; 0 for none.
    pub size: u64,
    /// When that was; in JSON seconds since the Unix epoch, 0 for never.
    #[cfg_attr(feature = "serde", serde(with = "unix_seconds"))]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub cosigned_at: Option<WallTime>,
    /// Checkpoints refused since the start because they do not continue that tree.
    pub refused: u64,
    /// The newest such refusal, or why the log cannot be cosigned; else empty.
    pub problem: String,
}

/// What a witness answers, as it goes over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct WitnessReply {
    /// HTTP status.
    pub status: u16,
    /// Content-Type.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl OwnWitnesses {
    /// How it stands, in a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut sentence = match (self.witnessed, self.witnessed_size) {
            (true, _) => "the published checkpoint is witnessed".to_owned(),
            (false, None) => "no checkpoint has satisfied the witness policy yet".to_owned(),
            (false, Some(size)) => format!(
                "the published checkpoint is not witnessed; the last one that was has {size} entries"
            ),
        };
        for witness in &self.witnesses {
            let problem = match witness {
                witness if witness.refuses => "says that this is not the log it has cosigned",
                witness if witness.url.is_empty() => "has no URL and is never asked",
                witness if witness.failures > 0 => "does not cosign",
                _ => continue,
            };
            sentence = format!("{sentence}; witness {} {problem}", witness.name);
        }
        sentence
    }
}
