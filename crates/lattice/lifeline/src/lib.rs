//! Tells a provider that the wasmCloud host which started it is gone.
//!
//! A host that is killed cannot stop its providers: they would poll and hold the ledger's lock
//! beside those of the next host. Linux hands such an orphan to another parent, and that is what
//! this crate looks for. (`PR_SET_PDEATHSIG` would fire too early: it follows the *thread* that
//! started the child, and the host may start providers from a short-lived one.)
#![forbid(unsafe_code)]

use std::time::Duration;

use rustix::process::{Pid, getppid};

/// How often the parent is looked at: one system call each time, and an orphan lives this long.
const INTERVAL: Duration = Duration::from_millis(200);

/// Remembers the parent that a process had when it started.
#[derive(Debug, Clone, Copy)]
pub struct Parent(Option<Pid>);

impl Parent {
    /// The parent of this moment; call it first thing in `main`.
    #[must_use]
    pub fn now() -> Self {
        Self(getppid())
    }

    /// Returns once that parent is no more.
    pub async fn gone(self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        while getppid() == self.0 {
            ticks.tick().await;
        }
    }
}

/// Returns once the parent that this process has now is no more. See [`Parent`].
pub async fn parent_gone() {
    Parent::now().gone().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_living_parent_is_not_reported_gone() {
        let waited = tokio::time::timeout(Duration::from_secs(60), parent_gone()).await;
        assert!(waited.is_err());
    }

    #[tokio::test]
    async fn another_parent_means_that_the_first_is_gone() {
        let somebody_else = Parent(Some(rustix::process::getpid()));
        somebody_else.gone().await;
    }
}
