//! Making a ledger's folder from a backup, without ever making two histories of one log.
//!
//! Only a backup as long as the log its anchor knows becomes a ledger that goes on. Any other can be
//! restored read-only: the file `read-only` in the folder then says why, and a ledger that is opened
//! there answers, but takes nothing and signs nothing. A successor log can begin from it.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_contract::audit::Checkpoint;
use fieldledger_tlog::{Edge, TreeHead, open_checkpoint};
use serde::{Deserialize, Serialize};

use super::backup::{
    Backup, BackupError, Places, Progress, copy_segment, read_manifest, unusable, verified,
};
use crate::anchor;
use crate::config::Config;
use crate::error::{OpenError, StoreError, with_causes};
use crate::head::Head;
use crate::keys::Keys;
use crate::paths::Paths;
use crate::store::disk::{Disk, Durability};
use crate::store::key_file;
use crate::store::segments::Segments;

/// What is to become of a restored log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreMode {
    /// It goes on. Refused unless the backup has all that was signed.
    GoOn,
    /// It can be read, and never goes on.
    ReadOnly,
}

/// A log that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The backup that it was restored from.
    pub backup: Backup,
    /// The newest tree head that is known of the log: the anchor's, or else the backup's. A
    /// successor log names it.
    pub newest: Checkpoint,
}

/// The file `read-only`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReadOnly {
    /// Why nothing is appended.
    pub(crate) reason: String,
    /// The signed note of the last tree.
    pub(crate) checkpoint: String,
    /// Keys that signed it, oldest first.
    pub(crate) verifier_keys: Vec<String>,
}

impl ReadOnly {
    /// Reads the file; none where there is none.
    pub(crate) fn read(disk: &Disk, paths: &Paths) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = disk.read_if_there(&paths.read_only)? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|error| StoreError::Damaged {
            path: paths.read_only.clone(),
            offset: 0,
            problem: format!("{error}; restore the backup again"),
        })
    }

    /// The last tree.
    pub(crate) fn head(&self, folder: &Path) -> Result<TreeHead, OpenError> {
        let key = self.verifier_keys.last().map_or("", |key| key);
        let opened = open_checkpoint(self.checkpoint.as_bytes(), key);
        opened.map_err(|error| OpenError::Forked {
            folder: folder.to_owned(),
            problem: with_causes(&error),
        })
    }

    /// The tree with this edge as it was signed; a start has compared the two.
    pub(crate) fn published(&self, edge: &Edge) -> Head {
        let root = edge.root();
        let origin = self.checkpoint.lines().next().unwrap_or_default();
        Head {
            checkpoint: Checkpoint {
                origin: origin.to_owned(),
                tree_size: edge.size(),
                root_hash: BASE64_STANDARD.encode(root.0),
                note: self.checkpoint.clone(),
                verifier_key: self.verifier_keys.last().cloned().unwrap_or_default(),
                verifier_keys: self.verifier_keys.clone(),
            },
            edge: edge.clone(),
            root,
            keys: None,
        }
    }
}

/// Restores the backup in `source` to the empty folder of `config`, whose `anchor` is the one that
/// the log had. `key` is the log's key file, where the backup has none.
///
/// # Errors
///
/// [`BackupError::Behind`] where the log had gone on after the backup, [`BackupError::NoAnchor`]
/// where nothing says so, and whatever is wrong with backup, key or folder.
pub fn restore(
    source: &Path,
    config: &Config,
    key: Option<&Path>,
    mode: RestoreMode,
    progress: Progress<'_>,
) -> Result<Restored, BackupError> {
    let disk = Disk::new(config.faults.clone());
    let paths = Paths::of(&config.folder);
    let places = Places::of(source);
    if paths.folder.exists() && !disk.list(&paths.folder)?.is_empty() {
        return Err(unusable(
            &paths.folder,
            "it is not empty; give an empty folder",
        ));
    }
    let backup = read_manifest(&disk, &places)?.ok_or_else(|| {
        unusable(
            &places.manifest,
            "it is missing; this is not a finished backup",
        )
    })?;
    let (note, head, walked) = verified(&disk, &places, &backup, progress)?;
    let newest = newest(&disk, config, &backup, (&note, &head), mode)?;
    let seeds = match mode {
        RestoreMode::ReadOnly => None,
        RestoreMode::GoOn => Some(seeds(&disk, &places, key, &note, &head)?),
    };

    disk.create_folder(&paths.segments)?;
    // Until the last file is there, what is there is never taken for a log that goes on.
    let reason = match mode {
        RestoreMode::GoOn => "it was not restored to the end; restore it again".to_owned(),
        RestoreMode::ReadOnly => format!(
            "it was restored read-only from a backup of {} entries, while {} were signed",
            head.size, newest.tree_size
        ),
    };
    let read_only = ReadOnly {
        reason,
        checkpoint: String::from_utf8_lossy(&note).into_owned(),
        verifier_keys: backup.verifier_keys.clone(),
    };
    let text = serde_json::to_vec_pretty(&read_only)
        .map_err(|error| unusable(&paths.read_only, &error.to_string()))?;
    disk.replace(&paths.read_only, &text, 0o644, Durability::Power)?;
    let of = walked.ends.len() as u64;
    for (done, &(first, end)) in (1..).zip(&walked.ends) {
        copy(&disk, &places, &paths, first, end)?;
        progress("copying", done, of);
    }
    disk.sync_folder(&paths.segments)?;
    if let Some(seeds) = seeds {
        key_file::write(&disk, &paths.key, &seeds)?;
        disk.remove(&paths.read_only)?;
        disk.sync_folder(&paths.folder)?;
    }
    Ok(Restored { backup, newest })
}

/// The newest tree head that is known; refuses what would fork the log.
fn newest(
    disk: &Disk,
    config: &Config,
    backup: &Backup,
    (note, head): (&[u8], &TreeHead),
    mode: RestoreMode,
) -> Result<Checkpoint, BackupError> {
    let of_backup = checkpoint(note, head, backup);
    let place = anchor::name_of(&config.anchor, &config.folder);
    let notes = anchor::peek(&config.anchor, &config.folder, disk)?;
    let notes = notes.into_iter().flatten();
    let Some(anchored) = notes.max_by_key(|note| anchor::size_of(note)) else {
        return match mode {
            RestoreMode::ReadOnly => Ok(of_backup),
            RestoreMode::GoOn => Err(BackupError::NoAnchor {
                backup: head.size,
                place,
            }),
        };
    };
    // Its keys may be newer than those the backup knows: then only its size counts.
    let known = backup.verifier_keys.iter();
    let opened = known
        .rev()
        .find_map(|key| open_checkpoint(&anchored, key).ok());
    let lines: Vec<&[u8]> = anchored.splitn(4, |&byte| byte == b'\n').collect();
    let line = |at: usize| String::from_utf8_lossy(lines.get(at).copied().unwrap_or_default());
    if line(0) != head.origin {
        let problem = format!("it is the anchor of {}, not of {}", line(0), head.origin);
        return Err(unusable(Path::new(&place), &problem));
    }
    let size: u64 = line(1)
        .parse()
        .map_err(|_| unusable(Path::new(&place), "it holds no signed tree head"))?;
    let of_anchor = Checkpoint {
        origin: head.origin.clone(),
        tree_size: size,
        root_hash: line(2).into_owned(),
        note: String::from_utf8_lossy(&anchored).into_owned(),
        ..of_backup.clone()
    };
    let same = size == head.size && of_anchor.root_hash == of_backup.root_hash;
    match mode {
        RestoreMode::ReadOnly if size >= head.size => Ok(of_anchor),
        RestoreMode::ReadOnly => Ok(of_backup),
        RestoreMode::GoOn if size > head.size => Err(BackupError::Behind {
            backup: head.size,
            anchor: size,
            place,
        }),
        RestoreMode::GoOn if opened.is_none() => Err(unusable(
            Path::new(&place),
            "what it holds is not signed with the keys of the backup",
        )),
        RestoreMode::GoOn if size == head.size && !same => Err(unusable(
            Path::new(&place),
            "it holds another tree of as many entries: the log was forked before",
        )),
        RestoreMode::GoOn => Ok(of_backup),
    }
}

fn checkpoint(note: &[u8], head: &TreeHead, backup: &Backup) -> Checkpoint {
    Checkpoint {
        origin: head.origin.clone(),
        tree_size: head.size,
        root_hash: BASE64_STANDARD.encode(head.root.0),
        note: String::from_utf8_lossy(note).into_owned(),
        verifier_key: backup.verifier_keys.last().cloned().unwrap_or_default(),
        verifier_keys: backup.verifier_keys.clone(),
    }
}

/// The secret keys, which must be those that signed the backup's tree head.
fn seeds(
    disk: &Disk,
    places: &Places,
    key: Option<&Path>,
    note: &[u8],
    head: &TreeHead,
) -> Result<Vec<key_file::Seed>, BackupError> {
    let path = key.unwrap_or(&places.key);
    let seeds = key_file::read(disk, path)?.ok_or_else(|| {
        unusable(
            path,
            "the log's key is missing from the backup, and without it the log cannot go on; name \
             the key file, or restore read-only",
        )
    })?;
    let opened = Keys::of(&head.origin, &seeds).and_then(|keys| keys.open(note));
    match opened {
        Ok(_) => Ok(seeds),
        Err(error) => Err(unusable(path, &with_causes(&error))),
    }
}

fn copy(
    disk: &Disk,
    places: &Places,
    paths: &Paths,
    first: u64,
    end: u64,
) -> Result<(), BackupError> {
    let source = Segments::new(disk.clone(), places.segments.clone(), None).open(first)?;
    let target = Segments::new(disk.clone(), paths.segments.clone(), None);
    copy_segment(disk, &source, &target.path_of(first), 0..end)?;
    Ok(())
}
