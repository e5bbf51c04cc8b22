//! A whole log, or a selection, from a file.

use std::fs;
use std::io::BufRead;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_verifier::device;
use fieldledger_verifier::entry::EntryProof;
use fieldledger_verifier::log::LogCheck;
use fieldledger_verifier::note::TreeHead;

use super::report::Report;
use super::trust::Trust;
use crate::context::Context;
use crate::exit::InputError;
use crate::export::lines::{FORMAT, Header, LOG, Line, LineReader, SELECTION};

/// An export that is being checked.
struct Check<'a> {
    trust: &'a Trust,
    origin: String,
    report: Report,
    /// The tree head of the last line that has one.
    head: Option<TreeHead>,
    /// Its note, in a log: there the last one covers all entries.
    note: Option<String>,
}

/// Checks an export, line by line.
///
/// # Errors
///
/// [`InputError`] where the file is not an export of a known version.
pub(super) fn verify(
    input: impl BufRead,
    path: &Path,
    trust: &Trust,
    context: &Context,
) -> anyhow::Result<Report> {
    let mut reader = LineReader::new(input);
    let header = reader
        .next()?
        .and_then(|line| serde_json::from_slice(line).ok());
    let known =
        |header: &Header| header.export == FORMAT && [LOG, SELECTION].contains(&&*header.what);
    let header: Header = header.filter(known).ok_or_else(|| {
        let path = path.display();
        InputError(format!(
            "{path} is not an export of a version that this program knows"
        ))
    })?;
    let is_log = header.what == LOG;
    let what = if is_log { "export" } else { "selection" };
    let mut check = Check {
        trust,
        origin: header.origin,
        report: Report::new(what, path.display().to_string()),
        head: None,
        note: None,
    };
    let length = fs::metadata(path).map(|metadata| metadata.len()).ok();
    let bar = context.output.progress(length, "verifying (bytes)");
    let mut log = LogCheck::default();
    let mut last = None;
    let mut number = 1;
    while let Some(text) = reader
        .next()
        .with_context(|| format!("cannot read {}", path.display()))?
    {
        number += 1;
        let line = match serde_json::from_slice::<Line>(text) {
            Ok(line) => line,
            Err(error) => {
                let problem = format!("line {number} cannot be read: {error}");
                check.report.add(None, problem);
                continue;
            }
        };
        if let Some(note) = &line.checkpoint {
            check.open(note, number);
            match (is_log, &check.head) {
                (true, Some(head)) => {
                    if let Err(problem) = log.matches(head) {
                        check.report.add(None, format!("line {number}: {problem}"));
                    }
                    check.note = Some(note.clone());
                }
                // Each covers entries of its own.
                (false, Some(_)) => trust.judge(note, None, &mut check.report),
                (_, None) => {}
            }
        } else if is_log {
            check.next_of_log(&line, &mut log, number);
        } else {
            check.next_of_selection(&line, &mut last, number);
        }
        bar.set_position(reader.bytes);
    }
    bar.finish_and_clear();
    if reader.is_cut {
        let problem = format!("line {} is cut off", reader.number + 1);
        check.report.add(None, problem);
    }
    Ok(check.finish(is_log.then_some(&log)))
}

impl Check<'_> {
    fn open(&mut self, note: &str, number: u64) {
        self.head = None;
        match self.trust.open(note) {
            Ok((head, _)) if head.origin == self.origin => {
                self.report.name(&head);
                self.head = Some(head);
            }
            Ok((head, _)) => {
                let problem = format!(
                    "line {number}: the checkpoint is of log {:?}, the export of {:?}",
                    head.origin, self.origin
                );
                self.report.add(None, problem);
            }
            Err(error) => self.report.add(None, format!("line {number}: {error}")),
        }
    }

    fn next_of_log(&mut self, line: &Line<'_>, log: &mut LogCheck, number: u64) {
        let position = log.edge().size();
        let (Some(index), Some(leaf), None) = (line.index, &line.leaf, &line.inclusion_proof)
        else {
            let problem = format!("line {number} is neither an entry of a log nor a checkpoint");
            return self.report.add(Some(position), problem);
        };
        let Ok(leaf) = BASE64_STANDARD.decode(leaf) else {
            let problem = format!("line {number}: the leaf is not base64");
            return self.report.add(Some(position), problem);
        };
        if index != position {
            let problem =
                format!("line {number}: here is entry {index}, and entry {position} belongs here");
            self.report.add(Some(position), problem);
        }
        let envelope = line.envelope.map(|envelope| envelope.get().as_bytes());
        let mut problems = Vec::new();
        log.add(&leaf, envelope, &mut problems);
        self.report.entries += 1;
        self.report.add_all(&mut problems);
    }

    fn next_of_selection(&mut self, line: &Line<'_>, last: &mut Option<u64>, number: u64) {
        let (Some(index), Some(leaf), Some(path)) = (line.index, &line.leaf, &line.inclusion_proof)
        else {
            let problem =
                format!("line {number} is neither an entry with its proof nor a checkpoint");
            return self.report.add(None, problem);
        };
        if last.is_some_and(|last| index <= last) {
            let problem = format!("line {number}: entry {index} comes after a later one");
            self.report.add(Some(index), problem);
        }
        if last.is_none() {
            self.report.first = index;
        }
        *last = Some(index);
        self.report.entries += 1;
        self.report.without_envelope += u64::from(line.envelope.is_none());
        let Some(head) = &self.head else {
            let problem =
                format!("line {number}: no checkpoint that holds comes before entry {index}");
            return self.report.add(Some(index), problem);
        };
        let proof = EntryProof {
            index,
            envelope: line.envelope.map(|envelope| envelope.get().to_owned()),
            leaf: leaf.clone(),
            inclusion_proof: path.clone(),
            checkpoint: String::new(),
        };
        if let Err(error) = proof.verify_in(head) {
            self.report.add_error(Some(index), &error);
        }
        // Approvals need not be part of a selection: that the signature holds is all it can show.
        if let Some(Err(error)) = proof.envelope.as_deref().map(device::verify_envelope) {
            self.report.add_error(Some(index), &error);
        }
    }

    fn finish(mut self, log: Option<&LogCheck>) -> Report {
        if let Some(log) = log {
            let mut problems = Vec::new();
            self.report.without_envelope = log.missing(&mut problems);
            self.report.signed_readings = log.signed();
            self.report.add_all(&mut problems);
            let size = log.edge().size();
            let is_signed = self.head.as_ref().is_some_and(|head| head.size == size);
            if !is_signed {
                let problem = "the export does not end with a checkpoint that covers all its entries; \
                     finish it with `fieldledger export --resume`";
                self.report.add(None, problem.to_owned());
            }
            if let Some(note) = &self.note {
                self.trust.judge(note, None, &mut self.report);
            }
        }
        self.report.finish()
    }
}
