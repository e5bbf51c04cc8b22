//! What a client is subscribed to, so that the next connection can be told again.

use heapless::{String, Vec};

use crate::encode::ClientOperation;
use crate::{Filter, Subject};

/// A subscription. It stays the same over reconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriptionId(pub(crate) u32);

/// Why there is no further subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The table is full.
    #[error("there are {capacity} subscriptions, and the table holds no more")]
    TableFull {
        /// Rows of the table.
        capacity: usize,
    },
    /// The filter, or the name of the queue group, is longer than a row.
    #[error("the filter or queue group has {length} bytes, and a row of the table {capacity}")]
    TooLong {
        /// Bytes of the filter or of the name.
        length: usize,
        /// Bytes of a row's filter, and of its queue group.
        capacity: usize,
    },
}

/// The inbox has number 1.
pub(crate) const INBOX_SID: u32 = 1;

#[derive(Debug, Clone)]
pub(crate) struct Subscriptions<const ROWS: usize, const BYTES: usize> {
    rows: Vec<Row<BYTES>, ROWS>,
    next_sid: u32,
}

#[derive(Debug, Clone)]
struct Row<const BYTES: usize> {
    sid: u32,
    filter: String<BYTES>,
    queue: Option<String<BYTES>>,
    /// Messages until it ends.
    left: Option<u32>,
    /// Messages that came over this connection.
    received: u32,
    is_announced: bool,
    is_limit_announced: bool,
}

impl<const ROWS: usize, const BYTES: usize> Subscriptions<ROWS, BYTES> {
    pub(crate) const fn new() -> Self {
        Self {
            rows: Vec::new(),
            next_sid: INBOX_SID + 1,
        }
    }

    pub(crate) fn add(
        &mut self,
        filter: Filter<'_>,
        queue: Option<Subject<'_>>,
    ) -> Result<SubscriptionId, SubscribeError> {
        let keep = |text: &str| {
            let too_long = SubscribeError::TooLong {
                length: text.len(),
                capacity: BYTES,
            };
            String::try_from(text).map_err(|_| too_long)
        };
        let row = Row {
            sid: self.next_sid,
            filter: keep(filter.as_str())?,
            queue: queue.map(|queue| keep(queue.as_str())).transpose()?,
            left: None,
            received: 0,
            is_announced: false,
            is_limit_announced: false,
        };
        let full = SubscribeError::TableFull { capacity: ROWS };
        self.rows.push(row).map_err(|_| full)?;
        let id = SubscriptionId(self.next_sid);
        // Four thousand million subscriptions later the first ones are gone.
        self.next_sid = self.next_sid.checked_add(1).unwrap_or(INBOX_SID + 1);
        Ok(id)
    }

    /// Ends a subscription after so many further messages. Whether there is such a one.
    pub(crate) fn limit(&mut self, id: SubscriptionId, left: u32) -> bool {
        let row = self.rows.iter_mut().find(|row| row.sid == id.0);
        if let Some(row) = row {
            row.left = Some(left.max(1));
            row.is_limit_announced = false;
            return true;
        }
        false
    }

    /// Whether the server knows of a subscription; nothing if there is none.
    pub(crate) fn is_announced(&self, id: SubscriptionId) -> Option<bool> {
        let row = self.rows.iter().find(|row| row.sid == id.0);
        row.map(|row| row.is_announced)
    }

    pub(crate) fn remove(&mut self, id: SubscriptionId) {
        self.rows.retain(|row| row.sid != id.0);
    }

    /// A message came. Whether its subscription still is one.
    pub(crate) fn received(&mut self, sid: u32) -> Option<SubscriptionId> {
        let index = self.rows.iter().position(|row| row.sid == sid)?;
        let row = self.rows.get_mut(index)?;
        row.received = row.received.saturating_add(1);
        if let Some(left) = &mut row.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.rows.remove(index);
            }
        }
        Some(SubscriptionId(sid))
    }

    /// The next connection knows of none.
    pub(crate) fn reset(&mut self) {
        for row in &mut self.rows {
            row.received = 0;
            row.is_announced = false;
            row.is_limit_announced = false;
        }
    }

    /// Tells `send` what the server does not know yet, until it fails. Whether the server then
    /// knows all.
    pub(crate) fn announce(&mut self, mut send: impl FnMut(&ClientOperation<'_>) -> bool) -> bool {
        for row in &mut self.rows {
            if !row.is_announced {
                let Ok(filter) = Filter::new(&row.filter) else {
                    continue;
                };
                let queue = row
                    .queue
                    .as_deref()
                    .and_then(|queue| Subject::new(queue).ok());
                if !send(&ClientOperation::Subscribe {
                    filter,
                    queue,
                    sid: row.sid,
                }) {
                    return false;
                }
                row.is_announced = true;
            }
            if let (Some(left), false) = (row.left, row.is_limit_announced) {
                let after = Some(row.received.saturating_add(left));
                if !send(&ClientOperation::Unsubscribe {
                    sid: row.sid,
                    after,
                }) {
                    return false;
                }
                row.is_limit_announced = true;
            }
        }
        true
    }
}
