//! Which key is a sensor's, and what its signatures are worth.
//!
//! A sensor that signs shows its key in its heartbeats, with a proof that it has it. That makes it
//! *discovered* and no more: anybody can claim an id and show a key. An operator compares the key's
//! fingerprint with the device's and approves it. From then on heartbeats of another key, or of none,
//! change nothing, and readings that are not signed with it are recorded as such.

use fieldledger_attest::evidence::Evidence;
use fieldledger_attest::identity::{Fingerprint, PublicKey};
use fieldledger_attest::tables::KnownKeys;
use fieldledger_contract::field::Standing;
use fieldledger_wire::batch::Attestation;
use fieldledger_wire::bulk::Bulk;
use fieldledger_wire::heartbeat::Identity;
use fieldledger_wire::reply::Reply;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// What operators have said about a sensor's keys. It outlives the sensor's registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The key that was approved.
    pub approved: Option<PublicKey>,
    /// The key that was retired last.
    pub retired: Option<PublicKey>,
}

/// Why a heartbeat is not that of the sensor it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Impostor {
    /// No key, where one was approved.
    #[error("it proves no key, but {approved} was approved for the sensor")]
    NoKey {
        /// The approved key.
        approved: Fingerprint,
    },
    /// Another key than the approved one.
    #[error(
        "it proves the key {shown}, but {approved} was approved for the sensor; if the device has a \
         new key, approve that"
    )]
    OtherKey {
        /// The key it proves to have.
        shown: Fingerprint,
        /// The approved key.
        approved: Fingerprint,
    },
    /// A heartbeat that was heard before.
    #[error("heartbeat {beat} of this boot was heard before; the last one was {last}")]
    Repeated {
        /// Its number.
        beat: u64,
        /// The highest so far.
        last: u64,
    },
}

/// Why a key is not approved or retired.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnrolError {
    /// There is no such sensor.
    #[error("no sensor {sensor} is known")]
    Unknown {
        /// Its id.
        sensor: Uuid,
    },
    /// It shows no key, or another one.
    #[error("sensor {sensor} does not show the key {asked}; it shows {shown}")]
    NotShown {
        /// Its id.
        sensor: Uuid,
        /// The fingerprint asked for.
        asked: String,
        /// What it shows instead.
        shown: String,
    },
    /// Nothing was approved.
    #[error("sensor {sensor} has no approved key to retire")]
    NoKey {
        /// Its id.
        sensor: Uuid,
    },
}

/// A sensor's keys, and what its heartbeats show in this run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Enrolment {
    pub(crate) keys: Keys,
    /// A key that waits for approval.
    offered: Option<PublicKey>,
    /// Boot and number of the newest heartbeat signed with the approved key.
    last_beat: Option<(String, u64)>,
}

impl Enrolment {
    pub(crate) fn of(keys: Keys) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }

    /// A heartbeat that names the sensor, and proves this key or none.
    pub(crate) fn meet(&mut self, shown: Option<&Identity>) -> Result<(), Impostor> {
        let Some(approved) = self.keys.approved else {
            self.offered = shown.map(|identity| identity.key);
            return Ok(());
        };
        let approved_print = approved.fingerprint();
        let Some(identity) = shown else {
            return Err(Impostor::NoKey {
                approved: approved_print,
            });
        };
        if identity.key != approved {
            self.offered = Some(identity.key);
            return Err(Impostor::OtherKey {
                shown: identity.key.fingerprint(),
                approved: approved_print,
            });
        }
        self.offered = None;
        let beat = identity.beat;
        match &mut self.last_beat {
            Some((boot, last)) if *boot == identity.boot => {
                if beat <= *last {
                    let last = *last;
                    return Err(Impostor::Repeated { beat, last });
                }
                *last = beat;
            }
            last_beat => *last_beat = Some((identity.boot.clone(), beat)),
        }
        Ok(())
    }

    pub(crate) fn standing(&self) -> Standing {
        match (self.keys.approved, self.offered, self.keys.retired) {
            (Some(_), None, _) => Standing::Approved,
            (Some(_), Some(_), _) => Standing::KeyOffered,
            (None, Some(_), _) => Standing::Discovered,
            (None, None, Some(_)) => Standing::Retired,
            (None, None, None) => Standing::Unsigned,
        }
    }

    pub(crate) fn offered(&self) -> Option<PublicKey> {
        self.offered
    }

    /// What the signature of an answer says, and the evidence for the log. Evidence that does not hold
    /// is kept as well: others may want to see that.
    pub(crate) fn judge(
        &self,
        sensor: Uuid,
        reply: &Reply,
        known: &mut KnownKeys,
    ) -> (Attestation, Option<Evidence>) {
        let Some(signature) = reply.sig else {
            let expected = self.keys.approved.or(self.keys.retired).is_some();
            let verdict = match expected {
                true => Attestation::Missing,
                false => Attestation::Unsigned,
            };
            return (verdict, None);
        };
        let mut failed = None;
        for (key, verdict) in self.candidates() {
            match reply.attested_known(sensor, key, known) {
                Ok(evidence) => return (verdict, Some(evidence)),
                Err(_) => failed = failed.or(Some(Evidence::of_one(key, signature))),
            }
        }
        (Attestation::Invalid, failed)
    }

    /// What the one signature of a message of history says, and the evidence for each of its readings
    /// where the signature holds.
    pub(crate) fn judge_history(&self, sensor: Uuid, bulk: &Bulk) -> (Attestation, Vec<Evidence>) {
        for (key, verdict) in self.candidates() {
            if let Ok(evidence) = bulk.attested(sensor, key) {
                return (verdict, evidence);
            }
        }
        (Attestation::Invalid, Vec::new())
    }

    /// Keys that may have signed, and what a signature of each is worth. Once a key was approved,
    /// anybody else's is worth nothing until it is approved as well.
    fn candidates(&self) -> impl Iterator<Item = (PublicKey, Attestation)> {
        let is_first = self.keys == Keys::default();
        let candidates = [
            (self.keys.approved, Attestation::Valid),
            (self.keys.retired, Attestation::Retired),
            (self.offered.filter(|_| is_first), Attestation::Unapproved),
        ];
        let candidates = candidates.into_iter();
        candidates.filter_map(|(key, verdict)| Some((key?, verdict)))
    }

    /// Makes the shown key the sensor's.
    pub(crate) fn approve(&self, sensor: Uuid, fingerprint: &str) -> Result<Keys, EnrolError> {
        if let Some(approved) = self.keys.approved
            && approved.fingerprint().to_string() == fingerprint
        {
            return Ok(self.keys.clone());
        }
        match self.offered {
            Some(key) if key.fingerprint().to_string() == fingerprint => Ok(Keys {
                approved: Some(key),
                retired: self.keys.approved.or(self.keys.retired),
            }),
            shown => Err(EnrolError::NotShown {
                sensor,
                asked: fingerprint.chars().take(64).collect(),
                shown: shown.map_or("none".to_owned(), |key| key.fingerprint().to_string()),
            }),
        }
    }

    /// Takes the sensor's key from it.
    pub(crate) fn retire(&self, sensor: Uuid) -> Result<Keys, EnrolError> {
        match self.keys.approved {
            Some(key) => Ok(Keys {
                approved: None,
                retired: Some(key),
            }),
            None => Err(EnrolError::NoKey { sensor }),
        }
    }

    /// What was decided, once it is durable.
    pub(crate) fn decide(&mut self, keys: Keys) {
        if keys.approved == self.offered {
            self.offered = None;
        }
        if keys.approved != self.keys.approved {
            self.last_beat = None;
        }
        self.keys = keys;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_attest::identity::DeviceKey;
    use fieldledger_attest::reading::{Clock, Reading};
    use fieldledger_attest::statement::{BootId, Statement};

    use super::*;

    const SENSOR: Uuid = Uuid::from_u128(0xf308_8463_5623_476f_a1b5_ecb4_9446_a443);

    fn key(seed: u8) -> DeviceKey {
        DeviceKey::from_seed(&[seed; 32])
    }

    fn identity(key: &DeviceKey, boot: &str, beat: u64) -> Identity {
        Identity {
            key: key.public(),
            boot: boot.to_owned(),
            beat,
        }
    }

    fn reply(key: Option<&DeviceKey>, sequence: u64) -> Reply {
        let reading = Reading::new(sequence, Clock::Uptime(5), "21.5", "Cel").unwrap();
        let boot = BootId::new("b1").unwrap();
        let sig = key.map(|key| {
            let signature = Statement::of_one(*SENSOR.as_bytes(), boot, &reading).sign(key);
            format!(r#","sig":"{signature}""#)
        });
        let text = format!(
            r#"{{"value":"21.5","seq":{sequence},"boot":"b1","up":5,"unit":"Cel"{}}}"#,
            sig.unwrap_or_default()
        );
        Reply::parse(text.as_bytes()).unwrap()
    }

    fn judged(enrolment: &Enrolment, reply: &Reply) -> Attestation {
        enrolment
            .judge(SENSOR, reply, &mut KnownKeys::with_room(0))
            .0
    }

    fn fingerprint(key: &DeviceKey) -> String {
        key.public().fingerprint().to_string()
    }

    fn approved(key: &DeviceKey) -> Enrolment {
        let mut enrolment = Enrolment::default();
        enrolment.meet(Some(&identity(key, "b1", 1))).unwrap();
        let keys = enrolment.approve(SENSOR, &fingerprint(key)).unwrap();
        enrolment.decide(keys);
        enrolment
    }

    #[test]
    fn a_shown_key_counts_once_it_is_approved() {
        let device = key(1);
        let mut enrolment = Enrolment::default();
        assert_eq!(enrolment.standing(), Standing::Unsigned);
        enrolment.meet(None).unwrap();
        assert_eq!(judged(&enrolment, &reply(None, 1)), Attestation::Unsigned);
        enrolment.meet(Some(&identity(&device, "b1", 1))).unwrap();
        assert_eq!(enrolment.standing(), Standing::Discovered);
        let signed = reply(Some(&device), 1);
        assert_eq!(judged(&enrolment, &signed), Attestation::Unapproved);
        let enrolment = approved(&device);
        assert_eq!(enrolment.standing(), Standing::Approved);
        let (verdict, evidence) = enrolment.judge(SENSOR, &signed, &mut KnownKeys::with_room(0));
        assert_eq!(verdict, Attestation::Valid);
        assert_eq!(evidence.unwrap().key, device.public());
        assert_eq!(judged(&enrolment, &reply(None, 2)), Attestation::Missing);
    }

    #[test]
    fn nobody_else_speaks_for_a_sensor_that_is_approved() {
        let (device, other) = (key(1), key(2));
        let mut enrolment = approved(&device);
        assert!(matches!(enrolment.meet(None), Err(Impostor::NoKey { .. })));
        let foreign = enrolment.meet(Some(&identity(&other, "b9", 1)));
        assert!(matches!(foreign, Err(Impostor::OtherKey { .. })));
        assert_eq!(enrolment.standing(), Standing::KeyOffered);
        let forged = reply(Some(&other), 1);
        assert_eq!(judged(&enrolment, &forged), Attestation::Invalid);
        // Its own heartbeat sets that right.
        enrolment.meet(Some(&identity(&device, "b1", 2))).unwrap();
        assert_eq!(enrolment.standing(), Standing::Approved);
        assert_eq!(judged(&enrolment, &forged), Attestation::Invalid);
    }

    #[test]
    fn a_heartbeat_counts_once() {
        let device = key(1);
        let mut enrolment = approved(&device);
        enrolment.meet(Some(&identity(&device, "b1", 5))).unwrap();
        for beat in [5, 4] {
            let again = enrolment.meet(Some(&identity(&device, "b1", beat)));
            assert_eq!(again, Err(Impostor::Repeated { beat, last: 5 }));
        }
        enrolment.meet(Some(&identity(&device, "b2", 1))).unwrap();
    }

    #[test]
    fn the_fingerprint_of_another_key_approves_nothing() {
        let mut enrolment = Enrolment::default();
        enrolment.meet(Some(&identity(&key(1), "b1", 1))).unwrap();
        assert_eq!(enrolment.offered(), Some(key(1).public()));
        let refused = enrolment.approve(SENSOR, &fingerprint(&key(2)));
        let shown = fingerprint(&key(1));
        assert!(
            matches!(refused, Err(EnrolError::NotShown { shown: named, .. }) if named == shown)
        );
        let again = approved(&key(1));
        let unchanged = again.approve(SENSOR, &fingerprint(&key(1)));
        assert_eq!(unchanged, Ok(again.keys));
    }

    #[test]
    fn what_was_decided_counts_after_a_restart() {
        let device = key(1);
        let mut restarted = Enrolment::of(approved(&device).keys);
        assert_eq!(restarted.standing(), Standing::Approved);
        assert!(matches!(restarted.meet(None), Err(Impostor::NoKey { .. })));
        assert_eq!(judged(&restarted, &reply(None, 1)), Attestation::Missing);
    }

    #[test]
    fn heartbeats_of_a_new_key_are_counted_anew_and_those_of_the_same_go_on() {
        let (old, new) = (key(1), key(2));
        let mut enrolment = approved(&old);
        enrolment.meet(Some(&identity(&old, "b1", 5))).unwrap();
        enrolment.decide(enrolment.keys.clone());
        let again = enrolment.meet(Some(&identity(&old, "b1", 5)));
        assert_eq!(again, Err(Impostor::Repeated { beat: 5, last: 5 }));
        let _ = enrolment.meet(Some(&identity(&new, "b1", 1)));
        let keys = enrolment.approve(SENSOR, &fingerprint(&new)).unwrap();
        enrolment.decide(keys);
        enrolment.meet(Some(&identity(&new, "b1", 2))).unwrap();
    }

    #[test]
    fn a_key_changes_and_is_retired_by_decision_alone() {
        let (old, new) = (key(1), key(2));
        let mut enrolment = approved(&old);
        let shown = enrolment.approve(SENSOR, &fingerprint(&new));
        assert!(matches!(shown, Err(EnrolError::NotShown { .. })));
        let _ = enrolment.meet(Some(&identity(&new, "b2", 1)));
        let keys = enrolment.approve(SENSOR, &fingerprint(&new)).unwrap();
        enrolment.decide(keys);
        assert_eq!(
            judged(&enrolment, &reply(Some(&new), 1)),
            Attestation::Valid
        );
        assert_eq!(
            judged(&enrolment, &reply(Some(&old), 1)),
            Attestation::Retired
        );

        let keys = enrolment.retire(SENSOR).unwrap();
        enrolment.decide(keys);
        assert_eq!(enrolment.standing(), Standing::Retired);
        assert_eq!(
            judged(&enrolment, &reply(Some(&new), 1)),
            Attestation::Retired
        );
        assert_eq!(judged(&enrolment, &reply(None, 1)), Attestation::Missing);
        assert_eq!(
            enrolment.retire(SENSOR),
            Err(EnrolError::NoKey { sensor: SENSOR })
        );
        // Enrolled again, by the same decision as the first time.
        enrolment.meet(Some(&identity(&new, "b3", 1))).unwrap();
        assert_eq!(enrolment.standing(), Standing::Discovered);
        let keys = enrolment.approve(SENSOR, &fingerprint(&new)).unwrap();
        enrolment.decide(keys);
        assert_eq!(
            judged(&enrolment, &reply(Some(&new), 1)),
            Attestation::Valid
        );
    }
}
