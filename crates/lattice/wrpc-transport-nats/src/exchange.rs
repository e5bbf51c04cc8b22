//! One direction of a call within the process: its pipes by path.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::pipe::{Receiver, Sender, pipe};

#[derive(Default)]
struct Ends {
    senders: HashMap<Vec<usize>, Sender>,
    receivers: HashMap<Vec<usize>, Receiver>,
}

/// Whichever side asks for a path first makes its pipe, and leaves the other end here for the other.
#[derive(Clone, Default)]
pub(crate) struct Exchange(Arc<Mutex<Ends>>);

impl Exchange {
    pub(crate) fn sender(&self, path: &[usize]) -> Sender {
        let mut ends = self.0.lock();
        ends.senders.remove(path).unwrap_or_else(|| {
            let (sender, receiver) = pipe();
            ends.receivers.insert(path.to_owned(), receiver);
            sender
        })
    }

    pub(crate) fn receiver(&self, path: &[usize]) -> Receiver {
        let mut ends = self.0.lock();
        ends.receivers.remove(path).unwrap_or_else(|| {
            let (sender, receiver) = pipe();
            ends.senders.insert(path.to_owned(), sender);
            receiver
        })
    }
}
