//! Which packets have come by.

use heapless::HistoryBuf;

use crate::{Header, NodeId};

/// The last `N` packets.
#[derive(Debug, Clone)]
pub(crate) struct Seen<const N: usize> {
    packets: HistoryBuf<Key, N>,
}

/// What makes two packets the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    origin: NodeId,
    number: u32,
    /// On the way: a packet may pass a node again where routes change under it, and has fewer hops
    /// left then; one that a neighbour sends twice, because it heard no acknowledgement, has not.
    left: Option<(u8, u8)>,
}

impl Key {
    /// As a node on the way sees it.
    pub(crate) const fn on_the_way(header: &Header) -> Self {
        let Header {
            origin,
            number,
            hops_left,
            retargets_left,
            ..
        } = *header;
        Self {
            origin,
            number,
            left: Some((hops_left, retargets_left)),
        }
    }

    /// As a gateway sees it: however it came, it is delivered once.
    pub(crate) const fn at_the_end(header: &Header) -> Self {
        Self {
            origin: header.origin,
            number: header.number,
            left: None,
        }
    }
}

impl<const N: usize> Seen<N> {
    pub(crate) const fn new() -> Self {
        Self {
            packets: HistoryBuf::new(),
        }
    }

    /// Remembers a packet. Whether it was not known.
    pub(crate) fn is_new(&mut self, key: Key) -> bool {
        if self.packets.as_slice().contains(&key) {
            return false;
        }
        if N > 0 {
            self.packets.write(key);
        }
        true
    }
}
