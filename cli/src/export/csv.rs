//! CSV as RFC 4180 has it: comma, quotes where needed, CRLF, a line of names first.

use std::fs::File;
use std::io::{BufReader, Seek as _, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::ensure;
use csv::{ReaderBuilder, StringRecord, Terminator, Writer, WriterBuilder};
use jiff::Timestamp;

use super::table::{COLUMNS, Cell, Kind, row};
use fieldledger_api::answers::LogEvent;
use fieldledger_api::spreadsheet::{BYTE_ORDER_MARK, harmless};

use crate::exit::InputError;
use crate::export::Sink;

/// Writes an export.
pub(crate) struct Csv {
    out: Writer<Box<dyn Write>>,
    file: Option<File>,
    for_spreadsheet: bool,
}

impl Csv {
    /// Begins an export, or goes on after what is there. `for_spreadsheet` makes it one that a
    /// spreadsheet opens right, see [`fieldledger_api::spreadsheet`].
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn new(
        mut out: Box<dyn Write>,
        file: Option<File>,
        for_spreadsheet: bool,
        begins: bool,
    ) -> anyhow::Result<Self> {
        if begins && for_spreadsheet {
            out.write_all(BYTE_ORDER_MARK.as_bytes())?;
        }
        let mut builder = WriterBuilder::new();
        let mut out = builder.terminator(Terminator::CRLF).from_writer(out);
        if begins {
            out.write_record(COLUMNS.map(|(name, _)| name))?;
        }
        Ok(Self {
            out,
            file,
            for_spreadsheet,
        })
    }
}

impl Sink for Csv {
    fn entry(&mut self, entry: &LogEvent) -> anyhow::Result<()> {
        for ((_, kind), cell) in COLUMNS.iter().zip(row(entry)) {
            match cell {
                Cell::Empty => self.out.write_field("")?,
                Cell::Number(micros) if *kind == Kind::Time => {
                    self.out.write_field(rfc_3339(micros))?;
                }
                Cell::Number(number) => self.out.write_field(number.to_string())?,
                Cell::Text(text) if self.for_spreadsheet => {
                    self.out.write_field(harmless(&text).as_bytes())?;
                }
                Cell::Text(text) => self.out.write_field(text.as_bytes())?,
            }
        }
        self.out.write_record(None::<&[u8]>)?;
        Ok(())
    }

    fn checkpoint(&mut self, _note: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        self.out.flush()?;
        if let Some(file) = &self.file {
            file.sync_all()?;
        }
        Ok(())
    }
}

fn rfc_3339(micros: u64) -> String {
    let time = i64::try_from(micros).ok();
    let time = time.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    time.map(|time| format!("{time:.6}")).unwrap_or_default()
}

/// Finds where an export that was begun goes on, and cuts off a line that was not finished. The next
/// entry, and the file ready to be appended to.
///
/// # Errors
///
/// Where the file is not such an export.
pub(crate) fn resume(path: &Path) -> anyhow::Result<(Option<u64>, File)> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let names = COLUMNS.map(|(name, _)| name);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .from_reader(BufReader::new(&file));
    let mut record = StringRecord::new();
    let is_export = matches!(reader.read_record(&mut record), Ok(true)) && record == names[..];
    ensure!(
        is_export,
        InputError(format!(
            "{} is not an export as CSV; name another file",
            path.display()
        ))
    );
    let mut whole = line_end(&file, reader.position().byte())?.unwrap_or(length);
    let mut next = None;
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let Some(end) = line_end(&file, reader.position().byte())? else {
                    break;
                };
                let index: Option<u64> = record.get(0).and_then(|index| index.parse().ok());
                let index = index.ok_or_else(|| {
                    let line = record.position().map_or(0, csv::Position::line);
                    InputError(format!("line {line} of {} has no index", path.display()))
                })?;
                next = Some(index.saturating_add(1));
                whole = end;
            }
            // A record that ends with the file lacks columns where it was cut off.
            Err(_) if reader.position().byte() >= length => break,
            Err(error) => return Err(InputError(error.to_string()).into()),
        }
    }
    drop(reader);
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    Ok((next, file))
}

/// Where the line ends whose last field ends before `position`, which may be between CR and LF; none
/// where it was cut off.
fn line_end(file: &File, position: u64) -> anyhow::Result<Option<u64>> {
    let mut around = [0; 2];
    let read = file.read_at(&mut around, position.saturating_sub(1))?;
    Ok(match &around[..read] {
        [b'\n', ..] => Some(position),
        [b'\r', b'\n'] => Some(position + 1),
        _ => None,
    })
}
