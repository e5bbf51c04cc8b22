//! The parts of the system that the API asks.

use std::fmt;
use std::sync::Arc;

use fieldledger_contract::WallTime;
use fieldledger_contract::calls::{
    Log, LogControl, LogTree, Pages, PangeaLog, Plant, Readings, Witnessing,
};

use crate::tokens::Tokens;

/// What the program that serves the API knows besides.
pub trait Environment {
    /// The present time.
    fn now(&self) -> WallTime {
        WallTime::now()
    }

    /// The tokens that are configured.
    ///
    /// # Errors
    ///
    /// A sentence, where they are configured in a way that cannot be used.
    fn tokens(&self) -> Result<Tokens, String>;
}

/// Whom the API asks. Every call may block.
#[derive(Clone)]
pub struct Parts {
    /// Whatever sink the application writes to.
    pub log: Arc<dyn Log + Send + Sync>,
    /// The ledger itself.
    pub tree: Arc<dyn LogTree + Send + Sync>,
    /// What changes the log otherwise than an append.
    pub control: Arc<dyn LogControl + Send + Sync>,
    /// The log as Pangea's clients know it.
    pub pangea: Arc<dyn PangeaLog + Send + Sync>,
    /// Readings and gaps.
    pub readings: Arc<dyn Readings + Send + Sync>,
    /// Cosignatures.
    pub witnesses: Arc<dyn Witnessing + Send + Sync>,
    /// Sites and sensors.
    pub plant: Arc<dyn Plant + Send + Sync>,
    /// The page.
    pub pages: Arc<dyn Pages + Send + Sync>,
    /// The time, and the tokens.
    pub environment: Arc<dyn Environment + Send + Sync>,
}

impl Parts {
    /// All of them in one.
    #[must_use]
    pub fn of<T>(all: &Arc<T>) -> Self
    where
        T: Log + LogTree + LogControl + PangeaLog + Readings + Witnessing + Plant + Pages,
        T: Environment + Send + Sync + 'static,
    {
        Self {
            log: Arc::<T>::clone(all),
            tree: Arc::<T>::clone(all),
            control: Arc::<T>::clone(all),
            pangea: Arc::<T>::clone(all),
            readings: Arc::<T>::clone(all),
            witnesses: Arc::<T>::clone(all),
            plant: Arc::<T>::clone(all),
            pages: Arc::<T>::clone(all),
            environment: Arc::<T>::clone(all),
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// What every handler gets.
pub(crate) type Shared = Arc<Parts>;
