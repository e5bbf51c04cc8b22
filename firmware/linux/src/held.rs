//! Held readings, in a file that is used like flash.
//!
//! The file has its whole size from the beginning, so that a full disk is found at the start and not in an
//! outage. What is written is on the disk once [`HeldFile::sync`] returns, which the program calls once for
//! all that the device had to say.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use fieldledger_attest::SensorId;
use fieldledger_device::{Kept, Offer};
use fieldledger_held::{HeldError, Ring, Store};
use thiserror::Error;

use crate::folder::sync_folder_of;

/// 256 sectors: 7,140 readings at least, more than 13 rings.
const FILE_BYTES: u32 = 1 << 20;

/// A page of memory, and of most disks.
const SECTOR_BYTES: usize = 4_096;

/// Why a machine holds no readings.
#[derive(Debug, Error)]
pub(crate) enum HeldFileError {
    /// What the operating system says.
    #[error("cannot {operation} the file for readings {}", path.display())]
    File {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Another program has it.
    #[error("file for readings {} is in use", path.display())]
    InUse { path: PathBuf },
    /// What the ring in it says.
    #[error("file for readings {} cannot be used", path.display())]
    Ring { path: PathBuf, source: HeldError },
}

/// A file as flash: it reads and writes anywhere, and erases by writing ones.
#[derive(Debug)]
struct FlashFile {
    file: File,
    needs_sync: bool,
}

/// What the operating system says goes to the log; the ring only needs to know that there was something.
#[derive(Debug)]
struct FlashFileError;

impl From<io::Error> for FlashFileError {
    fn from(error: io::Error) -> Self {
        tracing::warn!(%error, "cannot use the file for readings");
        Self
    }
}

impl NorFlashError for FlashFileError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl ErrorType for FlashFile {
    type Error = FlashFileError;
}

impl ReadNorFlash for FlashFile {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashFileError> {
        Ok(self.file.read_exact_at(bytes, offset.into())?)
    }

    fn capacity(&self) -> usize {
        FILE_BYTES as usize
    }
}

impl NorFlash for FlashFile {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashFileError> {
        for sector in (from..to).step_by(SECTOR_BYTES) {
            let blank = [0xff; SECTOR_BYTES];
            self.file.write_all_at(&blank, sector.into())?;
        }
        Ok(self.file.sync_data()?)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashFileError> {
        self.needs_sync = true;
        Ok(self.file.write_all_at(bytes, offset.into())?)
    }
}

impl MultiwriteNorFlash for FlashFile {}

/// The file of held readings.
#[derive(Debug)]
pub(crate) struct HeldFile {
    path: PathBuf,
    store: Store<FlashFile>,
}

impl HeldFile {
    /// Opens the file, or makes it with mode 600. A device without one works, and forgets when it stops.
    pub(crate) fn open(path: &Path) -> Self {
        let ring = open(path).inspect_err(|error| {
            let error: &dyn std::error::Error = error;
            tracing::warn!(error, "held readings do not survive a restart");
        });
        Self {
            path: path.to_owned(),
            store: Store::new(ring.ok()),
        }
    }

    fn report(&self, done: Result<(), HeldError>) {
        if let Err(error) = done {
            let path = self.path.display();
            tracing::error!(%path, %error, "held readings do not survive a restart");
        }
    }

    /// Keeps a reading.
    pub(crate) fn keep(&mut self, reading: &Kept<'_>) {
        let kept = self.store.keep(reading);
        self.report(kept);
    }

    /// Forgets those of this sensor and boot up to and with number `through`.
    pub(crate) fn forget(&mut self, sensor: SensorId, boot: &str, through: u64) {
        let forgotten = self.store.forget(sensor, boot, through);
        self.report(forgotten);
    }

    /// Gives those of earlier boots to `take`, oldest first, until there is no room.
    pub(crate) fn give_earlier(&mut self, take: impl FnMut(&Kept<'_>) -> Offer) {
        let given = self.store.give_earlier(take);
        self.report(given);
    }

    /// Waits until all that is held is on the disk.
    pub(crate) fn sync(&mut self) {
        let synced = self.store.with_flash(|flash| {
            if std::mem::take(&mut flash.needs_sync) {
                let synced = flash.file.sync_data().map_err(FlashFileError::from);
                synced.map_err(|error| HeldError::Medium {
                    operation: "sync",
                    kind: error.kind(),
                })?;
            }
            Ok(())
        });
        self.report(synced);
    }
}

fn open(path: &Path) -> Result<Ring<FlashFile>, HeldFileError> {
    let failed = |operation| {
        move |source| HeldFileError::File {
            operation,
            path: path.to_owned(),
            source,
        }
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.mode(0o600).open(path).map_err(failed("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let path = path.to_owned();
            return Err(HeldFileError::InUse { path });
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
    }
    let length = file.metadata().map_err(failed("look at"))?.len();
    if length != u64::from(FILE_BYTES) {
        let blank = vec![0xff; FILE_BYTES as usize];
        file.set_len(FILE_BYTES.into()).map_err(failed("size"))?;
        file.write_all_at(&blank, 0).map_err(failed("write to"))?;
        file.sync_all().map_err(failed("sync"))?;
        sync_folder_of(path).map_err(failed("sync the folder of"))?;
    }
    let needs_sync = false;
    Ring::open(FlashFile { file, needs_sync }, 0..FILE_BYTES).map_err(|source| {
        HeldFileError::Ring {
            path: path.to_owned(),
            source,
        }
    })
}
