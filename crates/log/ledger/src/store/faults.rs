//! A disk that fails, dies, is slow or loses power, for tests.
//!
//! With [`crate::Config::faults`] set, every operation on the log's files is counted, and one of
//! them can be made to go wrong. What was not synced is written down, so that a loss of power can
//! undo it: bytes of files until the file is synced, names until their folder is.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rustix::fs::{CWD, RenameFlags, renameat_with};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation does nothing and reports this error; later ones work again.
    Error(io::ErrorKind),
    /// Half of what is to be written is, then the disk is full; later operations work again.
    Short,
    /// The operation is done as far as this says, and no other is done any more.
    Death(Done),
}

/// How far an operation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It had no effect.
    Nothing,
    /// Half of the bytes were written; what writes none had no effect.
    Half,
    /// It was done, but nobody learned of it.
    All,
}

/// Makes operations fail. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: u64,
    planned: HashMap<u64, Fault>,
    /// From which call on all fail, in the end.
    broken_from: Option<(u64, io::ErrorKind)>,
    dead: bool,
    delay: Duration,
    journal: Vec<Unsafe>,
}

/// Something that a loss of power undoes.
#[derive(Debug)]
enum Unsafe {
    Bytes {
        file: File,
        id: FileId,
        offset: u64,
        before: Vec<u8>,
        length: u64,
    },
    Name(Change),
}

/// A file, under whichever name.
type FileId = (u64, u64);

/// A change of names.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Created(PathBuf),
    CreatedFolder(PathBuf),
    Renamed {
        from: PathBuf,
        to: PathBuf,
        /// What had the name.
        replaced: Option<Vec<u8>>,
    },
    Exchanged(PathBuf, PathBuf),
    Removed {
        path: PathBuf,
        bytes: Vec<u8>,
    },
}

/// What a loss of power takes of the things that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerLoss {
    /// All.
    Everything,
    /// The newest bytes of some files, and the newest names of some folders, drawn by this lot.
    Some(u64),
}

impl Faults {
    /// Lets call `number`, counted from 1, go wrong.
    pub fn plan(&self, number: u64, fault: Fault) {
        self.state().planned.insert(number, fault);
    }

    /// Lets every call from `number` on report this error.
    pub fn plan_all_from(&self, number: u64, error: io::ErrorKind) {
        self.state().broken_from = Some((number, error));
    }

    /// Lets every call take at least this long.
    pub fn slow_down(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Whether operations are still done.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.state().dead
    }

    /// Lets nothing more be done.
    pub fn die(&self) {
        self.state().dead = true;
    }

    /// Undoes what was not synced. Nothing may have the files open.
    ///
    /// # Errors
    ///
    /// When the test's own files cannot be changed.
    pub fn lose_power(&self, loss: PowerLoss) -> io::Result<()> {
        let mut state = self.state();
        state.dead = true;
        let journal = std::mem::take(&mut state.journal);
        drop(state);
        let kept = kept(&journal, loss);
        for (position, entry) in journal.into_iter().enumerate().rev() {
            if !kept.contains(&position) {
                entry.undo()?;
            }
        }
        Ok(())
    }

    /// One call: does the work, unless it was planned otherwise.
    pub(crate) fn step<T>(
        &self,
        change: Option<Change>,
        work: impl FnOnce(Done) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        let delay = state.delay;
        if state.dead {
            return Err(io::Error::other("the disk is gone"));
        }
        state.calls += 1;
        let number = state.calls;
        let broken = state.broken_from.filter(|(from, _)| number >= *from);
        let fault = state.planned.remove(&number);
        let fault = fault.or_else(|| broken.map(|(_, error)| Fault::Error(error)));
        state.dead = matches!(fault, Some(Fault::Death(_)));
        drop(state);
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        // What changes names is done whole or not at all.
        let half = change.is_none().then_some(Done::Half);
        let (done, error) = match fault {
            None => (Some(Done::All), None),
            Some(Fault::Error(kind)) => (None, Some(kind)),
            Some(Fault::Short) => (half, Some(io::ErrorKind::StorageFull)),
            Some(Fault::Death(Done::Nothing)) => (None, Some(io::ErrorKind::Other)),
            Some(Fault::Death(Done::Half)) => (half, Some(io::ErrorKind::Other)),
            Some(Fault::Death(Done::All)) => (Some(Done::All), Some(io::ErrorKind::Other)),
        };
        let result = match done {
            None => None,
            Some(done) => {
                let result = work(done)?;
                self.state().journal.extend(change.map(Unsafe::Name));
                Some(result)
            }
        };
        match (result, error) {
            (Some(result), None) => Ok(result),
            (_, error) => {
                let kind = error.unwrap_or(io::ErrorKind::Other);
                Err(io::Error::new(kind, format!("planned for call {number}")))
            }
        }
    }

    /// `length` bytes from `offset` on will be written or cut off.
    pub(crate) fn note_bytes(&self, file: &File, offset: u64, length: usize) -> io::Result<()> {
        let metadata = file.metadata()?;
        let old = metadata.len();
        let there = usize::try_from(old.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut before = vec![0; length.min(there)];
        file.read_exact_at(&mut before, offset)?;
        self.state().journal.push(Unsafe::Bytes {
            file: file.try_clone()?,
            id: (metadata.dev(), metadata.ino()),
            offset,
            before,
            length: old,
        });
        Ok(())
    }

    /// The file's bytes can no longer be lost.
    pub(crate) fn file_is_safe(&self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        let synced = (metadata.dev(), metadata.ino());
        let lost = |entry: &Unsafe| !matches!(entry, Unsafe::Bytes { id, .. } if *id == synced);
        self.state().journal.retain(lost);
        Ok(())
    }

    /// The folder's names can no longer be lost.
    pub(crate) fn folder_is_safe(&self, folder: &Path) {
        let lost = |entry: &Unsafe| match entry {
            Unsafe::Bytes { .. } => true,
            Unsafe::Name(change) => change.folder() != folder,
        };
        self.state().journal.retain(lost);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

/// Positions in the journal of what survives: of each file and each folder, what came first.
fn kept(journal: &[Unsafe], loss: PowerLoss) -> HashSet<usize> {
    let PowerLoss::Some(seed) = loss else {
        return HashSet::new();
    };
    let mut random = seed.wrapping_mul(2).wrapping_add(1);
    let mut chance = move |percent: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % 100 < percent
    };
    let mut lost_files: HashSet<FileId> = HashSet::new();
    let mut lost_folders: HashSet<&Path> = HashSet::new();
    let mut kept = HashSet::new();
    for (position, entry) in journal.iter().enumerate() {
        let lost = !chance(70);
        let survives = match entry {
            Unsafe::Bytes { id, .. } if lost => {
                lost_files.insert(*id);
                false
            }
            Unsafe::Bytes { id, .. } => !lost_files.contains(id),
            Unsafe::Name(change) if lost => {
                lost_folders.insert(change.folder());
                false
            }
            Unsafe::Name(change) => !lost_folders.contains(change.folder()),
        };
        if survives {
            kept.insert(position);
        }
    }
    kept
}

impl Change {
    /// The folder whose sync makes it safe.
    fn folder(&self) -> &Path {
        let (Self::Created(path)
        | Self::CreatedFolder(path)
        | Self::Renamed { to: path, .. }
        | Self::Exchanged(_, path)
        | Self::Removed { path, .. }) = self;
        path.parent().unwrap_or(path)
    }

    fn undo(self) -> io::Result<()> {
        match self {
            Self::Created(path) => fs::remove_file(path),
            Self::CreatedFolder(path) => fs::remove_dir_all(path),
            Self::Renamed { from, to, replaced } => {
                fs::rename(&to, from)?;
                match replaced {
                    Some(bytes) => fs::write(to, bytes),
                    None => Ok(()),
                }
            }
            Self::Exchanged(one, other) => {
                Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
            }
            Self::Removed { path, bytes } => fs::write(path, bytes),
        }
    }
}

impl Unsafe {
    fn undo(self) -> io::Result<()> {
        let undone = match self {
            Self::Bytes {
                file,
                offset,
                before,
                length,
                ..
            } => file
                .set_len(length)
                .and_then(|()| file.write_all_at(&before, offset)),
            Self::Name(change) => change.undo(),
        };
        match undone {
            // In a folder that went before it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            undone => undone,
        }
    }
}
