//! JSON lines. The first line says what this is:
//!
//! ```json
//! {"export":"fieldledger/1","what":"log","origin":"plant.example/ledger"}
//! ```
//!
//! `what` is `log` for all entries from 0 on, `selection` for others. The lines after it are entries
//!
//! ```json
//! {"index":0,"leaf":"<base64>","envelope":{…}}
//! ```
//!
//! with the envelope's exact text (null where it was removed), and signed tree heads
//!
//! ```json
//! {"checkpoint":"plant.example/ledger\n2\n…\n\n— plant.example/ledger …\n"}
//! ```
//!
//! In a log a tree head covers all entries before it; the last line is one. In a selection each entry
//! has its audit path, `inclusion_proof`, which leads to the tree head before it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context as _, ensure};
use fieldledger_api::answers::LogEvent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::exit::InputError;
use crate::export::Sink;

/// The format and its version.
pub(crate) const FORMAT: &str = "fieldledger/1";
/// `what` of an export of all entries.
pub(crate) const LOG: &str = "log";
/// `what` of any other export.
pub(crate) const SELECTION: &str = "selection";

/// Longest line, bytes: an envelope has at most a mebibyte.
const LONGEST_LINE: u64 = 4 << 20;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// [`FORMAT`].
    pub(crate) export: String,
    /// [`LOG`] or [`SELECTION`].
    pub(crate) what: String,
    /// Name of the log.
    pub(crate) origin: String,
}

/// A line after the first: an entry, or a signed tree head.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line<'a> {
    /// Position in the log.
    pub(crate) index: Option<u64>,
    /// The leaf, base64.
    pub(crate) leaf: Option<String>,
    /// The envelope's exact text.
    #[serde(borrow)]
    pub(crate) envelope: Option<&'a RawValue>,
    /// Audit path, base64.
    pub(crate) inclusion_proof: Option<Vec<String>>,
    /// The signed note.
    pub(crate) checkpoint: Option<String>,
}

/// An entry's line as it is written.
#[derive(Serialize)]
struct EntryLine<'a> {
    index: u64,
    leaf: &'a str,
    envelope: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inclusion_proof: Option<&'a [String]>,
}

#[derive(Serialize)]
struct CheckpointLine<'a> {
    checkpoint: &'a str,
}

/// Writes an export.
pub(crate) struct Lines {
    out: Box<dyn Write>,
    file: Option<File>,
}

impl Lines {
    /// Begins an export, to `file` where it must outlast a crash.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn begin(
        out: Box<dyn Write>,
        file: Option<File>,
        header: &Header,
    ) -> anyhow::Result<Self> {
        let mut lines = Self { out, file };
        lines.line(header)?;
        Ok(lines)
    }

    /// Goes on after what is there.
    pub(crate) fn go_on(out: Box<dyn Write>, file: Option<File>) -> Self {
        Self { out, file }
    }

    fn line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        Ok(())
    }
}

impl Sink for Lines {
    fn entry(&mut self, entry: &LogEvent) -> anyhow::Result<()> {
        self.line(&EntryLine {
            index: entry.leaf_index,
            leaf: entry.leaf.as_deref().unwrap_or_default(),
            envelope: entry.envelope.as_deref(),
            inclusion_proof: entry.inclusion_proof.as_deref(),
        })
    }

    fn checkpoint(&mut self, note: &str) -> anyhow::Result<()> {
        self.line(&CheckpointLine { checkpoint: note })
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        self.out.flush()?;
        if let Some(file) = &self.file {
            file.sync_all()?;
        }
        Ok(())
    }
}

/// Reads lines, none of them longer than makes sense.
pub(crate) struct LineReader<R> {
    input: R,
    line: Vec<u8>,
    /// Lines read so far.
    pub(crate) number: u64,
    /// Bytes of the whole lines read so far.
    pub(crate) bytes: u64,
    /// The last line has no end.
    pub(crate) is_cut: bool,
}

impl<R: BufRead> LineReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
            bytes: 0,
            is_cut: false,
        }
    }

    /// The next line without its end; none after the last one. One without an end is none.
    ///
    /// # Errors
    ///
    /// Where reading fails, or the line is too long.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<&[u8]>> {
        self.line.clear();
        let mut bounded = (&mut self.input).take(LONGEST_LINE);
        let length = bounded.read_until(b'\n', &mut self.line)?;
        if self.line.last() != Some(&b'\n') {
            self.is_cut = length > 0;
            ensure!(
                (length as u64) < LONGEST_LINE,
                InputError(format!(
                    "line {} is longer than {LONGEST_LINE} bytes; an export has no such line",
                    self.number + 1
                ))
            );
            return Ok(None);
        }
        self.number += 1;
        self.bytes += length as u64;
        self.line.pop();
        Ok(Some(&self.line))
    }
}

/// Finds where an export that was begun goes on, and cuts off a line that was not finished. The next
/// entry, and the file ready to be appended to.
///
/// # Errors
///
/// Where the file is not an export of this kind.
pub(crate) fn resume(path: &Path, header: &Header) -> anyhow::Result<(Option<u64>, File)> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut reader = LineReader::new(BufReader::new(&file));
    let found: Option<Header> = match reader.next()? {
        Some(line) => serde_json::from_slice(line).ok(),
        None => None,
    };
    ensure!(
        found.as_ref() == Some(header),
        InputError(format!(
            "{} is not an export of the same kind and log; name another file",
            path.display()
        ))
    );
    let mut next = None;
    while let Some(line) = reader.next()? {
        let read: Result<Line, _> = serde_json::from_slice(line);
        let index = read.map(|line| line.index);
        let index = index.map_err(|error| {
            InputError(format!(
                "line {} is not a line of an export: {error}",
                reader.number
            ))
        })?;
        next = index.map(|index| index.saturating_add(1)).or(next);
    }
    let bytes = reader.bytes;
    file.set_len(bytes)?;
    file.seek(SeekFrom::Start(bytes))
        .context("cannot go to its end")?;
    Ok((next, file))
}
