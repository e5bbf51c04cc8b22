//! Connections from which something is still to come: a head, the rest of a body, or that an answer is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// All of them, the one that has waited longest first.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    of: BTreeMap<u64, Arc<Notify>>,
}

impl Waiting {
    /// A connection that waits from now on.
    pub(crate) fn join(self: &Arc<Self>) -> Waiter {
        let waiter = Waiter {
            all: Arc::clone(self),
            number: Mutex::new(None),
            leave: Arc::new(Notify::new()),
        };
        waiter.wait();
        waiter
    }

    /// Has the one that has waited longest end, if any waits.
    pub(crate) fn end_oldest(&self) -> bool {
        match self.inner.lock().of.pop_first() {
            Some((_, leave)) => {
                leave.notify_one();
                true
            }
            None => false,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Waiter {
    all: Arc<Waiting>,
    /// Its number while it waits.
    number: Mutex<Option<u64>>,
    leave: Arc<Notify>,
}

impl Waiter {
    /// It waits from now on.
    pub(crate) fn wait(&self) {
        let mut inner = self.all.inner.lock();
        let number = inner.next;
        inner.next += 1;
        inner.of.insert(number, Arc::clone(&self.leave));
        if let Some(former) = self.number.lock().replace(number) {
            inner.of.remove(&former);
        }
    }

    /// It waits no more: what was to come is here.
    pub(crate) fn work(&self) {
        let mut inner = self.all.inner.lock();
        if let Some(number) = self.number.lock().take() {
            inner.of.remove(&number);
        }
    }

    /// Until it has to make room.
    pub(crate) async fn must_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.work();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_that_waited_longest_leaves_first_and_who_works_never() {
        let all = Arc::new(Waiting::default());
        let [first, second, third] = [all.join(), all.join(), all.join()];
        first.work();
        assert!(all.end_oldest());
        second.must_leave().await;
        first.wait();
        assert!(all.end_oldest());
        third.must_leave().await;
        drop((second, third));
        assert!(all.end_oldest());
        first.must_leave().await;
        assert!(!all.end_oldest());
    }
}
