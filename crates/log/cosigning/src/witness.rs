//! A witness of other sites' logs.
//!
//! Its folder: `key` (Ed25519 seed, mode 0600), `logs/<SHA-256 of the origin>` (the checkpoint
//! cosigned last, with the log's signatures and the cosignature: all that a witness must remember),
//! `forks/<SHA-256 of the origin>` (the first two checkpoints that prove a log told two stories)
//! and `lock`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fieldledger_contract::WallTime;
use fieldledger_contract::ledger::{self as contract, AsWitness};
use fieldledger_witness::{
    AddCheckpoint, Cosigned, Refusal, Reply, SignedCheckpoint, WatchedLog, WatchedLogs,
    WitnessSigner, judge,
};
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest as _, Sha256};
use tracing::{error, info};

use crate::files::{self, FileError};

/// Why this site cannot be a witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The name cannot name a key.
    #[error("the witness name {0:?} is empty, or has a space, a line end or a plus sign")]
    Name(String),
    /// Another process is this witness.
    #[error("another process holds {}; two with one key could cosign two stories", .0.display())]
    Locked(PathBuf),
    /// The memory is gone, and the key is not.
    #[error(
        "{} is missing beside the key: without it this witness would cosign a log's second story; \
         restore the folder, or remove the key and become another witness",
        .0.display()
    )]
    Forgotten(PathBuf),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A witness. All its methods may block on files.
#[derive(Debug)]
pub struct Witness {
    signer: WitnessSigner,
    watched: WatchedLogs,
    folder: PathBuf,
    /// By origin, each with a lock of its own: judging and writing down are one step.
    memories: BTreeMap<String, Mutex<Memory>>,
    /// Locked as long as this is open.
    _lock: File,
}

/// What is remembered of one log.
#[derive(Debug)]
struct Memory {
    state: State,
    refused: u64,
    problem: String,
}

#[derive(Debug)]
enum State {
    /// Nothing cosigned yet.
    New,
    Cosigned {
        tree: Cosigned,
        time: u64,
        note: String,
    },
    /// What is on disk is unknown, and nothing is cosigned before it is read again.
    Unknown,
}

impl Witness {
    /// Opens the witness in `folder`, or creates it. `name` is its key's name, a URL without scheme
    /// such as `plant.example/witness`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used. A single log whose memory cannot be read is refused later,
    /// by itself.
    pub fn open(folder: &Path, name: &str, watched: WatchedLogs) -> Result<Self, WitnessError> {
        files::create_folder(folder)?;
        let lock = lock(&folder.join("lock"))?;
        let logs = folder.join("logs");
        let key = folder.join("key");
        let seed = match files::read_seed(&key)? {
            Some(_) if !logs.is_dir() => return Err(WitnessError::Forgotten(logs)),
            Some(seed) => seed,
            None => {
                files::create_folder(&logs)?;
                files::create_seed(&key)?
            }
        };
        let signer = WitnessSigner::from_seed(name, &seed)
            .ok_or_else(|| WitnessError::Name(name.to_owned()))?;
        let mut witness = Self {
            signer,
            watched,
            folder: folder.to_owned(),
            memories: BTreeMap::new(),
            _lock: lock,
        };
        let mut memories = BTreeMap::new();
        for log in witness.watched.iter() {
            let mut memory = Memory {
                state: State::Unknown,
                refused: 0,
                problem: String::new(),
            };
            witness.recall(log, &mut memory);
            memories.insert(log.origin().to_owned(), Mutex::new(memory));
        }
        witness.memories = memories;
        info!(key = %witness.signer.key(), logs = witness.memories.len(), "witness of other logs");
        Ok(witness)
    }

    /// Answers the body of a `POST add-checkpoint`. What it cosigns is on disk when this returns.
    #[must_use]
    pub fn add_checkpoint(&self, body: &[u8]) -> Reply {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(malformed) => return Reply::from(&Refusal::Malformed(malformed)),
        };
        let origin = request.checkpoint.origin();
        let watched = self.watched.find(origin);
        let (Some(log), Some(memory)) = (watched, self.memories.get(origin)) else {
            let origin = origin.chars().take(200).collect();
            return Reply::from(&Refusal::UnknownLog(origin));
        };
        let mut memory = memory.lock();
        if matches!(memory.state, State::Unknown) {
            self.recall(log, &mut memory);
        }
        let cosigned = match &memory.state {
            State::New => Cosigned::NOTHING,
            State::Cosigned { tree, .. } => *tree,
            State::Unknown => {
                let body = "this witness cannot read what it cosigned of this log\n".to_owned();
                return Reply::text(500, body);
            }
        };
        match judge(&request, &self.watched, cosigned) {
            Ok(tree) => self.cosign(log, &request.checkpoint, tree, &mut memory),
            Err(refusal) => {
                self.note_refusal(&request.checkpoint, &refusal, &mut memory);
                Reply::from(&refusal)
            }
        }
    }

    fn cosign(
        &self,
        log: &WatchedLog,
        checkpoint: &SignedCheckpoint,
        tree: Cosigned,
        memory: &mut Memory,
    ) -> Reply {
        let cosignature = self.signer.cosign(checkpoint, now());
        let lines = [cosignature.line.as_str()];
        let Ok(note) = checkpoint.note_signed_by(&log.verifiers(), lines) else {
            // `judge` has verified just these signatures.
            return Reply::text(500, "the log's signature does not verify\n".to_owned());
        };
        // Until it is known to be on disk, neither the old nor the new tree may be built on.
        memory.state = State::Unknown;
        let path = self.memory_path(log.origin());
        if let Err(failed) = files::replace(&path, note.as_bytes(), 0o644) {
            memory.problem = format!("{failed}: {}", failed.source);
            error!(
                origin = log.origin(),
                problem = memory.problem,
                "not cosigned"
            );
            let body = "this witness cannot write down what it cosigns\n".to_owned();
            return Reply::text(500, body);
        }
        memory.state = State::Cosigned {
            tree,
            time: cosignature.time,
            note,
        };
        memory.problem.clear();
        Reply::cosigned(&cosignature)
    }

    /// Counts what may mean that a log tells two stories, and keeps what proves it.
    fn note_refusal(&self, checkpoint: &SignedCheckpoint, refusal: &Refusal, memory: &mut Memory) {
        if !matches!(refusal, Refusal::Forked { .. } | Refusal::Unproven { .. }) {
            return;
        }
        memory.refused += 1;
        memory.problem = refusal.to_string();
        let (Refusal::Forked { size }, State::Cosigned { note, .. }) = (refusal, &memory.state)
        else {
            return;
        };
        let origin = checkpoint.origin();
        let folder = self.folder.join("forks");
        let path = folder.join(file_name(origin));
        if path.exists() {
            return;
        }
        let both = format!("{note}\n{}", checkpoint.to_note());
        let kept = files::create_folder(&folder)
            .and_then(|()| files::replace(&path, both.as_bytes(), 0o644));
        let problem = kept.err().map(|failed| failed.to_string());
        error!(
            origin,
            size,
            evidence = %path.display(),
            problem,
            "a log has signed two trees of one size"
        );
    }

    /// The checkpoint cosigned last of the log whose origin has this SHA-256, in lower-case
    /// hexadecimal: what C2SP tlog-witness calls monitor retrieval.
    #[must_use]
    pub fn checkpoint(&self, origin_hash: &str) -> Option<String> {
        let mut origins = self.memories.iter();
        let (_, memory) = origins.find(|(origin, _)| file_name(origin) == origin_hash)?;
        match &locked(memory).state {
            State::Cosigned { note, .. } => Some(note.clone()),
            State::New | State::Unknown => None,
        }
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> AsWitness {
        let logs = self.memories.iter().map(|(origin, memory)| {
            let memory = locked(memory);
            let (size, cosigned_at) = match &memory.state {
                State::Cosigned { tree, time, .. } => {
                    (tree.size, Some(WallTime::from_seconds(*time)))
                }
                State::New | State::Unknown => (0, None),
            };
            contract::WatchedLog {
                origin: origin.clone(),
                size,
                cosigned_at,
                refused: memory.refused,
                problem: memory.problem.clone(),
            }
        });
        AsWitness {
            key: self.signer.key().to_string(),
            logs: logs.collect(),
        }
    }

    fn memory_path(&self, origin: &str) -> PathBuf {
        self.folder.join("logs").join(file_name(origin))
    }

    /// Reads what is on disk. Anything but a checkpoint that this witness has cosigned leaves the
    /// log refused: to begin anew would be to cosign a second story.
    fn recall(&self, log: &WatchedLog, memory: &mut Memory) {
        let path = self.memory_path(log.origin());
        let found = files::read(&path).map_err(|failed| format!("{failed}: {}", failed.source));
        let state = found.and_then(|note| match note {
            None => Ok(State::New),
            Some(note) => self
                .recognise(log, &note)
                .map_err(|problem| format!("{} is {problem}; restore it", path.display())),
        });
        match state {
            Ok(state) => {
                memory.state = state;
                memory.problem.clear();
            }
            Err(problem) => {
                error!(origin = log.origin(), problem, "this log is not cosigned");
                memory.state = State::Unknown;
                memory.problem = problem;
            }
        }
    }

    fn recognise(&self, log: &WatchedLog, note: &[u8]) -> Result<State, &'static str> {
        let signed = SignedCheckpoint::parse(note).map_err(|_| "no checkpoint")?;
        let cosignature = self.signer.key().cosignature_on(&signed);
        let cosignature = cosignature.map_err(|_| "not cosigned with this witness's key")?;
        if signed.origin() != log.origin() {
            return Err("the checkpoint of another log");
        }
        Ok(State::Cosigned {
            tree: Cosigned {
                size: signed.size(),
                root: signed.root(),
            },
            time: cosignature.time,
            note: signed.to_note(),
        })
    }
}

fn locked(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock()
}

/// SHA-256 of the origin in hexadecimal.
fn file_name(origin: &str) -> String {
    hex::encode(Sha256::digest(origin))
}

fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_secs())
}

fn lock(path: &Path) -> Result<File, WitnessError> {
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = opened.map_err(FileError::because("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WitnessError::Locked(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(FileError::because("lock", path)(error).into()),
    }
}
