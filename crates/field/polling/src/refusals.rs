//! What was refused lately, so that it can be asked for although the log writes few lines of it.
//!
//! Each sensor that is registered has a place of its own. Those that are not share one, and those below a
//! confined prefix another: half of it is for whoever came first, until nothing was heard of it for an
//! hour, so that a flood of new names pushes out none that was there before; the other half is for the
//! newest.

use std::collections::HashMap;

use fieldledger_contract::field::RefusalKind;
use uuid::Uuid;

/// Refusals of one kind that are kept of one sensor.
const OF_SENSOR_MAX: usize = 4;

/// Strangers that came first, and as many that came last.
const STRANGERS_MAX: usize = 128;

/// A stranger's place is free again after this long, in microseconds.
const STRANGER_STAYS: u64 = 3_600_000_000;

/// The longest of each text, in bytes.
const SUBJECT_BYTES: usize = 256;
const REASON_BYTES: usize = 512;
const EXCERPT_BYTES: usize = 192;

/// Something that was refused, once or several times for one reason. Times are microseconds since the
/// Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The sensor that it is of, or says that it is of.
    pub sensor: Option<Uuid>,
    /// What it was.
    pub kind: RefusalKind,
    /// The subject that it came on.
    pub subject: String,
    /// Why it was refused.
    pub reason: String,
    /// Its beginning, the last time.
    pub excerpt: String,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first_at: u64,
    /// The last time.
    pub last_at: u64,
}

impl Refusal {
    pub(crate) fn new(
        sensor: Option<Uuid>,
        kind: RefusalKind,
        subject: &str,
        reason: &str,
        payload: &[u8],
        wall_now: u64,
    ) -> Self {
        let beginning = payload.get(..EXCERPT_BYTES).unwrap_or(payload);
        Self {
            sensor,
            kind,
            subject: cut(subject, SUBJECT_BYTES),
            reason: cut(reason, REASON_BYTES),
            excerpt: cut(&String::from_utf8_lossy(beginning), EXCERPT_BYTES),
            count: 1,
            first_at: wall_now,
            last_at: wall_now,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.sensor == other.sensor
            && self.kind == other.kind
            && self.subject == other.subject
            && self.reason == other.reason
    }

    fn repeat(&mut self, again: Self) {
        self.count = self.count.saturating_add(again.count);
        self.last_at = self.last_at.max(again.last_at);
        self.excerpt = again.excerpt;
    }
}

/// Cut at a character.
fn cut(text: &str, bytes: usize) -> String {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text[..end.unwrap_or(0)].to_owned()
}

/// Whose room a refusal takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// That of a registered sensor.
    Sensor(Uuid),
    /// That of all others below a confined prefix.
    Confined,
    /// That of all others.
    Open,
}

#[derive(Debug, Default)]
pub(crate) struct Refusals {
    of_sensor: HashMap<Uuid, Vec<Refusal>>,
    confined: Strangers,
    open: Strangers,
}

#[derive(Debug, Default)]
struct Strangers {
    first: Vec<Refusal>,
    newest: Vec<Refusal>,
}

impl Refusals {
    pub(crate) fn note(&mut self, room: Room, refusal: Refusal) {
        match room {
            Room::Sensor(id) => {
                let kept = self.of_sensor.entry(id).or_default();
                if let Some(refusal) = repeated(kept, refusal) {
                    let kind = refusal.kind;
                    let alike = kept.iter().filter(|kept| kept.kind == kind).count();
                    if alike >= OF_SENSOR_MAX {
                        drop_one(kept, |kept| kept.kind == kind);
                    }
                    kept.push(refusal);
                }
            }
            Room::Confined => self.confined.note(refusal),
            Room::Open => self.open.note(refusal),
        }
    }

    /// What is no longer of a registered sensor.
    pub(crate) fn forget(&mut self, sensor: Uuid) {
        self.of_sensor.remove(&sensor);
    }

    /// The newest first: of one sensor, or of all.
    pub(crate) fn list(&self, sensor: Option<Uuid>, limit: usize) -> Vec<Refusal> {
        let strangers = [&self.confined, &self.open].into_iter();
        let strangers = strangers.flat_map(|room| room.first.iter().chain(&room.newest));
        let known = self.of_sensor.values().flatten();
        let mut found: Vec<&Refusal> = known
            .chain(strangers)
            .filter(|refusal| sensor.is_none() || refusal.sensor == sensor)
            .collect();
        found.sort_by_key(|refusal| std::cmp::Reverse(refusal.last_at));
        found.into_iter().take(limit).cloned().collect()
    }
}

impl Strangers {
    fn note(&mut self, refusal: Refusal) {
        let Some(refusal) = repeated(&mut self.first, refusal) else {
            return;
        };
        let Some(refusal) = repeated(&mut self.newest, refusal) else {
            return;
        };
        if self.first.len() >= STRANGERS_MAX {
            let now = refusal.last_at;
            self.first
                .retain(|kept| now.saturating_sub(kept.last_at) < STRANGER_STAYS);
        }
        if self.first.len() < STRANGERS_MAX {
            self.first.push(refusal);
            return;
        }
        if self.newest.len() >= STRANGERS_MAX {
            drop_one(&mut self.newest, |_| true);
        }
        self.newest.push(refusal);
    }
}

/// Adds the refusal to one like it; gives it back where there is none.
fn repeated(kept: &mut [Refusal], refusal: Refusal) -> Option<Refusal> {
    match kept.iter_mut().find(|kept| kept.is_like(&refusal)) {
        Some(kept) => {
            kept.repeat(refusal);
            None
        }
        None => Some(refusal),
    }
}

/// Drops the one that was last heard of longest ago.
fn drop_one(kept: &mut Vec<Refusal>, which: impl Fn(&Refusal) -> bool) {
    let candidates = kept.iter().enumerate().filter(|(_, kept)| which(kept));
    let oldest = candidates.min_by_key(|(_, kept)| kept.last_at);
    if let Some(index) = oldest.map(|(index, _)| index) {
        kept.remove(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(sensor: u128, reason: &str, at: u64) -> Refusal {
        let kind = RefusalKind::Heartbeat;
        let sensor = Some(Uuid::from_u128(sensor));
        Refusal::new(sensor, kind, "sim.heartbeat", reason, b"{}", at)
    }

    #[test]
    fn one_reason_is_counted_and_others_stand_beside_it() {
        let mut refusals = Refusals::default();
        let id = Uuid::from_u128(1);
        for at in 0..100 {
            refusals.note(Room::Sensor(id), refusal(1, "a", at));
        }
        refusals.note(Room::Sensor(id), refusal(1, "b", 100));
        let found = refusals.list(Some(id), 10);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].reason.as_str(), found[0].count), ("b", 1));
        assert_eq!(
            (found[1].count, found[1].first_at, found[1].last_at),
            (100, 0, 99)
        );
        refusals.forget(id);
        assert!(refusals.list(None, 10).is_empty());
    }

    #[test]
    fn a_flood_pushes_out_neither_a_sensor_nor_who_was_there_before() {
        let mut refusals = Refusals::default();
        refusals.note(Room::Sensor(Uuid::from_u128(1)), refusal(1, "own", 0));
        refusals.note(Room::Open, refusal(2, "before", 0));
        refusals.note(Room::Confined, refusal(3, "confined", 0));
        for n in 0..100_000 {
            refusals.note(Room::Open, refusal(1_000 + n, "flood", 1));
        }
        let all = refusals.list(None, usize::MAX);
        assert!(all.len() <= 2 * STRANGERS_MAX + 2, "{}", all.len());
        for (sensor, reason) in [(1, "own"), (2, "before"), (3, "confined")] {
            let found = refusals.list(Some(Uuid::from_u128(sensor)), 10);
            assert_eq!(found[0].reason, reason);
        }
        // The newest is seen as well, and of one sensor no more than a few reasons.
        refusals.note(Room::Open, refusal(4, "new", 2));
        assert_eq!(refusals.list(None, 1)[0].reason, "new");
        for n in 0..1_000 {
            let room = Room::Sensor(Uuid::from_u128(1));
            refusals.note(room, refusal(1, &n.to_string(), n));
        }
        let own = refusals.list(Some(Uuid::from_u128(1)), usize::MAX);
        assert_eq!(own.len(), OF_SENSOR_MAX);
    }

    #[test]
    fn texts_are_cut_at_a_character() {
        let long = "ö".repeat(10_000);
        let kind = RefusalKind::Answer;
        let kept = Refusal::new(None, kind, &long, &long, &[0xff; 10_000], 0);
        assert!(kept.subject.len() <= SUBJECT_BYTES && kept.reason.len() <= REASON_BYTES);
        assert!(kept.excerpt.len() <= EXCERPT_BYTES);
    }
}
