//! Appends that wait for the next commit.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::request::Request;

/// What the commit thread does next.
pub(crate) enum Work<C> {
    /// Writes these.
    Commit(Vec<Request>),
    /// Does this.
    Command(C),
}

/// Why a request was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueueError {
    /// More would take too much memory.
    #[error("{waiting} bytes of events are waiting already, at most {most} may; try again")]
    Full {
        /// Bytes that wait.
        waiting: usize,
        /// Bytes that may wait.
        most: usize,
    },
    /// Nothing more is taken.
    #[error("it is closing")]
    Closed,
}

/// A bounded queue between callers and the commit thread: requests, and commands `C` that it carries
/// out between two commits.
pub(crate) struct Queue<C> {
    state: Mutex<State<C>>,
    arrived: Condvar,
    most_bytes: usize,
}

struct State<C> {
    requests: VecDeque<Request>,
    commands: VecDeque<C>,
    bytes: usize,
    closed: bool,
}

impl<C> Queue<C> {
    /// At most `most_bytes` wait, except that a lone request may be larger.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                requests: VecDeque::new(),
                commands: VecDeque::new(),
                bytes: 0,
                closed: false,
            }),
            arrived: Condvar::new(),
            most_bytes,
        }
    }

    /// Queues a request.
    pub(crate) fn push(&self, request: Request) -> Result<(), QueueError> {
        let mut state = self.state();
        if state.closed {
            return Err(QueueError::Closed);
        }
        if !state.requests.is_empty() && state.bytes + request.bytes > self.most_bytes {
            return Err(QueueError::Full {
                waiting: state.bytes,
                most: self.most_bytes,
            });
        }
        state.bytes += request.bytes;
        state.requests.push_back(request);
        self.arrived.notify_one();
        Ok(())
    }

    /// Queues a command.
    pub(crate) fn push_command(&self, command: C) -> Result<(), QueueError> {
        let mut state = self.state();
        if state.closed {
            return Err(QueueError::Closed);
        }
        state.commands.push_back(command);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for work, and takes it: a command, or the requests that wait: at least one, and not
    /// more than `most_events` events and `most_bytes` bytes if there are more. None once the queue
    /// is closed and empty.
    pub(crate) fn take(&self, most_events: usize, most_bytes: usize) -> Option<Work<C>> {
        let mut state = self.state();
        loop {
            if let Some(command) = state.commands.pop_front() {
                return Some(Work::Command(command));
            }
            if !state.requests.is_empty() {
                break;
            }
            if state.closed {
                return None;
            }
            self.arrived.wait(&mut state);
        }
        let mut taken = Vec::new();
        let mut events = 0;
        let mut bytes = 0;
        while let Some(request) = state.requests.pop_front() {
            events += request.events.len();
            bytes += request.bytes;
            if !taken.is_empty() && (events > most_events || bytes > most_bytes) {
                state.requests.push_front(request);
                break;
            }
            state.bytes -= request.bytes;
            taken.push(request);
        }
        Some(Work::Commit(taken))
    }

    /// Whether nothing more is taken.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.arrived.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Instant;

    use futures::channel::oneshot;

    use super::*;
    use crate::request::PreparedEvent;

    /// How many requests are taken; none once the queue is closed.
    fn take(queue: &Queue<()>, most_events: usize, most_bytes: usize) -> Option<usize> {
        match queue.take(most_events, most_bytes)? {
            Work::Commit(requests) => Some(requests.len()),
            Work::Command(_) => panic!("there was no command"),
        }
    }

    fn request(bytes: usize) -> Request {
        let event = PreparedEvent {
            producer: String::new(),
            sequence: 0,
            canonical: String::new(),
            signature: String::new(),
            public_key: String::new(),
            reading: None,
            noted: None,
            claim: None,
        };
        Request {
            events: vec![event],
            bytes,
            queued_at: Instant::now(),
            answer: oneshot::channel().0,
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let queue = Queue::<()>::new(100);
        queue.push(request(500)).unwrap();
        let full = QueueError::Full {
            waiting: 500,
            most: 100,
        };
        assert_eq!(queue.push(request(1)).unwrap_err(), full);
        assert_eq!(take(&queue, 10, 10).unwrap(), 1);
        queue.push(request(60)).unwrap();
        queue.push(request(40)).unwrap();
        assert!(queue.push(request(1)).is_err());
    }

    #[test]
    fn a_commit_takes_all_up_to_its_bounds() {
        let queue = Queue::<()>::new(1_000);
        for _ in 0..5 {
            queue.push(request(10)).unwrap();
        }
        assert_eq!(take(&queue, 2, 1_000).unwrap(), 2);
        assert_eq!(take(&queue, 100, 15).unwrap(), 1);
        assert_eq!(take(&queue, 100, 1_000).unwrap(), 2);
    }

    #[test]
    fn a_closed_queue_is_emptied_first() {
        let queue = Queue::<()>::new(1_000);
        queue.push(request(10)).unwrap();
        queue.close();
        assert_eq!(queue.push(request(10)).unwrap_err(), QueueError::Closed);
        assert_eq!(take(&queue, 10, 10).unwrap(), 1);
        assert!(take(&queue, 10, 10).is_none());
    }

    #[test]
    fn a_command_comes_before_what_waits() {
        let queue = Queue::<()>::new(1_000);
        queue.push(request(10)).unwrap();
        queue.push_command(()).unwrap();
        assert!(matches!(queue.take(10, 10), Some(Work::Command(_))));
        assert_eq!(take(&queue, 10, 10), Some(1));
        queue.close();
        let refused = queue.push_command(());
        assert_eq!(refused.unwrap_err(), QueueError::Closed);
    }
}
