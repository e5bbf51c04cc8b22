//! Who a log is: the keys that sign it, and what they signed last.

use fieldledger_tlog::{Edge, TreeHead};

use crate::anchor::{Anchor, AnchorError};
use crate::config::Config;
use crate::error::{OpenError, with_causes};
use crate::head::Head;
use crate::keys::Keys;
use crate::life::restore::ReadOnly;
use crate::paths::Paths;
use crate::store::disk::Disk;
use crate::store::key_file;

/// The signed head of the tree with this edge.
pub(super) fn sign(keys: &Keys, edge: &Edge) -> Result<Head, OpenError> {
    Head::sign(keys, edge.clone()).map_err(|error| OpenError::Setting {
        setting: "origin",
        problem: with_causes(&error),
    })
}

/// Puts the signed tree head in the anchor, durably.
pub(super) fn swap(
    anchor: &mut Anchor,
    expected: Option<&[u8]>,
    head: &Head,
) -> Result<(), OpenError> {
    let note = head.checkpoint.note.as_bytes();
    anchor
        .swap(expected, note)
        .and_then(|()| Ok(anchor.sync()?))
        .map_err(|error| match error {
            AnchorError::Store(error) => OpenError::Store(error),
            refused => OpenError::Anchor(refused.to_string()),
        })
}

/// Who the log is.
pub(super) struct Identity {
    pub(super) keys: Keys,
    /// What the keys signed last; none for a new log.
    pub(super) signed: Option<TreeHead>,
    /// The note in the anchor.
    pub(super) note: Vec<u8>,
}

/// Reads keys and anchor; makes both for a new log.
pub(super) fn identity(
    disk: &Disk,
    paths: &Paths,
    anchor: &mut Anchor,
    config: &Config,
    has_segments: bool,
) -> Result<Identity, OpenError> {
    let forked = |problem: String| OpenError::Forked {
        folder: paths.folder.clone(),
        problem,
    };
    let note = anchor.read()?;
    let seeds = match key_file::read(disk, &paths.key)? {
        Some(seeds) => seeds,
        None if note.is_some() || has_segments => {
            let problem =
                "the file key is missing, and another key would be another log; restore it";
            return Err(forked(problem.to_owned()));
        }
        None => {
            let seeds = vec![key_file::new_seed()];
            key_file::write(disk, &paths.key, &seeds)?;
            seeds
        }
    };
    let keys = Keys::of(&config.origin, &seeds).map_err(|error| OpenError::Setting {
        setting: "origin",
        problem: with_causes(&error),
    })?;
    let Some(note) = note else {
        if has_segments {
            return Err(forked(format!(
                "its anchor {} holds no checkpoint, so nothing says how many entries there must \
                 be; restore the anchor, or set `anchor` to where it is",
                anchor.place()
            )));
        }
        // Before the first segment, so that no crash leaves a log without a checkpoint.
        let empty = sign(&keys, &Edge::default())?;
        swap(anchor, None, &empty)?;
        return Ok(Identity {
            keys,
            signed: None,
            note: empty.checkpoint.note.into_bytes(),
        });
    };
    let signed = match keys.open(&note) {
        Ok(signed) => signed,
        Err(error) => {
            let other = anchor.read_other()?;
            let Some(signed) = other.and_then(|other| keys.open(&other).ok()) else {
                return Err(forked(format!(
                    "{}; origin, key and the anchor {} must be those of one log",
                    with_causes(&error),
                    anchor.place()
                )));
            };
            tracing::error!(
                anchor = anchor.place(),
                error = with_causes(&error),
                tree_size = signed.size,
                "the newest checkpoint cannot be trusted, as after a loss of power; the other is used"
            );
            signed
        }
    };
    Ok(Identity {
        keys,
        signed: Some(signed),
        note,
    })
}

/// The same of a log that is read-only: it has no keys, and its anchor is the note that it ends with.
pub(super) fn read_only_identity(
    read_only: &ReadOnly,
    paths: &Paths,
) -> Result<Identity, OpenError> {
    Ok(Identity {
        keys: Keys::default(),
        signed: Some(read_only.head(&paths.folder)?),
        note: read_only.checkpoint.clone().into_bytes(),
    })
}
