//! From a signed message and the sensor's key to evidence for the log.

use fieldledger_attest::evidence::{Evidence, EvidenceError};
use fieldledger_attest::identity::PublicKey;
use fieldledger_attest::reading::{Reading, ReadingError};
use fieldledger_attest::statement::{BootError, BootId};
use fieldledger_attest::tables::KnownKeys;
use thiserror::Error;
use uuid::Uuid;

use crate::bulk::Bulk;
use crate::reply::Reply;

/// Why a message is no evidence of what it says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttestationError {
    /// Without a signature, or without one of the fields that it covers.
    #[error("answer is not signed, or has no sequence number or time")]
    Unsigned,
    /// A boot id that nothing can be signed with.
    #[error("boot id cannot be signed")]
    Boot(#[from] BootError),
    /// A reading that cannot be signed.
    #[error("reading cannot be signed")]
    Reading(#[from] ReadingError),
    /// The signature is over something else.
    #[error("signature does not hold")]
    Evidence(#[from] EvidenceError),
}

impl Reply {
    /// Evidence that the device with `key` read this at `sensor`: the signature holds.
    ///
    /// # Errors
    ///
    /// Says why it is none.
    pub fn attested(&self, sensor: Uuid, key: PublicKey) -> Result<Evidence, AttestationError> {
        self.attested_known(sensor, key, &mut KnownKeys::with_room(0))
    }

    /// The same, for one who verifies many answers of the same keys.
    ///
    /// # Errors
    ///
    /// As [`Reply::attested`].
    pub fn attested_known(
        &self,
        sensor: Uuid,
        key: PublicKey,
        keys: &mut KnownKeys,
    ) -> Result<Evidence, AttestationError> {
        let (Some(signature), Some(sequence), Some(clock)) = (self.sig, self.seq, self.clock())
        else {
            return Err(AttestationError::Unsigned);
        };
        let boot = BootId::new(&self.boot)?;
        let reading = Reading::new(sequence, clock, &self.value, &self.unit)?;
        let evidence = Evidence::of_one(key, signature);
        evidence.verify_known(*sensor.as_bytes(), boot, &reading, keys)?;
        Ok(evidence)
    }
}

impl Bulk {
    /// Evidence for each of its readings, in their order: the one signature holds for all of them.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub fn attested(
        &self,
        sensor: Uuid,
        key: PublicKey,
    ) -> Result<Vec<Evidence>, AttestationError> {
        let boot = BootId::new(&self.boot)?;
        let mut readings = Vec::with_capacity(self.readings.len());
        for reading in &self.readings {
            let (sequence, clock) = (reading.seq, reading.clock);
            readings.push(Reading::new(
                sequence,
                clock,
                &reading.value,
                &reading.unit,
            )?);
        }
        let sensor = *sensor.as_bytes();
        Ok(Evidence::of_all(key, self.sig, sensor, boot, &readings)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_attest::identity::DeviceKey;
    use fieldledger_attest::reading::Clock;
    use fieldledger_attest::statement::Statement;
    use fieldledger_attest::tree::RootBuilder;

    use super::*;

    const SENSOR: Uuid = Uuid::from_u128(0xf308_8463_5623_476f_a1b5_ecb4_9446_a443);

    fn key() -> DeviceKey {
        DeviceKey::from_seed(&[3; 32])
    }

    /// That have seen the key.
    fn keys() -> KnownKeys {
        let mut keys = KnownKeys::with_room(1 << 20);
        let reply = Reply::parse(signed_reply().as_bytes()).unwrap();
        reply
            .attested_known(SENSOR, key().public(), &mut keys)
            .unwrap();
        keys
    }

    fn signed_reply() -> String {
        let reading = Reading::new(4, Clock::Utc(1_767_323_045_000_006), "21.370", "Cel").unwrap();
        let boot = BootId::new("b1").unwrap();
        let signature = Statement::of_one(*SENSOR.as_bytes(), boot, &reading).sign(&key());
        format!(
            r#"{{"value":21.370,"seq":4,"boot":"b1","at":"2026-01-02T03:04:05.000006Z","unit":"Cel","sig":"{signature}"}}"#
        )
    }

    #[test]
    fn a_signed_answer_is_evidence_however_its_time_is_written() {
        let mut keys = keys();
        let text = signed_reply();
        let numbered = text.replace("\"2026-01-02T03:04:05.000006Z\"", "1767323045000006");
        for text in [text, numbered] {
            let reply = Reply::parse(text.as_bytes()).unwrap();
            let evidence = reply
                .attested_known(SENSOR, key().public(), &mut keys)
                .unwrap();
            assert_eq!((evidence.index, evidence.size), (0, 1));
        }
    }

    #[test]
    fn a_changed_answer_is_none() {
        let mut keys = keys();
        let good = signed_reply();
        for (from, to) in [
            ("21.370", "21.37"),
            ("\"seq\":4", "\"seq\":5"),
            ("b1", "b2"),
            ("000006Z", "000007Z"),
            (
                "\"at\":\"2026-01-02T03:04:05.000006Z\"",
                "\"up\":1767323045000006",
            ),
            ("Cel", "K"),
        ] {
            assert_eq!(good.matches(from).count(), 1, "{from}");
            let reply = Reply::parse(good.replace(from, to).as_bytes()).unwrap();
            let error = reply
                .attested_known(SENSOR, key().public(), &mut keys)
                .unwrap_err();
            assert!(
                matches!(error, AttestationError::Evidence(_)),
                "{from}: {error}"
            );
        }
        let reply = Reply::parse(good.as_bytes()).unwrap();
        let stranger = DeviceKey::from_seed(&[4; 32]).public();
        assert!(reply.attested_known(SENSOR, stranger, &mut keys).is_err());
        let elsewhere = reply.attested_known(Uuid::from_u128(1), key().public(), &mut keys);
        assert!(elsewhere.is_err());
        let unsigned = Reply::parse(b"21.37").unwrap();
        let error = unsigned.attested_known(SENSOR, key().public(), &mut keys);
        assert_eq!(error, Err(AttestationError::Unsigned));
    }

    #[test]
    fn each_reading_of_a_bulk_has_its_evidence() {
        let boot = BootId::new("b1").unwrap();
        let mut tree = RootBuilder::new();
        let mut readings = Vec::new();
        for number in 0..5 {
            let value = format!("{number}.0");
            let reading = Reading::new(number, Clock::Uptime(number), &value, "Cel").unwrap();
            tree.push(&reading).unwrap();
            readings.push(format!(
                r#"{{"value":{value},"seq":{number},"up":{number},"unit":"Cel"}}"#
            ));
        }
        let statement = Statement::of_tree(*SENSOR.as_bytes(), boot, tree).unwrap();
        let signature = statement.sign(&key());
        let readings = readings.join(",");
        let text = format!(r#"{{"boot":"b1","sig":"{signature}","readings":[{readings}]}}"#);
        let bulk = Bulk::parse(text.as_bytes()).unwrap();
        let evidence = bulk.attested(SENSOR, key().public()).unwrap();
        assert_eq!(evidence.len(), 5);
        for (reading, evidence) in bulk.readings.iter().zip(evidence) {
            let reading = Reading::new(reading.seq, reading.clock, &reading.value, &reading.unit);
            let verdict = evidence.verify(*SENSOR.as_bytes(), boot, &reading.unwrap());
            assert_eq!(verdict, Ok(()));
        }
        let changed = Bulk::parse(text.replace("\"value\":2.0", "\"value\":2.1").as_bytes());
        assert!(changed.unwrap().attested(SENSOR, key().public()).is_err());
    }
}
