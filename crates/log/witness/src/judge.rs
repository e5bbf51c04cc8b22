//! What a witness decides about a request, C2SP tlog-witness.

use fieldledger_tlog::{EMPTY_HASH, Hash, verify_consistency};

use crate::checkpoint::SignatureError;
use crate::request::{AddCheckpoint, RequestError};
use crate::watched::WatchedLogs;

/// The tree of a log that a witness has cosigned last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosigned {
    /// Leaves in it.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Cosigned {
    /// What there is before the first cosignature: the empty tree, which every tree begins with.
    pub const NOTHING: Self = Self {
        size: 0,
        root: EMPTY_HASH,
    };
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// 400: no request as specified.
    #[error(transparent)]
    Malformed(#[from] RequestError),
    /// 400: the old tree would be larger than the new one.
    #[error("the old size {old_size} is beyond the checkpoint's size {size}")]
    Shrinking {
        /// Old size of the request.
        old_size: u64,
        /// Size of the checkpoint.
        size: u64,
    },
    /// 404: a log that this witness does not watch.
    #[error("this witness does not watch the log {0:?}")]
    UnknownLog(String),
    /// 403: not signed by the log.
    #[error("the checkpoint is not signed by the log: {0}")]
    Unsigned(SignatureError),
    /// 409: another tree was cosigned last.
    #[error("the tree cosigned last has {cosigned} entries")]
    OldSize {
        /// Its size.
        cosigned: u64,
    },
    /// 422: the proof is none.
    #[error(
        "the proof does not lead from the {cosigned} entries cosigned last to this tree of {size}"
    )]
    Unproven {
        /// Size of the tree cosigned last.
        cosigned: u64,
        /// Size of the checkpoint.
        size: u64,
    },
    /// 422: signed by the log, of the size cosigned last, and another tree. The two checkpoints
    /// together prove that the log told two stories.
    #[error("this is another tree of {size} entries than the one cosigned: the log has forked")]
    Forked {
        /// Size of both.
        size: u64,
    },
}

impl Refusal {
    /// The HTTP status that says so.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Shrinking { .. } => 400,
            Self::Unsigned(_) => 403,
            Self::UnknownLog(_) => 404,
            Self::OldSize { .. } => 409,
            Self::Unproven { .. } | Self::Forked { .. } => 422,
        }
    }
}

/// Whether to cosign: the state to write down *before* the cosignature leaves, or why not.
///
/// `cosigned` must not change between this and that, or two requests at a time can roll the witness
/// back.
///
/// # Errors
///
/// The refusal to answer with.
pub fn judge(
    request: &AddCheckpoint,
    logs: &WatchedLogs,
    cosigned: Cosigned,
) -> Result<Cosigned, Refusal> {
    let checkpoint = &request.checkpoint;
    let (size, root) = (checkpoint.size(), checkpoint.root());
    let log = logs
        .find(checkpoint.origin())
        .ok_or_else(|| Refusal::UnknownLog(checkpoint.origin().chars().take(200).collect()))?;
    log.signatures_on(checkpoint).map_err(Refusal::Unsigned)?;
    if request.old_size > size {
        return Err(Refusal::Shrinking {
            old_size: request.old_size,
            size,
        });
    }
    if request.old_size != cosigned.size {
        return Err(Refusal::OldSize {
            cosigned: cosigned.size,
        });
    }
    if size == cosigned.size && root != cosigned.root {
        return Err(Refusal::Forked { size });
    }
    let proven = if cosigned.size == 0 {
        // Every tree begins with the empty one; the check above has seen to the empty tree's root.
        request.proof.is_empty()
    } else {
        verify_consistency(&request.proof, (cosigned.size, cosigned.root), (size, root))
    };
    if !proven {
        return Err(Refusal::Unproven {
            cosigned: cosigned.size,
            size,
        });
    }
    Ok(Cosigned { size, root })
}
