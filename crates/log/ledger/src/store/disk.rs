//! The disk as the ledger uses it: every operation on its files goes through here, so that errors
//! say what was tried on which file, and tests can make any of them fail (see [`Faults`]).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FallocateFlags, RenameFlags, fallocate, renameat_with};
use rustix::io::Errno;

use super::faults::{Change, Done, Faults};
use crate::error::StoreError;

/// Operations on files and folders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    faults: Option<Faults>,
}

/// How much a replaced file must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of this process.
    Process,
    /// The loss of power.
    Power,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To be read; it must be there.
    Read,
    /// To be read and written; it must be there.
    Write,
    /// To be read and written; created if it is missing.
    Create,
}

/// A file that is open.
#[derive(Debug)]
pub(crate) struct DiskFile {
    disk: Disk,
    path: PathBuf,
    file: File,
}

impl Disk {
    /// A disk that does what it is told, or what `faults` make of it.
    pub(crate) fn new(faults: Option<Faults>) -> Self {
        Self { faults }
    }

    /// Opens a file.
    pub(crate) fn open(&self, path: &Path, mode: Mode) -> Result<DiskFile, StoreError> {
        self.open_with(path, mode, 0o644)
    }

    fn open_with(&self, path: &Path, mode: Mode, bits: u32) -> Result<DiskFile, StoreError> {
        let creates = mode == Mode::Create && !path.exists();
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(mode != Mode::Read)
            .create(mode == Mode::Create)
            .truncate(false)
            .mode(bits);
        let open = || options.open(path);
        let operation = if creates { "create" } else { "open" };
        let change = creates.then(|| Change::Created(path.to_owned()));
        let file = self
            .call(change, open)
            .map_err(StoreError::io(operation, path))?;
        Ok(DiskFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        })
    }

    /// Makes the entries of a folder durable: which files it has, under which names.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), StoreError> {
        let synced = match &self.faults {
            None => File::open(folder).and_then(|opened| opened.sync_all()),
            Some(faults) => faults.step(None, |_| {
                faults.folder_is_safe(folder);
                Ok(())
            }),
        };
        synced.map_err(StoreError::io("sync", folder))
    }

    /// Creates a folder and those above it, durably.
    pub(crate) fn create_folder(&self, folder: &Path) -> Result<(), StoreError> {
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|above| !above.as_os_str().is_empty() && !above.is_dir())
            .collect();
        self.create_volatile_folder(folder)?;
        for parent in missing.into_iter().filter_map(Path::parent) {
            let here = parent.as_os_str().is_empty();
            self.sync_folder(if here { Path::new(".") } else { parent })?;
        }
        Ok(())
    }

    /// Creates a folder and those above it. They may be lost with the power.
    pub(crate) fn create_volatile_folder(&self, folder: &Path) -> Result<(), StoreError> {
        if folder.is_dir() {
            return Ok(());
        }
        let missing = folder
            .ancestors()
            .take_while(|above| !above.is_dir())
            .last();
        let change = missing.map(|topmost| Change::CreatedFolder(topmost.to_owned()));
        self.call(change, || fs::create_dir_all(folder))
            .map_err(StoreError::io("create", folder))
    }

    /// Paths of what is in the folder.
    pub(crate) fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let list = || {
            let items = fs::read_dir(folder)?;
            items.map(|item| Ok(item?.path())).collect()
        };
        self.call(None, list)
            .map_err(StoreError::io("list", folder))
    }

    /// The file's bytes; none where there is no such file.
    pub(crate) fn read_if_there(&self, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        match self.call(None, || fs::read(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// The file's `length` bytes from `offset` on; none where there is no such file, or it ends before
    /// them.
    pub(crate) fn read_part_if_there(
        &self,
        path: &Path,
        offset: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut bytes = vec![0; length];
        let read = || File::open(path)?.read_exact_at(&mut bytes, offset);
        match self.call(None, read) {
            Ok(()) => Ok(Some(bytes)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::UnexpectedEof
                        // An offset that no file reaches.
                        | io::ErrorKind::InvalidInput
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// Gives back the room of a part of a file, which reads as zeros from then on. Where there is no
    /// such file nothing is done, nor where the file system cannot.
    pub(crate) fn give_back(&self, path: &Path, part: Range<u64>) -> Result<(), StoreError> {
        if part.is_empty() {
            return Ok(());
        }
        let open = || OpenOptions::new().write(true).read(true).open(path);
        let given_back = match &self.faults {
            None => open().and_then(|file| punch(&file, &part)),
            Some(faults) => faults.step(None, |_| {
                let file = open()?;
                let length = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
                faults.note_bytes(&file, part.start, length)?;
                punch(&file, &part)
            }),
        };
        match given_back {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("give back room of", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Replaces the whole file: a reader, and a start after a crash, finds all old or all new
    /// bytes. `bits` are the permissions of a new file.
    pub(crate) fn replace(
        &self,
        path: &Path,
        bytes: &[u8],
        bits: u32,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let temporary = path.with_added_extension("tmp");
        if let Err(error) = self.write_new(&temporary, bytes, bits, durability) {
            // On a full disk it would be in the way.
            let _ = self.remove(&temporary);
            return Err(error);
        }
        self.rename(&temporary, path)?;
        match (durability, path.parent()) {
            (Durability::Power, Some(folder)) => self.sync_folder(folder),
            _ => Ok(()),
        }
    }

    fn write_new(
        &self,
        path: &Path,
        bytes: &[u8],
        bits: u32,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let file = self.open_with(path, Mode::Create, bits)?;
        // What a crash left may be longer.
        file.set_len(0)?;
        file.write_at(bytes, 0)?;
        match durability {
            Durability::Process => Ok(()),
            Durability::Power => file.sync(),
        }
    }

    /// Gives a file another name; a file that has it is replaced.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        let replaced = self.faults.as_ref().and_then(|_| fs::read(to).ok());
        let change = Change::Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
            replaced,
        };
        self.call(Some(change), || fs::rename(from, to))
            .map_err(StoreError::io("replace", to))
    }

    /// Lets two files exchange their names at once. Not every file system can.
    pub(crate) fn exchange(&self, one: &Path, other: &Path) -> Result<(), StoreError> {
        let change = Change::Exchanged(one.to_owned(), other.to_owned());
        let exchange =
            || renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(io::Error::from);
        self.call(Some(change), exchange)
            .map_err(StoreError::io("exchange", other))
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        let bytes = self.faults.as_ref().and_then(|_| fs::read(path).ok());
        let change = bytes.map(|bytes| Change::Removed {
            path: path.to_owned(),
            bytes,
        });
        match self.call(change, || fs::remove_file(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// A request to an object store is made, or its answer is there: what a fault at this point
    /// does, happens.
    pub(crate) fn request(&self, operation: &'static str, url: &str) -> Result<(), StoreError> {
        self.call(None, || Ok(()))
            .map_err(StoreError::io(operation, Path::new(url)))
    }

    fn call<T>(
        &self,
        change: Option<Change>,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match &self.faults {
            None => work(),
            Some(faults) => faults.step(change, |_| work()),
        }
    }
}

impl DiskFile {
    /// Where it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all bytes at `offset`. After an error some of them may be there.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), StoreError> {
        let written = match &self.disk.faults {
            None => self.file.write_all_at(bytes, offset),
            Some(faults) => faults.step(None, |done| {
                let bytes = match done {
                    Done::Half => &bytes[..bytes.len() / 2],
                    Done::Nothing | Done::All => bytes,
                };
                faults.note_bytes(&self.file, offset, bytes.len())?;
                self.file.write_all_at(bytes, offset)
            }),
        };
        written.map_err(StoreError::io("write", &self.path))
    }

    /// Fills `bytes` from `offset` on.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.disk
            .call(None, || self.file.read_exact_at(bytes, offset))
            .map_err(StoreError::io("read", &self.path))
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> Result<u64, StoreError> {
        self.disk
            .call(None, || Ok(self.file.metadata()?.len()))
            .map_err(StoreError::io("read the size of", &self.path))
    }

    /// Cuts it, or makes it longer with zeros.
    pub(crate) fn set_len(&self, length: u64) -> Result<(), StoreError> {
        let cut = match &self.disk.faults {
            None => self.file.set_len(length),
            Some(faults) => faults.step(None, |_| {
                let longest = self.file.metadata()?.len().saturating_sub(length);
                let bytes = usize::try_from(longest).unwrap_or(usize::MAX);
                faults.note_bytes(&self.file, length, bytes)?;
                self.file.set_len(length)
            }),
        };
        cut.map_err(StoreError::io("cut", &self.path))
    }

    /// As [`Disk::give_back`].
    pub(crate) fn give_back(&self, part: Range<u64>) -> Result<(), StoreError> {
        self.disk.give_back(&self.path, part)
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.sync_with(File::sync_all)
    }

    /// Makes what was written durable, but for times and the like.
    pub(crate) fn sync_data(&self) -> Result<(), StoreError> {
        self.sync_with(File::sync_data)
    }

    fn sync_with(&self, sync: fn(&File) -> io::Result<()>) -> Result<(), StoreError> {
        let synced = match &self.disk.faults {
            None => sync(&self.file),
            // Nothing is as slow as a sync, and its effect is in the faults' own books.
            Some(faults) => faults.step(None, |_| faults.file_is_safe(&self.file)),
        };
        synced.map_err(StoreError::io("sync", &self.path))
    }
}

/// Makes a hole of these bytes, where the file system can.
fn punch(file: &File, bytes: &Range<u64>) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match fallocate(file, flags, bytes.start, bytes.end - bytes.start) {
        Err(Errno::OPNOTSUPP) => Ok(()),
        punched => punched.map_err(io::Error::from),
    }
}
