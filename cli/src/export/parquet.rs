//! Apache Parquet. Columns that can be empty are optional; times are UTC.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::table::{COLUMNS, Cell, Kind, row};
use fieldledger_api::answers::LogEvent;

use crate::export::Sink;

/// Rows in a group at most. A group is in memory until it is written.
const GROUP_ROWS: usize = 65_536;
/// Bytes of texts in a group, about.
const GROUP_BYTES: usize = 64 << 20;

/// The rows of a group, column by column: whether a cell is filled, and what is in those that are.
#[derive(Default)]
struct Column {
    filled: Vec<i16>,
    numbers: Vec<i64>,
    texts: Vec<ByteArray>,
}

/// Writes an export. The file gets its name when it is whole.
pub(crate) struct Parquet {
    writer: SerializedFileWriter<File>,
    columns: [Column; COLUMNS.len()],
    rows: usize,
    bytes: usize,
    part: PathBuf,
    path: PathBuf,
}

impl Parquet {
    /// Begins an export.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub(crate) fn begin(path: &Path) -> anyhow::Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file =
            File::create(&part).with_context(|| format!("cannot create {}", part.display()))?;
        let schema = parse_message_type(&schema())?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("fieldledger".to_owned())
            .build();
        Ok(Self {
            writer: SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?,
            columns: Default::default(),
            rows: 0,
            bytes: 0,
            part,
            path: path.to_owned(),
        })
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut columns = std::mem::take(&mut self.columns).into_iter();
        let mut group = self.writer.next_row_group()?;
        while let Some(mut writer) = group.next_column()? {
            let column = columns.next().unwrap_or_default();
            let filled = Some(column.filled.as_slice());
            match writer.untyped() {
                ColumnWriter::Int64ColumnWriter(writer) => {
                    writer.write_batch(&column.numbers, filled, None)?;
                }
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    writer.write_batch(&column.texts, filled, None)?;
                }
                _ => anyhow::bail!("a column has a type that no entry has"),
            }
            writer.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Sink for Parquet {
    fn entry(&mut self, entry: &LogEvent) -> anyhow::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(row(entry)) {
            column.filled.push(i16::from(cell != Cell::Empty));
            match cell {
                Cell::Empty => {}
                // Positions and times fit for three hundred thousand years.
                Cell::Number(number) => column.numbers.push(i64::try_from(number).unwrap_or(-1)),
                Cell::Text(text) => {
                    self.bytes += text.len();
                    column.texts.push(ByteArray::from(text.as_bytes().to_vec()));
                }
            }
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, _note: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        self.write_group()?;
        let file = self.writer.into_inner()?;
        file.sync_all()?;
        fs::rename(&self.part, &self.path)
            .with_context(|| format!("cannot name the file {}", self.path.display()))
    }
}

fn schema() -> String {
    let columns = COLUMNS.map(|(name, kind)| match kind {
        Kind::Number => format!("optional int64 {name};"),
        Kind::Time => format!("optional int64 {name} (timestamp(micros,true));"),
        Kind::Text => format!("optional binary {name} (string);"),
    });
    format!("message entry {{ {} }}", columns.join(" "))
}
