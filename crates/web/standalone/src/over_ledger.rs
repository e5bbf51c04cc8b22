//! The parts of the API, answered from a ledger in this process.

use std::sync::Arc;

use fieldledger_api::{Environment, Parts, Tokens};
use fieldledger_contract::calls::{Pages, Plant};
use fieldledger_contract::field::{DeadLetter, PollingStatus, Refusal, SensorState};
use fieldledger_contract::ui::Asset;
use fieldledger_contract::{Error, WallTime};
use fieldledger_cosigning::{Cosigning, WitnessedLog};
use fieldledger_ledger::{Clock, Ledger};

/// Answers the API from a ledger in this process.
#[derive(Debug)]
pub struct OverLedger {
    ledger: Ledger,
    clock: Clock,
    tokens: Tokens,
    cosigning: Arc<Cosigning>,
}

impl OverLedger {
    /// Answers from this ledger, and tells the system's time. Knows no tokens and no
    /// witnesses.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            clock: Clock::default(),
            tokens: Tokens::default(),
            cosigning: Arc::default(),
        }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The same with these tokens.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = tokens;
        self
    }

    /// The same with these witnesses, and as the witness that this is.
    #[must_use]
    pub fn with_cosigning(mut self, cosigning: Arc<Cosigning>) -> Self {
        self.cosigning = cosigning;
        self
    }
}

impl From<OverLedger> for Parts {
    fn from(served: OverLedger) -> Self {
        let ledger = Arc::new(served.ledger);
        let witnesses = WitnessedLog::new(Ledger::clone(&ledger), served.cosigning);
        let rest = Arc::new(Rest {
            clock: served.clock,
            tokens: served.tokens,
        });
        Self {
            log: Arc::<Ledger>::clone(&ledger),
            tree: Arc::<Ledger>::clone(&ledger),
            control: Arc::<Ledger>::clone(&ledger),
            pangea: Arc::<Ledger>::clone(&ledger),
            readings: ledger,
            witnesses: Arc::new(witnesses),
            plant: Arc::<Rest>::clone(&rest),
            pages: Arc::<Rest>::clone(&rest),
            environment: rest,
        }
    }
}

/// What the ledger does not answer.
#[derive(Debug)]
struct Rest {
    clock: Clock,
    tokens: Tokens,
}

impl Environment for Rest {
    fn now(&self) -> WallTime {
        WallTime::from_micros(self.clock.now())
    }

    fn tokens(&self) -> Result<Tokens, String> {
        Ok(self.tokens.clone())
    }
}

/// No sensors are polled here.
impl Plant for Rest {
    fn sites(&self) -> Result<Vec<String>, Error> {
        Err(no_polling())
    }

    fn sensors(&self, _site: &str, _offset: u32, _limit: u32) -> Result<Vec<SensorState>, Error> {
        Err(no_polling())
    }

    fn sensor(&self, _site: &str, _id: &str) -> Result<Option<SensorState>, Error> {
        Err(no_polling())
    }

    fn approve_key(&self, _site: &str, _sensor: &str, _fingerprint: &str) -> Result<String, Error> {
        Err(no_polling())
    }

    fn retire_key_of(&self, _site: &str, _sensor: &str) -> Result<String, Error> {
        Err(no_polling())
    }

    fn refusals(
        &self,
        _site: &str,
        _sensor: Option<&str>,
        _limit: u32,
    ) -> Result<Vec<Refusal>, Error> {
        Err(no_polling())
    }

    fn polling_status(&self, _site: &str) -> Result<PollingStatus, Error> {
        Err(no_polling())
    }

    fn dead_letters(
        &self,
        _site: &str,
        _offset: u32,
        _limit: u32,
    ) -> Result<Vec<DeadLetter>, Error> {
        Err(no_polling())
    }

    fn dead_letter(&self, _site: &str, _id: &str) -> Result<DeadLetter, Error> {
        Err(no_polling())
    }

    fn retry_dead_letter(&self, _site: &str, _id: &str) -> Result<(), Error> {
        Err(no_polling())
    }

    fn drop_dead_letter(&self, _site: &str, _id: &str) -> Result<(), Error> {
        Err(no_polling())
    }
}

/// The API alone, without a page.
impl Pages for Rest {
    fn asset(&self, _path: &str) -> Result<Option<Asset>, Error> {
        Ok(None)
    }
}

fn no_polling() -> Error {
    let reason = "this server has the log alone: no polling provider is linked to it";
    Error::Unavailable(reason.to_owned())
}
