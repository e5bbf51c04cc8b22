//! Which packets have come by.

use heapless::HistoryBuf;

use crate::{Header, NodeId};

/// The last `N` packets. A packet that was given to another gateway counts as another.
#[derive(Debug, Clone)]
pub(crate) struct Seen<const N: usize> {
    packets: HistoryBuf<(NodeId, u32, u8), N>,
}

impl<const N: usize> Seen<N> {
    pub(crate) const fn new() -> Self {
        Self {
            packets: HistoryBuf::new(),
        }
    }

    /// Remembers a packet. Whether it was not known.
    pub(crate) fn is_new(&mut self, header: &Header) -> bool {
        let key = (header.origin, header.number, header.retargets_left);
        if self.packets.as_slice().contains(&key) {
            return false;
        }
        if N > 0 {
            self.packets.write(key);
        }
        true
    }
}
