//! Batches of poll results, as they are stored in the stream and handed to a reader.

use fieldledger_contract_derive::{Packed, Shape, Wire};

use super::SensorProfile;
use crate::limits;

/// How one poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Wire, Packed)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Outcome {
    /// The device answered in time with a number.
    Value,
    /// The device answered in time with something that is no number.
    Unparsable,
    /// No answer within the poll's timeout.
    NoReply,
    /// A number that arrived after its poll had already been recorded as [`Outcome::NoReply`].
    Late,
    /// A number that the device held while it could not deliver it, and sent later as history. No
    /// poll asked for it: its poll's number is one of its own, and the time of the poll the time of
    /// the measurement, as well as that is known.
    Historical,
}

/// What the signature of a result says of where it comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Wire, Packed)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Attestation {
    /// Not signed, and none is expected: nobody has approved a key of the sensor. Also where there is
    /// no reading that could be signed.
    #[default]
    Unsigned,
    /// Signed with the sensor's approved key.
    Valid,
    /// Signed with a key that the sensor shows, and that nobody has approved.
    Unapproved,
    /// Not signed, though the sensor has a key that was approved, now or once.
    Missing,
    /// The signature is not one of the sensor's key over this reading.
    Invalid,
    /// Signed with a key that was the sensor's and is retired.
    Retired,
}

impl Attestation {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Valid => "valid",
            Self::Unapproved => "unapproved",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Retired => "retired",
        }
    }

    /// Whether the result may be taken for the sensor's own: it is signed with its key, or nothing is
    /// known that it should be signed with.
    #[must_use]
    pub fn is_credible(self) -> bool {
        matches!(self, Self::Unsigned | Self::Valid | Self::Unapproved)
    }
}

/// Poll results, column by column: every list below `sensors` has one item per result.
#[derive(Debug, Clone, Default, PartialEq, Shape, Packed)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PollBatch {
    /// Unique id of the batch; a redelivered batch keeps it.
    pub id: String,
    /// Unique id of the polling run; with `poll` it names a poll forever.
    pub epoch: String,
    /// Each sensor of the batch, once.
    pub sensors: Vec<SensorProfile>,
    /// Index into `sensors`.
    pub sensor: Vec<u32>,
    /// Number of the poll within the epoch.
    pub poll: Vec<u64>,
    /// When the poll was sent, microseconds since the Unix epoch.
    pub polled_at: Vec<u64>,
    /// When the answer arrived or the poll was given up, microseconds since the Unix epoch.
    pub received_at: Vec<u64>,
    /// How each poll ended.
    pub outcome: Vec<Outcome>,
    /// The number as the device wrote it, the unparsable text (at most 256 bytes), or empty.
    pub text: Vec<String>,
    /// The device's boot id, or empty.
    pub boot: Vec<String>,
    /// The device's sequence number, below 2^53.
    pub sequence: Vec<Option<u64>>,
    /// The device's own time, microseconds since the Unix epoch.
    pub device_at: Vec<Option<u64>>,
    /// The unit the reply named, or empty.
    pub unit: Vec<String>,
    /// True where the device repeated or turned back a sequence number within one boot.
    pub sequence_reused: Vec<bool>,
    /// The device's time since its boot in microseconds, where it does not know the time.
    #[cfg_attr(feature = "serde", serde(default))]
    pub device_up: Vec<Option<u64>>,
    /// What the signature says.
    #[cfg_attr(feature = "serde", serde(default))]
    pub attestation: Vec<Attestation>,
    /// The signature with what it takes to verify it (`fieldledger_attest::evidence`, JSON), or empty.
    #[cfg_attr(feature = "serde", serde(default))]
    pub evidence: Vec<String>,
    /// Why the results are recorded without what they hold: the log did not take them as they were.
    /// Empty in a batch that it has not refused.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "String::is_empty")
    )]
    pub refusal: String,
    /// What the provider noticed that speaks against the result, as a sentence, or empty.
    #[cfg_attr(feature = "serde", serde(default))]
    pub remark: Vec<String>,
    /// Of an answer that is no number, why; of another, what was left out of it and why. Or empty.
    #[cfg_attr(feature = "serde", serde(default))]
    pub flaw: Vec<String>,
}

/// Most characters of a text that the log did not take, in the entry that says so.
const KEPT_CHARACTERS: usize = 256;

impl PollBatch {
    /// The same with the columns that batches did not have before readings could be signed, or before
    /// there were remarks and flaws, as those have it that were stored then and not yet delivered.
    #[must_use]
    pub fn with_new_columns(mut self) -> Self {
        let rows = self.sensor.len();
        if self.device_up.is_empty() && self.attestation.is_empty() && self.evidence.is_empty() {
            self.device_up = vec![None; rows];
            self.attestation = vec![Attestation::Unsigned; rows];
            self.evidence = vec![String::new(); rows];
        }
        if self.remark.is_empty() {
            self.remark = vec![String::new(); rows];
        }
        if self.flaw.is_empty() {
            self.flaw = vec![String::new(); rows];
        }
        self
    }

    /// How long each column is that has one item per result, beside `sensor`; by its name in `wit/`.
    #[must_use]
    pub fn lengths(&self) -> [(&'static str, usize); 15] {
        [
            ("poll", self.poll.len()),
            ("polled-at", self.polled_at.len()),
            ("received-at", self.received_at.len()),
            ("outcome", self.outcome.len()),
            ("text", self.text.len()),
            ("boot", self.boot.len()),
            ("sequence", self.sequence.len()),
            ("device-at", self.device_at.len()),
            ("unit", self.unit.len()),
            ("sequence-reused", self.sequence_reused.len()),
            ("device-up", self.device_up.len()),
            ("attestation", self.attestation.len()),
            ("evidence", self.evidence.len()),
            ("remark", self.remark.len()),
            ("flaw", self.flaw.len()),
        ]
    }

    /// The results of these rows, as a batch of their own; `None` where the columns are not of one length.
    #[must_use]
    pub fn part(&self, rows: std::ops::Range<usize>) -> Option<Self> {
        // A name of its own, so that a part that is given up is not taken for another.
        let id = format!("{}.{}-{}", self.id, rows.start, rows.end);
        Some(Self {
            id,
            epoch: self.epoch.clone(),
            sensors: self.sensors.clone(),
            sensor: items(&self.sensor, &rows)?,
            poll: items(&self.poll, &rows)?,
            polled_at: items(&self.polled_at, &rows)?,
            received_at: items(&self.received_at, &rows)?,
            outcome: items(&self.outcome, &rows)?,
            text: items(&self.text, &rows)?,
            boot: items(&self.boot, &rows)?,
            sequence: items(&self.sequence, &rows)?,
            device_at: items(&self.device_at, &rows)?,
            unit: items(&self.unit, &rows)?,
            sequence_reused: items(&self.sequence_reused, &rows)?,
            device_up: items(&self.device_up, &rows)?,
            attestation: items(&self.attestation, &rows)?,
            evidence: items(&self.evidence, &rows)?,
            remark: items(&self.remark, &rows)?,
            refusal: self.refusal.clone(),
            flaw: items(&self.flaw, &rows)?,
        })
    }

    /// The same polls with what can be kept of their results, whatever is wrong with them: which sensor
    /// was polled and when, how it ended, the beginning of the text in printable characters, and why there
    /// is no more.
    #[must_use]
    pub fn what_can_be_kept(&self, refusal: &str) -> Self {
        let rows = self.sensor.len();
        let kept = |text: &String| limits::cut(&printable(text), KEPT_CHARACTERS);
        let profile = |sensor: &SensorProfile| SensorProfile {
            id: sensor.id.clone(),
            alias: limits::cut(&printable(&sensor.alias), limits::NAME_CHARACTERS),
            location: limits::cut(&printable(&sensor.location), limits::NAME_CHARACTERS),
            unit: String::new(),
            range: None,
            calibration: None,
            unit_sent: String::new(),
        };
        Self {
            id: self.id.clone(),
            epoch: self.epoch.clone(),
            sensors: self.sensors.iter().map(profile).collect(),
            sensor: self.sensor.clone(),
            poll: self.poll.clone(),
            polled_at: self.polled_at.clone(),
            received_at: self.received_at.clone(),
            outcome: self.outcome.clone(),
            text: self.text.iter().map(kept).collect(),
            boot: vec![String::new(); rows],
            sequence: vec![None; rows],
            device_at: vec![None; rows],
            unit: vec![String::new(); rows],
            sequence_reused: vec![false; rows],
            device_up: vec![None; rows],
            attestation: vec![Attestation::Unsigned; rows],
            evidence: vec![String::new(); rows],
            remark: vec![String::new(); rows],
            refusal: limits::cut(&printable(refusal), KEPT_CHARACTERS),
            flaw: vec![String::new(); rows],
        }
    }

    /// Adds the results of a later batch, and keeps its own id.
    ///
    /// # Errors
    ///
    /// Gives the batch back where it is of another run, or where its columns are not of one length.
    pub fn append(&mut self, later: Self) -> Result<(), Box<Self>> {
        let results = later.sensor.len();
        let is_even = later.lengths().iter().all(|(_, length)| *length == results);
        if later.epoch != self.epoch || later.refusal != self.refusal || !is_even {
            return Err(Box::new(later));
        }
        let Self {
            id: _,
            epoch: _,
            sensors,
            sensor,
            poll,
            polled_at,
            received_at,
            outcome,
            text,
            boot,
            sequence,
            device_at,
            unit,
            sequence_reused,
            device_up,
            attestation,
            evidence,
            refusal: _,
            remark,
            flaw,
        } = later;
        let mut places = Vec::with_capacity(sensors.len());
        for profile in sensors {
            let known = self.sensors.iter().position(|known| *known == profile);
            let place = known.unwrap_or_else(|| {
                self.sensors.push(profile);
                self.sensors.len() - 1
            });
            places.push(u32::try_from(place).unwrap_or(u32::MAX));
        }
        // A sensor that the batch does not have stays one that it does not have.
        let place_of = |sensor: u32| places.get(sensor as usize).copied().unwrap_or(u32::MAX);
        self.sensor.extend(sensor.into_iter().map(place_of));
        self.poll.extend(poll);
        self.polled_at.extend(polled_at);
        self.received_at.extend(received_at);
        self.outcome.extend(outcome);
        self.text.extend(text);
        self.boot.extend(boot);
        self.sequence.extend(sequence);
        self.device_at.extend(device_at);
        self.unit.extend(unit);
        self.sequence_reused.extend(sequence_reused);
        self.device_up.extend(device_up);
        self.attestation.extend(attestation);
        self.evidence.extend(evidence);
        self.remark.extend(remark);
        self.flaw.extend(flaw);
        Ok(())
    }
}

fn items<T: Clone>(column: &[T], rows: &std::ops::Range<usize>) -> Option<Vec<T>> {
    column.get(rows.clone()).map(<[T]>::to_vec)
}

/// With a space in the place of what is not printable.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn profile(alias: &str) -> SensorProfile {
        SensorProfile {
            id: alias.to_owned(),
            alias: alias.to_owned(),
            location: String::new(),
            unit: String::new(),
            range: None,
            calibration: None,
            unit_sent: String::new(),
        }
    }

    /// Results of these sensors, each with its poll's number.
    fn batch(epoch: &str, sensors: &[&str], results: &[(u32, u64)]) -> PollBatch {
        let polls: Vec<u64> = results.iter().map(|(_, poll)| *poll).collect();
        let of_poll = |poll: &u64| poll.to_string();
        PollBatch {
            id: format!("{epoch}-{}", polls[0]),
            epoch: epoch.to_owned(),
            sensors: sensors.iter().map(|alias| profile(alias)).collect(),
            sensor: results.iter().map(|(sensor, _)| *sensor).collect(),
            polled_at: polls.clone(),
            received_at: polls.clone(),
            outcome: vec![Outcome::Value; polls.len()],
            text: polls.iter().map(of_poll).collect(),
            boot: polls.iter().map(of_poll).collect(),
            sequence: polls.iter().copied().map(Some).collect(),
            device_at: polls.iter().copied().map(Some).collect(),
            unit: polls.iter().map(of_poll).collect(),
            sequence_reused: vec![false; polls.len()],
            device_up: polls.iter().copied().map(Some).collect(),
            attestation: vec![Attestation::Valid; polls.len()],
            evidence: polls.iter().map(of_poll).collect(),
            refusal: String::new(),
            remark: polls.iter().map(of_poll).collect(),
            flaw: polls.iter().map(of_poll).collect(),
            poll: polls,
        }
    }

    #[test]
    fn a_later_batch_is_appended_in_every_column() {
        let mut all = batch("e", &["a", "b"], &[(0, 1), (1, 2)]);
        all.append(batch("e", &["c", "b"], &[(1, 3), (0, 4), (7, 5)]))
            .unwrap();
        let results = [(0, 1), (1, 2), (1, 3), (2, 4), (u32::MAX, 5)];
        assert_eq!(all, batch("e", &["a", "b", "c"], &results));
        // A sensor that has changed is there as it was and as it is.
        let mut renamed = batch("e", &["b"], &[(0, 6)]);
        renamed.sensors[0].location = "elsewhere".to_owned();
        all.append(renamed).unwrap();
        assert_eq!(all.sensors[3].location, "elsewhere");
        assert_eq!(all.sensor[5], 3);
    }

    #[test]
    fn parts_are_the_whole() {
        let whole = batch("e", &["a", "b"], &[(0, 1), (1, 2), (0, 3), (1, 4)]);
        let mut again = whole.part(0..1).unwrap();
        for rows in [1..3, 3..4] {
            again.append(whole.part(rows).unwrap()).unwrap();
        }
        again.id.clone_from(&whole.id);
        assert_eq!(again, whole);
        assert_eq!(whole.part(3..5), None);
        let mut uneven = whole.clone();
        uneven.unit.clear();
        assert_eq!(uneven.part(0..1), None);
    }

    #[test]
    fn what_is_kept_of_a_refused_result_is_short_and_printable() {
        let mut whole = batch("e", &["a"], &[(0, 1)]);
        whole.text[0] = "\u{1}温".repeat(1_000);
        whole.sensors[0].alias = "\u{85}x".repeat(1_000);
        let kept = whole.what_can_be_kept(&"\n".repeat(1_000));
        let all = [&kept.text[0], &kept.sensors[0].alias, &kept.refusal];
        for text in all {
            assert!(limits::fits(text, KEPT_CHARACTERS) && !text.contains(char::is_control));
        }
        assert!(kept.text[0].starts_with(" 温"));
        assert_eq!((kept.poll, kept.sequence[0]), (whole.poll, None));
    }

    #[test]
    fn what_does_not_belong_to_it_is_given_back() {
        let mut all = batch("e", &["a"], &[(0, 1)]);
        let of_another_run = batch("f", &["a"], &[(0, 2)]);
        let mut uneven = batch("e", &["a"], &[(0, 2)]);
        uneven.evidence.clear();
        for other in [of_another_run, uneven] {
            let given_back = all.append(other.clone()).unwrap_err();
            assert_eq!(*given_back, other);
            assert_eq!(all, batch("e", &["a"], &[(0, 1)]));
        }
    }
}
