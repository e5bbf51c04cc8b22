//! The newest signed tree, as readers see it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_contract::audit::Checkpoint;
use fieldledger_tlog::{CheckpointError, Edge, Hash};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::QueryError;
use crate::keys::Keys;

/// A signed tree and what is needed to prove things in it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) edge: Edge,
    pub(crate) root: Hash,
    pub(crate) checkpoint: Checkpoint,
    /// What signed it; none where the log is read-only.
    pub(crate) keys: Option<Keys>,
}

impl Head {
    /// Signs the tree with this edge.
    pub(crate) fn sign(keys: &Keys, edge: Edge) -> Result<Self, CheckpointError> {
        let root = edge.root();
        let verifier_keys = keys.verifier_keys();
        let checkpoint = Checkpoint {
            origin: keys.origin().to_owned(),
            tree_size: edge.size(),
            root_hash: BASE64_STANDARD.encode(root.0),
            note: keys.sign(edge.size(), root)?,
            verifier_key: verifier_keys.last().cloned().unwrap_or_default(),
            verifier_keys,
        };
        Ok(Self {
            edge,
            root,
            checkpoint,
            keys: Some(keys.clone()),
        })
    }

    /// Entries in the tree.
    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Refuses an entry that the tree does not have.
    pub(crate) fn has(&self, index: u64) -> Result<(), QueryError> {
        let size = self.size();
        if index < size {
            return Ok(());
        }
        let problem = format!("no entry {index}; the log has {size} entries");
        Err(QueryError::NotFound(problem))
    }
}

/// Where the newest [`Head`] is found, and waited for.
#[derive(Debug)]
pub(crate) struct Published {
    state: Mutex<State>,
    changed: Condvar,
    /// Why the log takes no more events, once it has ended: it was frozen, or is read-only.
    ended: OnceLock<String>,
}

#[derive(Debug)]
struct State {
    head: Arc<Head>,
    closed: bool,
    /// Whether somebody waits for what follows the log.
    hurried: bool,
}

impl Published {
    pub(crate) fn new(head: Head) -> Self {
        Self {
            state: Mutex::new(State {
                head: Arc::new(head),
                closed: false,
                hurried: false,
            }),
            changed: Condvar::new(),
            ended: OnceLock::new(),
        }
    }

    /// The log has ended. Only the first reason counts: what has ended cannot end again.
    pub(crate) fn end(&self, reason: String) {
        self.ended.get_or_init(|| reason);
    }

    /// Why the log takes no more events, if it has ended.
    pub(crate) fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }

    /// The newest.
    pub(crate) fn head(&self) -> Arc<Head> {
        Arc::clone(&self.state().head)
    }

    /// Replaces the newest.
    pub(crate) fn publish(&self, head: Head) {
        self.state().head = Arc::new(head);
        self.changed.notify_all();
    }

    /// No newer one will come.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Whether no newer one will come.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Waits until the tree is larger than `size`, or no newer one will come, and returns the
    /// newest; the flag is true in the latter case.
    pub(crate) fn wait_beyond(&self, size: u64) -> (Arc<Head>, bool) {
        let mut state = self.state();
        self.changed.wait_while(&mut state, |state| {
            state.head.size() <= size && !state.closed
        });
        (Arc::clone(&state.head), state.closed)
    }

    /// Waits for `pause` to pass; less if no newer tree will come.
    pub(crate) fn pause(&self, pause: Duration) {
        let mut state = self.state();
        self.changed
            .wait_while_for(&mut state, |state| !state.closed, pause);
    }

    /// As [`Published::pause`], and less if somebody is in a hurry.
    pub(crate) fn pause_unless_hurried(&self, pause: Duration) {
        let mut state = self.state();
        self.changed
            .wait_while_for(&mut state, |state| !state.closed && !state.hurried, pause);
        state.hurried = false;
    }

    /// Has what follows the log follow it now.
    pub(crate) fn hurry(&self) {
        self.state().hurried = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
