//! Full blocks on the disk.
//!
//! `magic (8) || length of the head u32 LE || CRC-32C of the head u32 LE || head || columns`. The head has
//! the length and the CRC-32C of each column, and then what [`Head`] has. A file is written beside its
//! place and moved there, and never changed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::block::{Block, Head, Held, Tail};
use super::bytes::{Fault, Reader, put};
use super::column::{Column, Group};

/// The version is in it: it changes whenever the form does, or the words of the search language.
const MAGIC: &[u8; 8] = b"FLread1\n";

/// Bytes before the head.
const FIXED_BYTES: usize = 16;

/// Bytes of heads and columns that are held in memory for all blocks together.
const CACHE_BYTES: usize = 48 << 20;

/// The head, where columns have their numbers.
const HEAD: usize = usize::MAX;

/// Heads and columns that were used last.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    parts: HashMap<(u64, usize), Part>,
    bytes: usize,
    /// Counts uses.
    now: u64,
}

#[derive(Debug)]
struct Part {
    what: What,
    bytes: usize,
    used: u64,
}

#[derive(Debug, Clone)]
enum What {
    Head(Arc<Head>),
    Column(Arc<Column>),
}

impl Cache {
    fn get(&self, key: (u64, usize)) -> Option<What> {
        let mut cached = self.0.lock();
        cached.now += 1;
        let now = cached.now;
        let part = cached.parts.get_mut(&key)?;
        part.used = now;
        Some(part.what.clone())
    }

    fn put(&self, key: (u64, usize), what: What, bytes: usize) {
        let mut cached = self.0.lock();
        cached.now += 1;
        let part = Part {
            what,
            bytes,
            used: cached.now,
        };
        cached.bytes += bytes;
        if let Some(before) = cached.parts.insert(key, part) {
            cached.bytes -= before.bytes;
        }
        while cached.bytes > CACHE_BYTES {
            let oldest = cached.parts.iter().min_by_key(|(_, part)| part.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                return;
            };
            if let Some(part) = cached.parts.remove(&oldest) {
                cached.bytes -= part.bytes;
            }
        }
    }
}

/// A full block.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) path: PathBuf,
    file: File,
    /// Tells it apart in the cache.
    number: u64,
    pub(super) first: u64,
    pub(super) end: u64,
    head_bytes: usize,
    head_checksum: u32,
    /// Of each column where it begins, its bytes and its checksum.
    columns: Vec<(u64, usize, u32)>,
    cache: Arc<Cache>,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The name of the file of a block that begins with this entry.
pub(super) fn name_of(first: u64) -> String {
    format!("{first:020}")
}

impl Sealed {
    /// Writes a block to the folder.
    pub(super) fn write(folder: &Path, tail: &Tail, cache: &Arc<Cache>) -> Result<Self, Fault> {
        let (head, columns) = (tail.head(), tail.closed());
        let encoded: Vec<Vec<u8>> = columns
            .iter()
            .map(|column| {
                let mut bytes = Vec::new();
                column.encode(&mut bytes);
                bytes
            })
            .collect();
        let mut start = Vec::new();
        put(&mut start, encoded.len() as u64);
        for bytes in &encoded {
            put(&mut start, bytes.len() as u64);
            put(&mut start, u64::from(crc32c::crc32c(bytes)));
        }
        head.encode(&mut start);
        let length = u32::try_from(start.len()).map_err(|_| Fault::Cut)?;
        let mut whole = MAGIC.to_vec();
        whole.extend_from_slice(&length.to_le_bytes());
        whole.extend_from_slice(&crc32c::crc32c(&start).to_le_bytes());
        whole.extend_from_slice(&start);
        for bytes in &encoded {
            whole.extend_from_slice(bytes);
        }
        fs::create_dir_all(folder)?;
        let path = folder.join(name_of(head.first));
        let beside = path.with_extension("new");
        fs::write(&beside, &whole)?;
        fs::rename(&beside, &path)?;
        Self::open(path, cache)
    }

    /// Opens a block. Its head is checked, its columns are once they are read.
    pub(super) fn open(path: PathBuf, cache: &Arc<Cache>) -> Result<Self, Fault> {
        let file = File::open(&path)?;
        let mut fixed = [0; FIXED_BYTES];
        file.read_exact_at(&mut fixed, 0)?;
        let (magic, rest) = fixed.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(Fault::Version);
        }
        let number = |at: usize| {
            let bytes = rest[at..at + 4].try_into().unwrap_or_default();
            u32::from_le_bytes(bytes)
        };
        let mut sealed = Self {
            path,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            first: 0,
            end: 0,
            head_bytes: number(0) as usize,
            head_checksum: number(4),
            columns: Vec::new(),
            cache: Arc::clone(cache),
            file,
        };
        let length = sealed.file.metadata()?.len();
        if (FIXED_BYTES + sealed.head_bytes) as u64 > length {
            return Err(Fault::Cut);
        }
        let bytes = sealed.read(FIXED_BYTES as u64, sealed.head_bytes, sealed.head_checksum)?;
        let mut reader = Reader::new(&bytes);
        let mut next = (FIXED_BYTES + sealed.head_bytes) as u64;
        for _ in 0..reader.length()? {
            let length = usize::try_from(reader.number()?).map_err(|_| Fault::Cut)?;
            sealed.columns.push((next, length, reader.small()?));
            next = next.checked_add(length as u64).ok_or(Fault::Cut)?;
        }
        if next != length {
            return Err(Fault::Cut);
        }
        let head = Head::decode(reader.rest())?;
        if head.names.len() != sealed.columns.len() {
            return Err(Fault::Reference);
        }
        (sealed.first, sealed.end) = (head.first, head.end);
        Ok(sealed)
    }

    fn read(&self, start: u64, length: usize, checksum: u32) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        match crc32c::crc32c(&bytes) == checksum {
            true => Ok(bytes),
            false => Err(Fault::Checksum),
        }
    }

    /// Whether it holds readings of the entries `from..to`.
    pub(super) fn overlaps(&self, from: u64, to: u64) -> bool {
        self.first < to && from < self.end
    }

    /// Reads all of it, and throws it away.
    pub(super) fn verify(&self) -> Result<(), Fault> {
        for (at, &(start, length, checksum)) in self.columns.iter().enumerate() {
            Column::decode(&self.read(start, length, checksum)?, at)?;
        }
        Ok(())
    }

    /// The block, to be read.
    pub(super) fn load(self: &Arc<Self>) -> Result<Loaded, Fault> {
        let key = (self.number, HEAD);
        if let Some(What::Head(head)) = self.cache.get(key) {
            return Ok(Loaded {
                sealed: Arc::clone(self),
                head,
            });
        }
        let bytes = self.read(FIXED_BYTES as u64, self.head_bytes, self.head_checksum)?;
        let mut reader = Reader::new(&bytes);
        for _ in 0..reader.length()? {
            reader.number()?;
            reader.number()?;
        }
        let head = Arc::new(Head::decode(reader.rest())?);
        self.cache
            .put(key, What::Head(Arc::clone(&head)), head.bytes());
        Ok(Loaded {
            sealed: Arc::clone(self),
            head,
        })
    }
}

/// A full block with its head.
pub(super) struct Loaded {
    sealed: Arc<Sealed>,
    head: Arc<Head>,
}

impl Block for Loaded {
    fn head(&self) -> &Head {
        &self.head
    }

    fn column(&self, at: usize) -> Result<Held<'_>, Fault> {
        let sealed = &self.sealed;
        let key = (sealed.number, at);
        if let Some(What::Column(column)) = sealed.cache.get(key) {
            return Ok(Held::Shared(column));
        }
        let &(start, length, checksum) = sealed.columns.get(at).ok_or(Fault::Reference)?;
        let column = Column::decode(&sealed.read(start, length, checksum)?, at)?;
        if column.groups() < self.head.rows.div_ceil(super::column::GROUP) {
            return Err(Fault::Group);
        }
        let column = Arc::new(column);
        sealed
            .cache
            .put(key, What::Column(Arc::clone(&column)), column.bytes());
        Ok(Held::Shared(column))
    }

    fn open(&self) -> &[Group] {
        &[]
    }
}
