//! What is wrong with a thread's work at present, for whoever asks.

use std::sync::Arc;

use parking_lot::Mutex;

/// A text that a thread keeps true; empty if nothing is wrong. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problem(Arc<Mutex<String>>);

impl Problem {
    /// Replaces the text, with an empty one where nothing is wrong any more; what it was before.
    pub(crate) fn note(&self, text: impl Into<String>) -> String {
        let mut noted = self.0.lock();
        std::mem::replace(&mut noted, text.into())
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        let noted = self.0.lock();
        noted.clone()
    }
}
