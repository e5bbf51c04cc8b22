//! What sensors send, and what becomes of it.

use fieldledger_attest::identity::DeviceKey;
use fieldledger_reading::{Recorded, grade_batch};
use fieldledger_wire::attestation::AttestationError;
use fieldledger_wire::batch::PollBatch;
use fieldledger_wire::bulk::{Bulk, MAX_BULK_READINGS};
use fieldledger_wire::heartbeat::{Heartbeat, Limits};
use fieldledger_wire::points::{Answer, MAX_NAME_BYTES, MAX_POINTS};
use fieldledger_wire::reply::{MAX_UNPARSABLE_BYTES, NUMBERS_END, Reply};
use fieldledger_wire::topic::TopicRules;

/// An announcement of a sensor. What is accepted is accepted again as it is stored.
pub(crate) fn heartbeat(data: &[u8]) {
    let topics = TopicRules::new(&["sensor".to_owned()], "default").expect("the rules are good");
    let limits = Limits {
        topics,
        poll_interval_ms: 100..=86_400_000,
    };
    if let Ok(device) = Heartbeat::parse(data, &limits) {
        let stored = serde_json::to_vec(&device.to_heartbeat()).expect("it is plain data");
        let mut again = Heartbeat::restore(&stored, &limits).expect("what was accepted stays so");
        // What was left out is no longer there to be remarked.
        again.remarks.clone_from(&device.remarks);
        assert_eq!(again, device);
        assert!(limits.poll_interval_ms.contains(&device.poll_interval_ms));
    }
}

/// An answer to a poll.
pub(crate) fn reply(data: &[u8]) {
    if let Answer::Many(answer) = Answer::parse(data) {
        assert!(answer.points.len() <= MAX_POINTS);
        for point in &answer.points {
            assert!((1..=MAX_NAME_BYTES).contains(&point.name.len()));
            match &point.answer {
                Ok(reply) => {
                    let number: f64 = reply.value.parse().expect("the value is a number");
                    assert!(number.is_finite() && reply.sig.is_none());
                    assert!(reply.at.is_none() || reply.up.is_none());
                }
                Err(unparsable) => assert!(unparsable.text.len() <= MAX_UNPARSABLE_BYTES),
            }
        }
    }
    match Reply::parse(data) {
        Ok(reply) => {
            let number: f64 = reply.value.parse().expect("the value is a number");
            assert!(number.is_finite());
            let numbers = [reply.seq, reply.at, reply.up, reply.poll];
            assert!(
                numbers
                    .into_iter()
                    .flatten()
                    .all(|number| number < NUMBERS_END)
            );
            assert!(reply.at.is_none() || reply.up.is_none());
            // What is accepted with a signature holds all that the signature covers.
            if reply.sig.is_some() {
                let key = DeviceKey::from_seed(&[7; 32]).public();
                let verdict = reply.attested(uuid::Uuid::from_u128(1), key);
                assert!(matches!(
                    verdict,
                    Ok(_) | Err(AttestationError::Evidence(_))
                ));
            }
        }
        Err(unparsable) => assert!(unparsable.text.len() <= MAX_UNPARSABLE_BYTES),
    }
}

/// What a sensor read during an outage.
pub(crate) fn bulk(data: &[u8]) {
    if let Ok(bulk) = Bulk::parse(data) {
        assert!((1..=MAX_BULK_READINGS).contains(&bulk.readings.len()));
        assert!(bulk.readings.is_sorted_by(|one, next| one.seq < next.seq));
        let key = DeviceKey::from_seed(&[7; 32]).public();
        let verdict = bulk.attested(uuid::Uuid::from_u128(1), key);
        assert!(matches!(
            verdict,
            Ok(_) | Err(AttestationError::Evidence(_))
        ));
    }
}

/// A batch of poll results as it lies in the stream: what is graded makes events that the log takes.
pub(crate) fn batch(data: &[u8]) {
    let Ok(batch) = serde_json::from_slice::<PollBatch>(data) else {
        return;
    };
    let batch = batch.with_new_columns();
    if let Ok(events) = grade_batch(&batch) {
        assert_eq!(events.message.len(), batch.sensor.len());
        for message in &events.message {
            Recorded::parse(message).expect("a graded reading can be read again");
        }
    }
}

/// The message of a reading's event.
pub(crate) fn reading(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(recorded) = Recorded::parse(text) {
        let message = recorded.to_message();
        let again = Recorded::parse(&message).expect("what was read is written so");
        assert_eq!(again, recorded);
    }
}
