//! Events as they cross a component boundary: column by column.

use fieldledger_contract::audit::EventColumns;

use crate::event::{Event, EventRow, Origin, Signature};

/// Events into columns and out of them.
pub trait EventRows {
    /// Appends an event. Columns that no event has used stay empty.
    fn push(&mut self, event: Event, origin: Option<Origin>);

    /// Appends an event with its client's signature.
    fn push_signed(&mut self, event: Event, origin: Option<Origin>, signed: Signature<'_>);

    /// Puts another event in the place of the one at `item`, which keeps its producer, its sequence and its
    /// client's signature; nothing beyond the end. Columns that no event has used stay empty.
    fn replace(&mut self, item: usize, event: Event);

    /// The event at `item`; none beyond the end. A column that is too short counts as empty there.
    #[must_use]
    fn row(&self, item: usize) -> Option<EventRow<'_>>;

    /// Producer and sequence of the event at `item`; none where it has no producer.
    #[must_use]
    fn origin(&self, item: usize) -> Option<(&str, u64)>;

    /// The client's signature of the event at `item`.
    #[must_use]
    fn signature(&self, item: usize) -> Signature<'_>;

    /// Every event, in order.
    fn rows(&self) -> impl Iterator<Item = EventRow<'_>>;
}

impl EventRows for EventColumns {
    fn push(&mut self, event: Event, origin: Option<Origin>) {
        self.push_signed(event, origin, Signature::default());
    }

    fn push_signed(&mut self, event: Event, origin: Option<Origin>, signed: Signature<'_>) {
        let earlier = self.message.len();
        let (producer, sequence) = match origin {
            Some(origin) => (origin.producer, origin.sequence),
            None => (String::new(), 0),
        };
        if !producer.is_empty() {
            self.sequence.resize(earlier, 0);
        }
        if !producer.is_empty() || !self.producer.is_empty() {
            self.sequence.push(sequence);
        }
        push_text(&mut self.producer, earlier, producer);
        push_text(&mut self.actor, earlier, event.actor);
        push_text(&mut self.action, earlier, event.action);
        push_text(&mut self.new, earlier, event.new);
        push_text(&mut self.old, earlier, event.old);
        push_text(&mut self.source, earlier, event.source);
        push_text(&mut self.status, earlier, event.status);
        push_text(&mut self.target, earlier, event.target);
        push_text(&mut self.tenant_id, earlier, event.tenant_id);
        push_text(&mut self.timestamp, earlier, event.timestamp);
        push_text(&mut self.signature, earlier, signed.signature.to_owned());
        push_text(&mut self.public_key, earlier, signed.public_key.to_owned());
        self.message.push(event.message);
    }

    fn replace(&mut self, item: usize, event: Event) {
        let length = self.message.len();
        if item >= length {
            return;
        }
        let Event {
            action,
            actor,
            message,
            new,
            old,
            source,
            status,
            target,
            tenant_id,
            timestamp,
        } = event;
        for (column, text) in [
            (&mut self.action, action),
            (&mut self.actor, actor),
            (&mut self.message, message),
            (&mut self.new, new),
            (&mut self.old, old),
            (&mut self.source, source),
            (&mut self.status, status),
            (&mut self.target, target),
            (&mut self.tenant_id, tenant_id),
            (&mut self.timestamp, timestamp),
        ] {
            if column.len() < length && !text.is_empty() {
                column.resize(length, String::new());
            }
            if let Some(slot) = column.get_mut(item) {
                *slot = text;
            }
        }
    }

    fn row(&self, item: usize) -> Option<EventRow<'_>> {
        let message = self.message.get(item)?;
        Some(EventRow {
            action: text_at(&self.action, item),
            actor: text_at(&self.actor, item),
            message,
            new: text_at(&self.new, item),
            old: text_at(&self.old, item),
            source: text_at(&self.source, item),
            status: text_at(&self.status, item),
            target: text_at(&self.target, item),
            tenant_id: text_at(&self.tenant_id, item),
            timestamp: text_at(&self.timestamp, item),
        })
    }

    fn origin(&self, item: usize) -> Option<(&str, u64)> {
        let producer = text_at(&self.producer, item);
        let sequence = *self.sequence.get(item)?;
        (!producer.is_empty()).then_some((producer, sequence))
    }

    fn signature(&self, item: usize) -> Signature<'_> {
        Signature {
            signature: text_at(&self.signature, item),
            public_key: text_at(&self.public_key, item),
        }
    }

    fn rows(&self) -> impl Iterator<Item = EventRow<'_>> {
        (0..self.len()).filter_map(|item| self.row(item))
    }
}

fn push_text(column: &mut Vec<String>, earlier: usize, text: String) {
    if text.is_empty() && column.is_empty() {
        return;
    }
    column.resize(earlier, String::new());
    column.push(text);
}

fn text_at(column: &[String], item: usize) -> &str {
    column.get(item).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;
    use crate::event::strategies::any_event;

    fn any_origin() -> impl Strategy<Value = Option<Origin>> {
        proptest::option::of(
            ("[a-z/]{1,12}", 0_u64..1 << 53)
                .prop_map(|(producer, sequence)| Origin { producer, sequence }),
        )
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn events_come_back_out_of_columns(
            events in proptest::collection::vec((any_event(), any_origin(), "[a-z]{0,2}", "[a-z]{0,2}"), 0..8)
        ) {
            let mut columns = EventColumns::default();
            for (event, origin, signature, public_key) in &events {
                columns.push_signed(event.clone(), origin.clone(), Signature { signature, public_key });
            }
            prop_assert_eq!(columns.len(), events.len());
            prop_assert!(columns.sequence.is_empty() || columns.sequence.len() == events.len());
            for (item, (event, origin, signature, public_key)) in events.iter().enumerate() {
                prop_assert_eq!(&columns.row(item).unwrap().to_event(), event);
                let expected = origin.as_ref().map(|origin| (origin.producer.as_str(), origin.sequence));
                prop_assert_eq!(columns.origin(item), expected);
                prop_assert_eq!(columns.signature(item), Signature { signature, public_key });
            }
        }

        #[test]
        fn an_event_that_is_replaced_leaves_its_neighbours_as_they_are(
            events in proptest::collection::vec((any_event(), any_origin()), 1..6),
            other in any_event(),
            at in any::<proptest::sample::Index>(),
        ) {
            let mut columns = EventColumns::default();
            for (event, origin) in &events {
                columns.push(event.clone(), origin.clone());
            }
            let at = at.index(events.len());
            columns.replace(at, other.clone());
            columns.replace(events.len(), other.clone());
            prop_assert_eq!(columns.len(), events.len());
            for (item, (event, origin)) in events.iter().enumerate() {
                let expected = if item == at { &other } else { event };
                prop_assert_eq!(&columns.row(item).unwrap().to_event(), expected);
                let expected = origin.as_ref().map(|origin| (origin.producer.as_str(), origin.sequence));
                prop_assert_eq!(columns.origin(item), expected);
            }
        }
    }

    #[test]
    fn unused_columns_stay_empty() {
        let mut columns = EventColumns::default();
        columns.push(
            Event {
                message: "a".into(),
                ..Event::default()
            },
            None,
        );
        columns.push(
            Event {
                message: "b".into(),
                actor: "c".into(),
                ..Event::default()
            },
            None,
        );
        assert_eq!(columns.actor, ["", "c"]);
        assert!(columns.status.is_empty() && columns.sequence.is_empty());
        assert_eq!(columns.row(2), None);
    }
}
