//! Whether the log has a device's reading, and how one is written whose number it has.
//!
//! A device's reading is named by the device's boot and its number, so that the log takes once what
//! comes twice: delivered again, or as an answer and as history. But a device may use a number for
//! another reading: it restarts under an old boot id, its counter begins again, or two devices have one
//! id. So a number that is there does not say that the reading is. Only where what it says is the same
//! as well is it dropped; anything else is written:
//!
//! - where a counter of 8, 16 or 32 bits began again, the log counts on. The first such reading is
//!   flagged, and the later ones are what they are;
//! - else under the name of the poll that asked for it, or, where none did, under a name made of what it
//!   says, and flagged with what was seen.
//!
//! All of these names follow from the reading alone and what the log has, so that the same batch again
//! finds them there. What the newest readings say is kept in memory; older ones are found by the search
//! index, and read. Where there is none, or it lacks the entry, or the entry's payload is gone, the time
//! tells: a reading that is no newer than the newest of its boot is one that comes again, and any other is
//! written and flagged, because once too often is better than never.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock};

use fieldledger_audit::event::Event;
use fieldledger_audit::validate::SEQUENCE_END;
use fieldledger_formats::envelope::Envelope;
use fieldledger_reading::{Quality, Recorded};
use foldhash::fast::FixedState;
use parking_lot::RwLockReadGuard;
use sha2::{Digest, Sha256};

use crate::gaps::{Gaps, Noted, Numbered, Numbering, numbering_of};
use crate::index::Views;
use crate::producers::Producers;
use crate::readings::reading_and_told;
use crate::request::PreparedEvent;
use crate::store::reader::{LogEntry, LogReader};

/// Readings whose content is kept in memory: those of an hour at 36 a second, in about 10 MB. What is
/// delivered again is nearly always among them.
const MOST_RECENT: usize = 131_072;

/// Rounds of a counter among which a reading is looked for that comes again.
const MOST_ROUNDS: u64 = 64;

/// Entries that the index may name for one number, where the hash of others is the same.
const MOST_CANDIDATES: usize = 8;

/// So that nobody can make two contents, or two names, that look the same.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// By keys that are hashes already.
type ByKey<T> = HashMap<u64, T, FixedState>;

/// What a reading with a number of its device's says, as far as it matters here.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// The number.
    said: u64,
    /// What the producer is known by here.
    producer: ProducerKey,
    polled_at: u64,
    device_at: Option<u64>,
    /// Whether it answers a poll that was under way.
    is_live: bool,
    pub(crate) content: Content,
    /// Name of the event where its number is taken.
    instead: (String, u64),
}

/// What two readings are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    /// Of value, the device's times and unit.
    measured: u64,
    /// Of the poll; none where no poll asked for it.
    poll: Option<u64>,
}

impl Content {
    /// Whether both are one reading: they say the same, and not in answer to two polls. A device without
    /// a clock may well measure the same value twice.
    fn is_same(self, other: Self) -> bool {
        let polls_differ = self.poll.is_some() && other.poll.is_some() && self.poll != other.poll;
        self.measured == other.measured && !polls_differ
    }
}

impl Claim {
    /// That of a reading; none where the device gave it no number of its own.
    pub(crate) fn of(producer: &str, told: &Recorded<'_>) -> Option<Self> {
        let (sensor, boot) = numbering_of(producer)?;
        let said = told.seq?;
        let unit = told.device_unit.as_deref().filter(|unit| !unit.is_empty());
        let unit = unit.or(told.unit.as_deref()).unwrap_or_default();
        let raw = told.raw.as_deref().or(told.value.as_deref());
        let raw = raw.unwrap_or_default();
        let content = Content {
            measured: HASHER.hash_one((raw, told.device_at, told.device_up, unit)),
            poll: (!told.historical).then(|| HASHER.hash_one(&*told.poll)),
        };
        let poll = told.poll.rsplit_once('/');
        let poll = poll.and_then(|(epoch, number)| Some((epoch, number.parse().ok()?)));
        let instead = match poll {
            Some((epoch, number)) if !told.historical => {
                let kind = if told.late { "late" } else { "poll" };
                (format!("{kind}/{sensor}/{epoch}"), number)
            }
            _ => {
                let times = format!("{:?} {:?}", told.device_at, told.device_up);
                let name = digest(&[boot, &said.to_string(), raw, &times, unit]);
                (format!("again/{sensor}/{boot}"), name % SEQUENCE_END)
            }
        };
        Some(Self {
            said,
            producer: ProducerKey::of(producer),
            polled_at: told.polled_at,
            device_at: told.device_at,
            is_live: !told.historical && !told.late,
            content,
            instead,
        })
    }
}

/// 64 bits that are the same wherever they are made.
pub(crate) fn digest(texts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    u64::from_be_bytes(first)
}

/// A producer's name, hashed where its event is checked: the commit thread has better things to do.
#[derive(Debug, Clone, Copy)]
struct ProducerKey(u64);

impl ProducerKey {
    fn of(producer: &str) -> Self {
        Self(HASHER.hash_one(producer))
    }

    /// What its reading of this number is known by.
    fn reading(self, number: u64) -> u64 {
        HASHER.hash_one((self.0, number))
    }
}

/// What the newest readings with numbers say.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    contents: ByKey<Content>,
    /// Their keys, the oldest first.
    order: VecDeque<u64>,
}

impl Recent {
    /// Notes what the reading of this number says.
    pub(crate) fn note(&mut self, number: u64, claim: &Claim) {
        self.insert(claim.producer.reading(number), claim.content);
    }

    /// Notes what readings say that were written.
    pub(crate) fn extend(&mut self, contents: Contents) {
        for (key, content) in contents {
            self.insert(key, content);
        }
    }

    fn insert(&mut self, key: u64, content: Content) {
        if self.contents.insert(key, content).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > MOST_RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.contents.remove(&oldest);
        }
    }
}

/// What readings say.
pub(crate) type Contents = ByKey<Content>;

/// How boots count, by the producer of their readings.
pub(crate) type Numberings = ByKey<Option<Numbering>>;

/// Decides about the events of one commit, each in the light of those before it.
pub(crate) struct Judge<'a> {
    pub(crate) producers: &'a mut Producers,
    pub(crate) recent: &'a Recent,
    pub(crate) gaps: RwLockReadGuard<'a, Gaps>,
    pub(crate) log: &'a LogReader,
    pub(crate) views: Option<&'a Arc<Views>>,
    /// What the readings say that this commit will write.
    pub(crate) new: Contents,
    /// How the boots of this commit count.
    pub(crate) numberings: Numberings,
}

/// What the log has under a number.
enum Held {
    /// Nothing.
    Nothing,
    /// The same reading.
    Same,
    /// One that answered another poll with the same value.
    Repeated,
    /// One that says something else.
    Other,
    /// One that cannot be compared.
    Unknown,
}

/// What becomes of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placed {
    /// It is in the log.
    Known,
    /// It is written under its number.
    Numbered,
    /// It is written under another name.
    Instead,
}

impl Judge<'_> {
    /// Whether the log lacks this event, which then has the name and text to be written. Notes it as
    /// seen.
    pub(crate) fn admit(&mut self, event: &mut PreparedEvent) -> bool {
        if event.producer.is_empty() {
            return true;
        }
        match event.claim.take() {
            None => self.producers.insert(&event.producer, event.sequence),
            Some(claim) => self.admit_reading(event, &claim),
        }
    }

    fn admit_reading(&mut self, event: &mut PreparedEvent, claim: &Claim) -> bool {
        let key = claim.producer.0;
        let mut numbering = match self.numberings.remove(&key) {
            Some(numbering) => numbering,
            None => numbering_of(&event.producer)
                .and_then(|(sensor, boot)| self.gaps.numbering(sensor, boot).cloned()),
        };
        let placed = self.place(event, claim, &mut numbering);
        self.numberings.insert(key, numbering);
        if placed == Placed::Numbered {
            let reading = claim.producer.reading(event.sequence);
            self.new.insert(reading, claim.content);
        }
        placed != Placed::Known
    }

    /// Finds the name under which the reading is written, and flags it where that is needed.
    fn place(
        &mut self,
        event: &mut PreparedEvent,
        claim: &Claim,
        numbering: &mut Option<Numbering>,
    ) -> Placed {
        let said = claim.said;
        let (offset, round) = numbering
            .as_ref()
            .map_or((0, None), |known| (known.offset, known.round));
        let number = said.saturating_add(offset);
        let held = self.held(&event.producer, number, claim);
        // Where the payload is gone the time still tells: what a device sends anew was measured later than
        // all that the log has of that boot.
        let newest = numbering.as_ref().map(|known| known.last.polled_at);
        let is_older = newest.is_some_and(|newest| claim.polled_at <= newest);
        let is_there = |held: &Held| match held {
            Held::Same => true,
            Held::Unknown => is_older,
            Held::Nothing | Held::Repeated | Held::Other => false,
        };
        if is_there(&held) {
            return Placed::Known;
        }
        let rounds_before = (1..=MOST_ROUNDS).map_while(|rounds| {
            let back = round.filter(|_| is_older || !claim.is_live)?;
            number.checked_sub(back.checked_mul(rounds)?)
        });
        for number in rounds_before {
            if is_there(&self.held(&event.producer, number, claim)) {
                return Placed::Known;
            }
        }
        let reading = Numbered {
            number,
            // Not known yet, and not needed here.
            index: 0,
            polled_at: claim.polled_at,
            device_at: claim.device_at,
        };
        let Some(known) = numbering else {
            // A boot that is new, or long forgotten.
            if !matches!(held, Held::Nothing) {
                return self.write_instead(event, claim, &held, None);
            }
            self.producers.insert(&event.producer, number);
            let boot = numbering_of(&event.producer).map_or("", |(_, boot)| boot);
            *numbering = Some(Numbering::new(boot, reading));
            return Placed::Numbered;
        };
        let is_later = claim.is_live && claim.polled_at > known.last.polled_at;
        if is_later
            && let Some(round) = known.wrapped(said, claim.polled_at)
            && let Some(number) = number
                .checked_add(round)
                .filter(|next| *next < SEQUENCE_END)
            && self.producers.insert(&event.producer, number)
        {
            let last = known.last.number.saturating_sub(known.offset);
            known.begin_round(round);
            known.advance(Numbered { number, ..reading });
            event.sequence = number;
            flag(event, &wrap_reason(last, said, number, round));
            return Placed::Numbered;
        }
        let turns_back = is_later && number <= known.last.number && !known.goes_back(&reading);
        if turns_back || !matches!(held, Held::Nothing) {
            let last = known.last.number.saturating_sub(known.offset);
            let last = (is_later && said < last).then_some(last);
            return self.write_instead(event, claim, &held, last);
        }
        let (instead, its_number) = &claim.instead;
        if number < known.last.number && self.producers.contains(instead, *its_number) {
            // It turned back when it came first, and the device has got beyond it since.
            return Placed::Known;
        }
        if number >= SEQUENCE_END {
            return self.write_instead(event, claim, &held, None);
        }
        self.producers.insert(&event.producer, number);
        event.sequence = number;
        known.advance(reading);
        Placed::Numbered
    }

    /// Writes the reading under its other name. `last` is the number before, where it turned back.
    fn write_instead(
        &mut self,
        event: &mut PreparedEvent,
        claim: &Claim,
        held: &Held,
        last: Option<u64>,
    ) -> Placed {
        let (producer, sequence) = &claim.instead;
        if !self.producers.insert(producer, *sequence) {
            return Placed::Known;
        }
        let boot = numbering_of(&event.producer).map(|(_, boot)| boot.to_owned());
        let boot = boot.unwrap_or_default();
        let reason = reuse_reason(&boot, claim.said, held, last);
        if let Some((sensor, _)) = numbering_of(&event.producer) {
            event.noted = Some(Noted::Reused {
                sensor: sensor.to_owned(),
                boot,
                number: claim.said,
                polled_at: claim.polled_at,
                device_at: claim.device_at,
            });
        }
        event.producer.clone_from(producer);
        event.sequence = *sequence;
        flag(event, &reason);
        Placed::Instead
    }

    /// What the log has under a number, compared with this.
    fn held(&self, producer: &str, number: u64, claim: &Claim) -> Held {
        if !self.producers.contains(producer, number) {
            return Held::Nothing;
        }
        let key = claim.producer.reading(number);
        let content = claim.content;
        let known = self
            .new
            .get(&key)
            .or_else(|| self.recent.contents.get(&key));
        match known.copied().or_else(|| self.look_up(producer, number)) {
            None => Held::Unknown,
            Some(known) if known.is_same(content) => Held::Same,
            Some(known) if known.measured == content.measured => Held::Repeated,
            Some(_) => Held::Other,
        }
    }

    /// What an entry says that the index knows.
    fn look_up(&self, producer: &str, number: u64) -> Option<Content> {
        let view = self.views?.newest();
        let found = view.numbered(producer, number, MOST_CANDIDATES);
        let candidates = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "the index cannot be asked whether a reading is in the log");
            Vec::new()
        });
        candidates
            .into_iter()
            .find_map(|index| self.content_of(index, producer, number))
    }

    fn content_of(&self, index: u64, producer: &str, number: u64) -> Option<Content> {
        let Ok(LogEntry::Envelope(bytes, _)) = self.log.entry(index) else {
            return None;
        };
        let envelope = Envelope::parse(&bytes).ok()?;
        if envelope.origin() != Some((producer, number)) {
            return None;
        }
        let event = envelope.event();
        let (_, told) = reading_and_told(&event, index, 0)?;
        Some(Claim::of(producer, &told)?.content)
    }
}

fn wrap_reason(last: u64, said: u64, number: u64, round: u64) -> String {
    let bits = round.next_power_of_two().trailing_zeros();
    format!(
        "the number went from {last} to {said}: a counter of {bits} bits began again, and is counted on \
         as {number}"
    )
}

fn reuse_reason(boot: &str, said: u64, held: &Held, last: Option<u64>) -> String {
    let turned = last.map(|last| {
        format!(
            "number {said} came after {last} of boot {boot}: the device restarted under an old boot id, \
             or two devices use this id"
        )
    });
    let seen = match held {
        Held::Nothing | Held::Same => None,
        Held::Repeated => Some(format!(
            "number {said} of boot {boot} is in the log with the same value, in answer to another poll"
        )),
        Held::Other => Some(format!(
            "number {said} of boot {boot} is in the log with another value or time"
        )),
        Held::Unknown => Some(format!(
            "number {said} of boot {boot} is in the log, and what it said then cannot be compared"
        )),
    };
    let reasons: Vec<String> = turned.into_iter().chain(seen).collect();
    match reasons.is_empty() {
        true => format!("number {said} of boot {boot} was repeated or turned back"),
        false => reasons.join("; "),
    }
}

/// Has the reading say why it is not Good.
fn flag(event: &mut PreparedEvent, why: &str) {
    let Ok(mut written) = serde_json::from_str::<Event>(&event.canonical) else {
        return;
    };
    let Ok(mut told) = Recorded::parse(&written.message) else {
        return;
    };
    told.quality = told.quality.min(Quality::UncertainSubNormal);
    let reason = match told.reason.take() {
        Some(reason) => format!("{reason}; {why}"),
        None => why.to_owned(),
    };
    told.reason = Some(reason.into());
    if let Some(reading) = &mut event.reading {
        told.quality.name().clone_into(&mut reading.quality);
    }
    let message = told.to_message();
    written.message = message;
    event.canonical = written.row().canonical();
}
