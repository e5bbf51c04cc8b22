//! The record of every answer sent, against which an end-to-end test compares the log.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::faults::Fault;

/// One answer, as one line of JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    /// The sensor's id.
    pub(crate) id: &'a str,
    /// The boot id.
    pub(crate) boot: &'a str,
    /// The answer's sequence number.
    pub(crate) seq: u64,
    /// The value as it was written, without quotes; for garbage the payload.
    pub(crate) value: &'a str,
    /// The number the poll carried.
    pub(crate) poll: Option<u64>,
    /// When the value was measured, microseconds since the Unix epoch; it is what a modern answer
    /// gives as its own time.
    pub(crate) at: u64,
    /// When the answer was handed to the connection, microseconds since the Unix epoch.
    pub(crate) sent_at: u64,
    /// What was wrong with it.
    pub(crate) fault: Option<Fault>,
}

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
#[error("writing the record {path}", path = path.display())]
pub struct RecordError {
    path: PathBuf,
    source: io::Error,
}

/// A file of [`Line`]s.
///
/// A line is buffered; [`Recorder::flush`] is called five times a second and at the end. The first
/// error is kept for [`Recorder::flush`] to return, so that an answer never waits for a disk.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    output: Mutex<Output>,
}

#[derive(Debug)]
struct Output {
    writer: BufWriter<File>,
    error: Option<io::Error>,
}

/// Half a second's lines at 10,000 answers a second.
const BUFFER_BYTES: usize = 1 << 20;

impl Recorder {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<Self, RecordError> {
        let file = File::create(path).map_err(|source| RecordError {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            output: Mutex::new(Output {
                writer: BufWriter::with_capacity(BUFFER_BYTES, file),
                error: None,
            }),
        })
    }

    /// Adds a line.
    pub(crate) fn add(&self, line: &Line<'_>) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if output.error.is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut output.writer, line)
            .map_err(io::Error::from)
            .and_then(|()| output.writer.write_all(b"\n"));
        if let Err(error) = written {
            output.error = Some(error);
        }
    }

    /// Hands everything to the operating system.
    pub(crate) fn flush(&self) -> Result<(), RecordError> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = match output.error.take() {
            Some(error) => Err(error),
            None => output.writer.flush(),
        };
        flushed.map_err(|source| RecordError {
            path: self.path.clone(),
            source,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_json_and_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        recorder.add(&Line {
            id: "a",
            boot: "b",
            seq: 7,
            value: "21.37",
            poll: None,
            at: 1,
            sent_at: 2,
            fault: Some(Fault::OutOfRange),
        });
        recorder.flush().unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"id\":\"a\",\"boot\":\"b\",\"seq\":7,\"value\":\"21.37\",\"poll\":null,\
             \"at\":1,\"sent_at\":2,\"fault\":\"out-of-range\"}\n"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Recorder::create(Path::new("/nonexistent/record")).unwrap_err();
        assert_eq!(error.to_string(), "writing the record /nonexistent/record");
    }

    #[test]
    fn a_full_disk_is_reported_by_flush() {
        let recorder = Recorder::create(Path::new("/dev/full")).unwrap();
        let line = Line {
            id: "",
            boot: "",
            seq: 1,
            value: "",
            poll: None,
            at: 0,
            sent_at: 0,
            fault: None,
        };
        recorder.add(&line);
        assert!(recorder.flush().is_err());
    }
}
