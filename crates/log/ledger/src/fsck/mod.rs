//! Checks a whole log without opening it: every file is read, and what is not as it should be is
//! listed with its place and what to do about it.
//!
//! Nothing is written. A log that another process has open is checked up to the signed tree head
//! that is found first; one that nobody has open is kept from being opened meanwhile.

mod report;
mod walk;

use std::fs::{File, TryLockError};

use fieldledger_tlog::TreeHead;

pub use report::{Finding, FindingKind, Progress, Report, Severity};

use crate::anchor;
use crate::config::Config;
use crate::error::{OpenError, StoreError, with_causes};
use crate::keys::Keys;
use crate::life::restore::ReadOnly;
use crate::paths::Paths;
use crate::store::archive::Archive;
use crate::store::disk::Disk;
use crate::store::key_file;
use report::Findings;
use walk::Walk;

/// Checks the log of the ledger that `config` describes, and tells `progress` now and then how far it
/// is. What is wrong with the log is in the report; repeated checks of an unchanged log give the same.
///
/// # Errors
///
/// When there is no ledger, or a file that is there cannot be read.
pub fn check(config: &Config, progress: &mut dyn FnMut(Progress)) -> Result<Report, OpenError> {
    let paths = Paths::of(&config.folder);
    if !paths.segments.is_dir() {
        return Err(OpenError::Setting {
            setting: "folder",
            problem: format!("there is no log in {}", paths.folder.display()),
        });
    }
    let disk = Disk::new(config.faults.clone());
    let lock = try_lock(&paths)?;
    let in_use = matches!(lock, Lock::Others);
    let mut findings = Findings::default();
    // Before all else: whatever is signed by now must be there.
    let place = anchor::name_of(&config.anchor, &paths.folder);
    let notes = anchor::peek(&config.anchor, &paths.folder, &disk)?;
    let (signed, verifier_keys) = signed(&disk, &paths, config, &place, notes, &mut findings)?;
    let archive = Archive::open_configured(&disk, &paths.folder, config.archive.as_ref())?;
    let mut walk = Walk::new(&disk, &paths, archive, signed.as_ref(), in_use, findings)?;
    walk.run(progress)?;
    let walked = walk.finish(config.index)?;
    drop(lock);
    let (findings, left_out) = walked.findings.into_parts();
    Ok(Report {
        origin: config.origin.clone(),
        verifier_keys,
        folder: paths.folder,
        anchor: place,
        in_use,
        signed_size: signed.map(|signed| signed.size),
        entries: walked.entries,
        segments: walked.segments,
        bytes: walked.bytes,
        findings,
        left_out,
    })
}

/// Removes the derived files that the report found wrong; they are computed again. Returns them.
///
/// # Errors
///
/// When another process has the log open, or a file cannot be removed.
pub fn repair(config: &Config, report: &Report) -> Result<Vec<std::path::PathBuf>, OpenError> {
    let paths = Paths::of(&config.folder);
    let lock = try_lock(&paths)?;
    if matches!(lock, Lock::Others) {
        return Err(OpenError::Locked { path: paths.lock });
    }
    let disk = Disk::new(config.faults.clone());
    let mut removed = Vec::new();
    for finding in &report.findings {
        if finding.severity != Severity::Repairable || !finding.kind.is_derived() {
            continue;
        }
        // The offsets of what the snapshot covers are written with it only.
        let together = match finding.kind {
            FindingKind::Offsets => vec![finding.file.clone(), paths.snapshot.clone()],
            _ => vec![finding.file.clone()],
        };
        for path in together {
            if path.is_dir() {
                std::fs::remove_dir_all(&path).map_err(StoreError::io("remove", &path))?;
            } else if path.exists() {
                disk.remove(&path)?;
            } else {
                continue;
            }
            removed.push(path);
        }
    }
    drop(lock);
    Ok(removed)
}

/// Who has the log open.
enum Lock {
    /// Nobody can as long as this lives; none where it never was opened.
    Ours(#[allow(dead_code)] Option<File>),
    Others,
}

fn try_lock(paths: &Paths) -> Result<Lock, OpenError> {
    let file = match File::open(&paths.lock) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Lock::Ours(None)),
        Err(error) => return Err(StoreError::io("open", &paths.lock)(error).into()),
    };
    match file.try_lock() {
        Ok(()) => Ok(Lock::Ours(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(Lock::Others),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &paths.lock)(error).into()),
    }
}

/// The signed tree head in the anchor, if all about it is in order, and the keys that sign.
fn signed(
    disk: &Disk,
    paths: &Paths,
    config: &Config,
    place: &str,
    [note, other]: [Option<Vec<u8>>; 2],
    findings: &mut Findings,
) -> Result<(Option<TreeHead>, Vec<String>), OpenError> {
    if let Some(read_only) = ReadOnly::read(disk, paths)? {
        // It has neither key nor anchor, but the checkpoint that it ends with.
        return match read_only.head(&paths.folder) {
            Ok(signed) => Ok((Some(signed), read_only.verifier_keys)),
            Err(error) => {
                findings.add(Finding {
                    kind: FindingKind::Checkpoint,
                    severity: Severity::Damage,
                    file: paths.read_only.clone(),
                    offset: None,
                    entry: None,
                    problem: with_causes(&error),
                    advice: "restore the backup again".to_owned(),
                });
                Ok((None, read_only.verifier_keys))
            }
        };
    }
    let seeds = match key_file::read(disk, &paths.key) {
        Ok(Some(seeds)) => Some(seeds),
        Ok(None) => {
            findings.add(Finding {
                kind: FindingKind::Key,
                severity: Severity::Damage,
                file: paths.key.clone(),
                offset: None,
                entry: None,
                problem: "the key is missing".to_owned(),
                advice: "restore it from a backup: another key would be another log".to_owned(),
            });
            None
        }
        Err(StoreError::Damaged { path, problem, .. }) => {
            findings.add(Finding {
                kind: FindingKind::Key,
                severity: Severity::Damage,
                file: path,
                offset: Some(0),
                entry: None,
                problem,
                advice: "restore it from a backup".to_owned(),
            });
            None
        }
        Err(error) => return Err(error.into()),
    };
    let mut checkpoint = |severity: Severity, problem: String, advice: &str| {
        findings.add(Finding {
            kind: FindingKind::Checkpoint,
            severity,
            file: place.into(),
            offset: None,
            entry: None,
            problem,
            advice: advice.to_owned(),
        });
    };
    if note.is_none() {
        checkpoint(
            Severity::Damage,
            "the anchor holds no checkpoint, so nothing says how many entries there must be"
                .to_owned(),
            "restore the anchor, or say where it is",
        );
    }
    let Some(seeds) = seeds else {
        return Ok((None, Vec::new()));
    };
    let keys = Keys::of(&config.origin, &seeds).map_err(|error| OpenError::Setting {
        setting: "origin",
        problem: with_causes(&error),
    })?;
    let verifier_keys = keys.verifier_keys();
    let Some(note) = note else {
        return Ok((None, verifier_keys));
    };
    let error = match keys.open(&note) {
        Ok(signed) => return Ok((Some(signed), verifier_keys)),
        Err(error) => with_causes(&error),
    };
    let other = other.and_then(|other| keys.open(&other).ok());
    match &other {
        Some(other) => checkpoint(
            Severity::Repairable,
            format!(
                "{error}; the other one beside it, of {} entries, is signed",
                other.size
            ),
            "a loss of power can do this, and the next start uses the other one; without one, find out \
             who changed it",
        ),
        None => checkpoint(
            Severity::Damage,
            error,
            "origin, key and anchor must be those of one log: restore the one that was changed",
        ),
    }
    Ok((other, verifier_keys))
}
