//! Numbers the events of a message, so that a write whose answer got lost can be repeated: the log
//! appends each pair of producer and sequence once.
//!
//! The component keeps nothing from one message to the next, so a message's first number is drawn
//! by lot. Numbers are drawn anew for each day's producer: with a million messages on one day, the
//! chance that any two of that day meet is 1 in 9,000 if each is one event.

use std::time::Duration;

use fieldledger_audit::EventColumns;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Gives the events the producer `event/<days since 1970>` and consecutive sequence numbers.
/// `lot` are 64 random bits, `since_epoch` is the time.
pub(crate) fn number(events: &mut EventColumns, lot: u64, since_epoch: Duration) {
    let count = events.len();
    let producer = format!("event/{}", since_epoch.as_secs() / DAY_SECONDS);
    // 52 bits, so that the numbers after the first are below 2^53 too.
    let first = lot >> 12;
    events.producer = vec![producer; count];
    events.sequence = (first..).take(count).collect();
}

#[cfg(test)]
mod tests {
    use fieldledger_audit::Event;
    use fieldledger_audit::validate::validate;

    use super::*;

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
