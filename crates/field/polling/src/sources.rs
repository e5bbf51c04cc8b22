//! Whether one device speaks for a sensor, by how its answers count.
//!
//! A device counts on within a boot, and a boot that has ended does not come back. Where one does, or the
//! count turns back, somebody set the device back, or two devices have one id. The second is seen where
//! that happens again and again, or where one poll gets two answers.
//!
//! Nothing is dropped because of this: a reading is recorded with a remark, and the sensor has a condition
//! until it has counted well for a while. What a repeated number means for the log is decided there, which
//! remembers all of them (`claims` of `fieldledger_ledger`).

use std::collections::VecDeque;

use crate::moment::Moment;

/// Boots that are remembered.
const REMEMBERED_BOOTS: usize = 8;

/// Answers among which it is counted how often the source changed.
const WINDOW: u32 = 16;

/// Changes among them from which on two devices are at work: one that restarts does so once.
const CHANGES: usize = 3;

/// Answers without anything odd, after which the condition ends.
const CALM: u32 = 60;

/// A count that lies further on than this is another one.
const NEAR: u64 = 1_000;

/// Counters begin again at these, and what comes so near after their end is no turning back.
const COUNTER_ENDS: [u64; 3] = [1 << 8, 1 << 16, 1 << 32];
const NEAR_THE_END: u64 = 8;

/// How a sensor's answers count.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The boots heard of, and where each counts. The present one is the last.
    boots: VecDeque<Boot>,
    /// Answers so far.
    answers: u32,
    /// At which of them the source changed.
    changes: VecDeque<u32>,
    condition: Option<Condition>,
}

#[derive(Debug)]
struct Boot {
    id: String,
    at: Option<u64>,
    /// Where it counted before it leapt or turned back.
    other: Option<u64>,
    /// The highest number.
    highest: u64,
}

#[derive(Debug)]
struct Condition {
    what: Odd,
    /// Wall clock.
    since: u64,
    /// The answer at which it was seen last.
    seen: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Odd {
    /// Two devices.
    Two { how: String },
    /// The device counts again under an id of a boot.
    Again {
        boot: String,
        number: u64,
        last: u64,
    },
}

impl Odd {
    fn text(&self) -> String {
        match self {
            Self::Two { how } => format!("two devices seem to use this id: {how}"),
            Self::Again { boot, number, last } if number == last => {
                format!("it sends number {number} of boot {boot} again")
            }
            Self::Again { boot, number, last } => {
                format!("it counts again under boot {boot}: number {number} came after {last}")
            }
        }
    }
}

/// What an answer shows.
enum Seen {
    Nothing,
    /// A boot that had ended.
    BootAgain {
        before: String,
    },
    /// A lower number.
    TurnedBack {
        last: u64,
    },
    /// The count that was left.
    OtherCount {
        last: u64,
    },
}

impl Sources {
    /// Takes an answer into account; what speaks against it.
    pub(crate) fn answered(&mut self, boot: &str, number: Option<u64>, now: Moment) -> String {
        self.answers = self.answers.saturating_add(1);
        let mut remark = String::new();
        match self.see(boot, number) {
            Seen::Nothing => {}
            Seen::BootAgain { before } => {
                let how = format!("boots {before} and {boot} answer in turn");
                if !self.changed(how, now) {
                    remark = format!(
                        "boot {boot} answers again after boot {before}: the device restarted under an \
                         old boot id, or two devices use this id"
                    );
                }
            }
            Seen::OtherCount { last } => {
                let number = number.unwrap_or_default();
                let how = format!("boot {boot} counts at {last} and at {number} in turn");
                self.changed(how, now);
            }
            Seen::TurnedBack { last } => {
                let odd = Odd::Again {
                    boot: boot.to_owned(),
                    number: number.unwrap_or_default(),
                    last,
                };
                self.becomes(odd, now);
            }
        }
        self.calm_down(boot);
        match &self.condition {
            Some(Condition { what, .. }) if matches!(what, Odd::Two { .. }) => what.text(),
            _ => remark,
        }
    }

    /// One poll got two answers that differ; what speaks against the second.
    pub(crate) fn answered_twice(&mut self, now: Moment) -> String {
        let how = "one poll got two answers that differ".to_owned();
        self.becomes(Odd::Two { how }, now);
        let text = self
            .condition
            .as_ref()
            .map(|condition| condition.what.text());
        text.unwrap_or_default()
    }

    /// What is odd, and since when: wall clock.
    pub(crate) fn condition(&self) -> Option<(String, u64)> {
        let condition = self.condition.as_ref()?;
        Some((condition.what.text(), condition.since))
    }

    fn see(&mut self, boot: &str, number: Option<u64>) -> Seen {
        let Some(position) = self.boots.iter().position(|known| known.id == boot) else {
            if self.boots.len() == REMEMBERED_BOOTS {
                self.boots.pop_front();
            }
            self.boots.push_back(Boot {
                id: boot.to_owned(),
                at: number,
                other: None,
                highest: number.unwrap_or(0),
            });
            return Seen::Nothing;
        };
        if position + 1 < self.boots.len() {
            let before = self.boots.back().map(|before| before.id.clone());
            if let Some(mut known) = self.boots.remove(position) {
                known.at = number;
                known.highest = known.highest.max(number.unwrap_or(0));
                self.boots.push_back(known);
            }
            return Seen::BootAgain {
                before: before.unwrap_or_default(),
            };
        }
        match (self.boots.back_mut(), number) {
            (Some(known), Some(number)) => known.count(number),
            _ => Seen::Nothing,
        }
    }

    /// The source changed; whether it does so too often for one device.
    fn changed(&mut self, how: String, now: Moment) -> bool {
        self.changes.push_back(self.answers);
        let first = self.answers.saturating_sub(WINDOW);
        self.changes.retain(|at| *at >= first);
        let is_two = self.changes.len() >= CHANGES;
        if is_two {
            self.becomes(Odd::Two { how }, now);
        }
        is_two
    }

    fn becomes(&mut self, what: Odd, now: Moment) {
        let since = match &self.condition {
            Some(known) if matches!((&known.what, &what), (Odd::Two { .. }, Odd::Again { .. })) => {
                // The graver one stays.
                return;
            }
            Some(known) if std::mem::discriminant(&known.what) == std::mem::discriminant(&what) => {
                known.since
            }
            _ => now.wall,
        };
        self.condition = Some(Condition {
            what,
            since,
            seen: self.answers,
        });
    }

    /// Ends a condition that is over.
    fn calm_down(&mut self, boot: &str) {
        let Some(condition) = &self.condition else {
            return;
        };
        let is_calm = self.answers.saturating_sub(condition.seen) >= CALM;
        let is_over = match &condition.what {
            Odd::Two { .. } => is_calm,
            // Until its numbers are new ones.
            Odd::Again { boot: counted, .. } => {
                let known = self.boots.back();
                let is_beyond = known.is_some_and(|known| known.at == Some(known.highest));
                counted != boot || (is_calm && is_beyond)
            }
        };
        if is_over {
            self.condition = None;
        }
    }
}

impl Boot {
    fn count(&mut self, number: u64) -> Seen {
        let Some(at) = self.at.replace(number) else {
            self.highest = self.highest.max(number);
            return Seen::Nothing;
        };
        let goes_on = |from: u64| number > from && number - from <= NEAR;
        let is_nearer = |other: u64| number <= at || number - other < number - at;
        let left = self
            .other
            .filter(|other| goes_on(*other) && is_nearer(*other));
        if left.is_some() {
            self.other = Some(at);
            self.highest = self.highest.max(number);
            return Seen::OtherCount { last: at };
        }
        if number > at {
            if !goes_on(at) {
                self.other = Some(at);
            }
            self.highest = self.highest.max(number);
            return Seen::Nothing;
        }
        let wraps = |end: &u64| at < *end && number + end - at <= NEAR_THE_END;
        if COUNTER_ENDS.iter().any(wraps) {
            self.highest = number;
            return Seen::Nothing;
        }
        if number < at {
            self.other = Some(at);
        }
        Seen::TurnedBack { last: at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment { steady: 0, wall: 7 };

    fn run(answers: impl IntoIterator<Item = (&'static str, u64)>) -> (Sources, Vec<String>) {
        let mut sources = Sources::default();
        let mut remarks = Vec::new();
        for (boot, number) in answers {
            remarks.push(sources.answered(boot, Some(number), NOW));
        }
        (sources, remarks)
    }

    fn text(sources: &Sources) -> String {
        sources
            .condition()
            .map_or_else(String::new, |(text, _)| text)
    }

    #[test]
    fn a_device_that_counts_well_has_no_condition() {
        let boots = (1..9).map(|number| ("a", number));
        let answers = boots.chain((1..20).map(|number| ("b", number)));
        let (sources, remarks) =
            run(answers.chain([("b", 300), ("b", 301), ("c", 65_535), ("c", 0)]));
        assert_eq!(sources.condition(), None);
        assert!(remarks.iter().all(String::is_empty), "{remarks:?}");
    }

    #[test]
    fn one_absurd_number_makes_no_second_device() {
        let (sources, _) = run([
            ("a", 1),
            ("a", 2),
            ("a", 1 << 52),
            ("a", 3),
            ("a", 4),
            ("a", 5),
        ]);
        assert_eq!(sources.condition(), None);
    }

    #[test]
    fn a_device_that_counts_again_is_seen_until_its_numbers_are_new() {
        let again = (1..=50).chain(1..=40).map(|number| ("1", number));
        let (mut sources, _) = run(again);
        assert!(
            text(&sources).contains("number 1 came after 50"),
            "{}",
            text(&sources)
        );
        for number in 41..=120 {
            sources.answered("1", Some(number), NOW);
        }
        assert_eq!(sources.condition(), None);
    }

    #[test]
    fn boots_that_answer_in_turn_are_two_devices() {
        let turns = (1..10).flat_map(|number| [("a", number), ("b", number)]);
        let (mut sources, remarks) = run(turns);
        assert!(text(&sources).contains("two devices"), "{}", text(&sources));
        assert!(remarks[2].contains("answers again"), "{}", remarks[2]);
        assert!(
            remarks[10..]
                .iter()
                .all(|remark| remark.contains("two devices"))
        );
        for number in 10..10 + u64::from(CALM) + 2 {
            sources.answered("a", Some(number), NOW);
        }
        assert_eq!(sources.condition(), None);
    }

    #[test]
    fn counts_that_go_on_in_turn_are_two_devices() {
        for other in [5_u64, 700, 90_000] {
            let turns = (0..10).flat_map(|number| [("a", 300 + number), ("a", other + number)]);
            let (sources, _) = run(turns);
            assert!(
                text(&sources).contains("two devices"),
                "{other}: {}",
                text(&sources)
            );
        }
    }
}
