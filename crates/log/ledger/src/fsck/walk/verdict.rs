//! What a walk as a whole has shown.

use super::{Difference, Walk, Walked};
use crate::error::{OpenError, StoreError, with_causes};
use crate::fsck::report::{Finding, FindingKind, Severity};
use crate::index;

impl Walk<'_> {
    /// Says what the walk as a whole has shown.
    pub(crate) fn finish(mut self, with_index: bool) -> Result<Walked, OpenError> {
        let size = self.edge.size();
        // Where the roots cannot be compared, the worse is said.
        let altered = !matches!(self.root, Some((_, true)));
        for difference in std::mem::take(&mut self.differences) {
            self.judge(difference, altered);
        }
        self.judge_tree(size);
        self.judge_removals();
        self.check_archive()?;
        let index = match (with_index, self.in_use) {
            (false, _) => Ok(()),
            (true, false) => index::verify(&self.paths.index, size),
            (true, true) => index::verify_in_use(&self.paths.index),
        };
        if let Err(problem) = index {
            self.findings.add(Finding {
                kind: FindingKind::Index,
                severity: Severity::Repairable,
                file: self.paths.index.clone(),
                offset: None,
                entry: None,
                problem,
                advice: "repair, or remove this folder: it is built anew".to_owned(),
            });
        }
        Ok(Walked {
            findings: self.findings,
            entries: size,
            segments: self.segments_read,
            bytes: self.bytes,
        })
    }

    /// Where entry and derived file differ, the signed root says which of them was changed.
    fn judge(&mut self, difference: Difference, altered: bool) {
        if let (true, Some(place)) = (altered, difference.place) {
            self.findings.add(Finding {
                kind: FindingKind::Altered,
                severity: Severity::Damage,
                file: place.file.to_path_buf(),
                offset: Some(place.offset),
                entry: Some(difference.entry),
                problem: format!(
                    "the entry is not the one that was signed: {} has another hash for it",
                    difference.derived.display()
                ),
                advice: "restore this file from a backup or the archive; what is there now was \
                         written by someone else"
                    .to_owned(),
            });
            return;
        }
        if altered {
            return;
        }
        self.findings.add(Finding {
            kind: difference.kind,
            severity: Severity::Repairable,
            file: difference.derived,
            offset: Some(difference.offset),
            entry: (difference.entry != u64::MAX).then_some(difference.entry),
            problem: "it does not follow from the log".to_owned(),
            advice: "repair, or remove this file: it is computed again".to_owned(),
        });
    }

    fn judge_tree(&mut self, size: u64) {
        let Some(signed) = self.signed else {
            return;
        };
        let segment = |walk: &Self| {
            let firsts = walk.segments.list().unwrap_or_default();
            walk.segments.path_of(firsts.last().copied().unwrap_or(0))
        };
        if size < signed.size {
            let finding = Finding {
                kind: FindingKind::EntriesMissing,
                severity: Severity::Damage,
                file: segment(self),
                offset: None,
                entry: Some(size),
                problem: format!(
                    "{} entries were signed, but only {size} are there",
                    signed.size
                ),
                advice:
                    "restore the newest segments; if the folder is an older copy, use the newer \
                         one, and never restore the anchor with it"
                        .to_owned(),
            };
            self.findings.add(finding);
        }
        if size > signed.size && !self.in_use {
            let finding = Finding {
                kind: FindingKind::EntriesUnsigned,
                severity: Severity::Note,
                file: segment(self),
                offset: None,
                entry: Some(signed.size),
                problem: format!(
                    "{} entries follow those that were signed",
                    size - signed.size
                ),
                advice: "after a crash nothing need be done: the next start signs them; otherwise \
                         the anchor was put back to an older state"
                    .to_owned(),
            };
            self.findings.add(finding);
        }
        match self.root {
            Some((root, false)) => self.findings.add(Finding {
                kind: FindingKind::Tree,
                severity: Severity::Damage,
                file: self.paths.segments.clone(),
                offset: None,
                entry: None,
                problem: format!(
                    "the tree of the first {} entries has the root {root}, but {} was signed: \
                     entries were changed, dropped, inserted or reordered, or this is another \
                     history of the log",
                    signed.size, signed.root
                ),
                advice:
                    "restore the segments as they were; where no entry is named, the tiles were \
                         changed with them"
                        .to_owned(),
            }),
            None if size >= signed.size => self.findings.add(Finding {
                kind: FindingKind::Tree,
                severity: Severity::Damage,
                file: self.paths.segments.clone(),
                offset: None,
                entry: None,
                problem:
                    "the tree cannot be compared with the signed one: entries are missing, and \
                          the tiles that would have their hashes as well"
                        .to_owned(),
                advice: "restore what is missing, and check again".to_owned(),
            }),
            _ => {}
        }
    }

    /// Every entry without payload must have an entry that says why.
    fn judge_removals(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        let places = std::mem::take(&mut self.gone_places);
        for ((gone, marker), place) in gone.runs().zip(&places) {
            let explained = self.explained.get(&marker).cloned().unwrap_or_default();
            if explained.start <= gone.start && gone.end <= explained.end {
                continue;
            }
            let entry = gone.start;
            let problem = match gone.end - gone.start {
                1 => format!("its payload is gone, but entry {marker} does not say why"),
                _ => format!(
                    "the payloads from here to entry {} are gone, but entry {marker} does not say why",
                    gone.end - 1
                ),
            };
            self.entry(FindingKind::Envelope, entry, place, problem);
        }
    }

    /// What is in the archive must be what was put there, also where it is on the disk as well.
    fn check_archive(&mut self) -> Result<(), StoreError> {
        let Some(archive) = self.archive.clone() else {
            return Ok(());
        };
        for sealed in archive.all() {
            let problem = match archive.is_intact(&sealed) {
                Ok(true) => continue,
                Ok(false) => "it is missing, or other bytes than were archived".to_owned(),
                Err(error) => with_causes(&error),
            };
            let local = self.segments.is_local(sealed.first);
            self.findings.add(Finding {
                kind: FindingKind::Archive,
                severity: Severity::Damage,
                file: archive.url_of(sealed.first).into(),
                offset: None,
                entry: Some(sealed.first),
                problem,
                advice: if local {
                    "the segment is on the disk as well: copy it to this object".to_owned()
                } else {
                    "restore this object from an earlier version".to_owned()
                },
            });
        }
        Ok(())
    }
}
