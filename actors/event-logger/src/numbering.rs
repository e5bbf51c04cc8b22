//! Numbers the events of a message, so that a write whose answer got lost can be repeated: the log
//! appends each pair of producer and sequence once.
//!
//! The component keeps nothing from one message to the next, so a message's first number is drawn by lot,
//! or made of what a stream says of the message, which is as good. Numbers are drawn anew for each day's
//! producer: with a million messages on one day, the chance that any two of that day meet is 1 in 9,000 if
//! each is one event.

use std::time::Duration;

use fieldledger_audit::timestamp;
use fieldledger_contract::audit::EventColumns;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Gives the events the producer `event/<days since 1970>` and consecutive sequence numbers.
/// `lot` are 64 random bits, `since_epoch` is the time of the message.
pub(crate) fn number(events: &mut EventColumns, lot: u64, since_epoch: Duration) {
    let count = events.len();
    let producer = format!("event/{}", since_epoch.as_secs() / DAY_SECONDS);
    // 52 bits, so that the numbers after the first are below 2^53 too.
    let first = lot >> 12;
    events.producer = vec![producer; count];
    events.sequence = (first..).take(count).collect();
}

/// Gives each event that names no time the time at which its message was stored, since the Unix epoch.
pub(crate) fn date(events: &mut EventColumns, at: Duration) {
    let micros = u64::try_from(at.as_micros()).ok();
    let Some(at) = micros.and_then(timestamp::from_micros) else {
        return;
    };
    // The column may be shorter where the last events name none.
    events.timestamp.resize(events.len(), String::new());
    for timestamp in events.timestamp.iter_mut().filter(|text| text.is_empty()) {
        timestamp.clone_from(&at);
    }
}

#[cfg(test)]
mod tests {
    use fieldledger_audit::validate::validate;
    use fieldledger_audit::{Event, EventRows as _};

    use super::*;

    #[test]
    fn an_event_without_a_time_gets_that_of_its_message() {
        for named in [Some(0), Some(1), Some(2), None] {
            let mut events = EventColumns::default();
            for item in 0..3 {
                let timestamp = match named == Some(item) {
                    true => "2026-01-01T00:00:00Z".to_owned(),
                    false => String::new(),
                };
                events.push(
                    Event {
                        message: "m".to_owned(),
                        timestamp,
                        ..Event::default()
                    },
                    None,
                );
            }
            date(&mut events, Duration::from_micros(1_767_323_045_000_006));
            let times: Vec<&str> = events.rows().map(|event| event.timestamp).collect();
            let mut expected = ["2026-01-02T03:04:05.000006Z"; 3];
            if let Some(item) = named {
                expected[item] = "2026-01-01T00:00:00Z";
            }
            assert_eq!(times, expected);
        }
    }

    #[test]
    fn every_event_has_a_number_of_its_own() {
        let mut events = EventColumns::default();
        for _ in 0..1_001 {
            let message = "m".to_owned();
            events.push(
                Event {
                    message,
                    ..Event::default()
                },
                None,
            );
        }
        for lot in [0, u64::MAX] {
            number(&mut events, lot, Duration::from_secs(20_454 * DAY_SECONDS));
            assert_eq!(validate(&events), Ok(()));
            assert_eq!(events.origin(0), Some(("event/20454", lot >> 12)));
            assert_eq!(
                events.origin(1_000),
                Some(("event/20454", (lot >> 12) + 1_000))
            );
        }
    }
}
