//! What a walk finds in the segments, in words.

use std::path::Path;

use super::{Place, Walk};
use crate::fsck::report::{Finding, FindingKind, Severity};

impl Walk<'_> {
    pub(super) fn entry(&mut self, kind: FindingKind, index: u64, place: &Place, problem: String) {
        self.findings.add(Finding {
            kind,
            severity: Severity::Damage,
            file: place.file.to_path_buf(),
            offset: Some(place.offset),
            entry: Some(index),
            problem,
            advice: "the ledger never writes this: find out who did, and restore this file"
                .to_owned(),
        });
    }

    pub(super) fn damaged(&mut self, index: u64, place: &Place, fault: String) {
        self.findings.add(Finding {
            kind: FindingKind::Frame,
            severity: Severity::Damage,
            file: place.file.to_path_buf(),
            offset: Some(place.offset),
            entry: Some(index),
            problem: fault,
            advice: "restore this file from a backup or the archive".to_owned(),
        });
    }

    pub(super) fn half_written(&mut self, index: u64, place: &Place, bytes: u64) {
        self.findings.add(Finding {
            kind: FindingKind::HalfWritten,
            severity: Severity::Note,
            file: place.file.to_path_buf(),
            offset: Some(place.offset),
            entry: Some(index),
            problem: format!("{bytes} bytes of entries that were never acknowledged"),
            advice: "nothing need be done: the next start removes them".to_owned(),
        });
    }

    pub(super) fn unexpected(&mut self, first: u64, next: u64) {
        self.findings.add(Finding {
            kind: FindingKind::SegmentUnexpected,
            severity: Severity::Damage,
            file: self.segments.path_of(first),
            offset: None,
            entry: Some(first),
            problem: format!("it begins with entry {first}, which the segment before it has too"),
            advice: format!("restore the segments around entry {next}"),
        });
    }

    pub(super) fn missing(&mut self, next: u64, first: u64) {
        self.findings.add(Finding {
            kind: FindingKind::SegmentMissing,
            severity: Severity::Damage,
            file: self.segments.path_of(next),
            offset: None,
            entry: Some(next),
            problem: format!(
                "the segment of the entries {next} to {} is missing",
                first - 1
            ),
            advice: "restore it from a backup or the archive".to_owned(),
        });
    }

    pub(super) fn short(&mut self, first: u64, next: u64, end: u64, path: &Path, offset: u64) {
        self.findings.add(Finding {
            kind: FindingKind::EntriesMissing,
            severity: Severity::Damage,
            file: path.to_owned(),
            offset: Some(offset),
            entry: Some(next),
            problem: format!(
                "the segment of the entries {first} to {} ends before entry {next}",
                end - 1
            ),
            advice: "restore this file from a backup or the archive".to_owned(),
        });
    }
}
