//! The changes of a log's life as methods of [`Ledger`]. All of them block.

use fieldledger_audit::InvalidField;
use parking_lot::MutexGuard;

use super::Ledger;
use crate::commit::{Committer, command};
use crate::error::ControlError;
use fieldledger_contract::ledger::{
    Erasure, Freeze, Gap, KeyChange, Retained, Retention, RetentionScope, Successor,
};
use fieldledger_contract::limits;

/// Characters of the reason that is given for a change.
const MAX_REASON_CHARACTERS: usize = 1_000;

/// Characters of the name of who asks for a change.
const MAX_ACTOR_CHARACTERS: usize = 128;

impl Ledger {
    /// Erases the payload and the salt of an entry for good. Its leaf stays, so every proof holds
    /// as before, its own too; an entry of the log says that `actor` had it erased, and why.
    ///
    /// Returns once the payload is gone from the log on disk and from the newest readings. The
    /// search index follows within moments; until then a search does not show the entry.
    ///
    /// # Errors
    ///
    /// [`ControlError::Invalid`] without a reason or an actor, [`ControlError::NotFound`] for an
    /// entry that is not there, [`ControlError::Refused`] for one of the log's own,
    /// [`ControlError::Ended`] in a log that is read-only. In one that is frozen entries can be erased.
    pub fn erase(&self, entry: u64, reason: &str, actor: &str) -> Result<Erasure, ControlError> {
        check_texts(reason, actor)?;
        let _alone = self.control();
        let (its_reason, its_actor) = (reason.to_owned(), actor.to_owned());
        let (erasure, sensor) =
            self.command(move |committer| committer.erase(entry, &its_reason, &its_actor))?;
        if let Some(sensor) = sensor {
            let newest = self.0.search.newest_reading(&sensor)?;
            self.command(move |committer| {
                if let Some(reading) = newest {
                    let mut latest = committer.latest.write();
                    latest.update(reading);
                }
                // The one on disk names the erased entry as that sensor's newest.
                committer.write_snapshot();
                Ok(())
            })?;
        }
        Ok(erasure)
    }

    /// Adds a key. From now on it signs every tree head beside the one there is, so that whoever
    /// knows either can verify; [`Ledger::retire_key`] ends that.
    ///
    /// # Errors
    ///
    /// [`ControlError::Refused`] while two keys sign already, [`ControlError::Ended`] once the log has
    /// ended.
    pub fn rotate_key(&self, reason: &str, actor: &str) -> Result<KeyChange, ControlError> {
        check_texts(reason, actor)?;
        let _alone = self.control();
        let (reason, actor) = (reason.to_owned(), actor.to_owned());
        self.command(move |committer| committer.rotate_key(&reason, &actor))
    }

    /// Retires the older of two keys; the newer one signs alone from now on. Whoever knows only the
    /// older one is led to the newer by the entry that tells of this.
    ///
    /// # Errors
    ///
    /// [`ControlError::Refused`] where only one key signs, [`ControlError::Ended`] once the log has
    /// ended.
    pub fn retire_key(&self, reason: &str, actor: &str) -> Result<KeyChange, ControlError> {
        check_texts(reason, actor)?;
        let _alone = self.control();
        let (reason, actor) = (reason.to_owned(), actor.to_owned());
        self.command(move |committer| committer.retire_key(&reason, &actor))
    }

    /// Closes a gap, by its id: nobody waits for what is missing any longer. An entry of the log says that
    /// `actor` closed it, and why.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotFound`] where no such gap is known, [`ControlError::Refused`] where it is closed,
    /// [`ControlError::Ended`] once the log has ended.
    pub fn close_gap(&self, id: u64, reason: &str, actor: &str) -> Result<Gap, ControlError> {
        check_texts(reason, actor)?;
        let _alone = self.control();
        let (reason, actor) = (reason.to_owned(), actor.to_owned());
        self.command(move |committer| committer.close_gap(id, &reason, &actor))
    }

    /// Ends the log: writes a last entry, which names the log that goes on where that is known.
    /// Whatever would be appended from now on is refused with the reason, forever, but for the
    /// entries that tell of erasures.
    ///
    /// # Errors
    ///
    /// [`ControlError::Ended`] where it has ended already.
    pub fn freeze(
        &self,
        successor: Option<Successor>,
        reason: &str,
        actor: &str,
    ) -> Result<Freeze, ControlError> {
        check_texts(reason, actor)?;
        let _alone = self.control();
        let (reason, actor) = (reason.to_owned(), actor.to_owned());
        self.command(move |committer| committer.freeze(successor.as_ref(), &reason, &actor))
    }

    /// Gives up the payloads that were received before `before`, microseconds since the Unix epoch,
    /// as far as full segments hold nothing newer. Their leaves stay, so every proof holds as before;
    /// an entry of the log says up to where payloads are given up, who asked for it and why.
    ///
    /// Returns once that entry is durable. Segments are written anew behind it, after a restart too;
    /// [`Ledger::retention_status`] says how far that is. Searches no longer find what is given up
    /// once the index has heard of it.
    ///
    /// # Errors
    ///
    /// [`ControlError::Invalid`] without a reason or an actor, [`ControlError::Ended`] once the log has
    /// ended.
    pub fn retain(
        &self,
        before: u64,
        scope: RetentionScope,
        reason: &str,
        actor: &str,
    ) -> Result<Retained, ControlError> {
        check_texts(reason, actor)?;
        self.0.retainer.begin(before, scope, reason, actor)
    }

    /// What is given up, and how far that is.
    #[must_use]
    pub fn retention_status(&self) -> Retention {
        self.0.retainer.status()
    }

    /// One change at a time.
    fn control(&self) -> MutexGuard<'_, ()> {
        self.0.control.lock()
    }

    fn command<T: Send + 'static>(
        &self,
        carry_out: impl FnOnce(&mut Committer) -> Result<T, ControlError> + Send + 'static,
    ) -> Result<T, ControlError> {
        command(&self.0.queue, carry_out)
    }
}

/// Checks what is to be told of a change.
fn check_texts(reason: &str, actor: &str) -> Result<(), ControlError> {
    let mut problems = Vec::new();
    for (field, text, most) in [
        ("reason", reason, MAX_REASON_CHARACTERS),
        ("actor", actor, MAX_ACTOR_CHARACTERS),
    ] {
        if text.trim().is_empty() || !limits::fits(text, most) {
            let found = limits::characters(text);
            problems.push(InvalidField {
                item: 0,
                field: field.into(),
                problem: format!("has {found} characters; it must say something in at most {most}"),
            });
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ControlError::Invalid(problems))
    }
}
