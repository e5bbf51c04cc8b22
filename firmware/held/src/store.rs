//! What a board does with a ring, until it fails.

use embedded_storage::nor_flash::MultiwriteNorFlash;
use fieldledger_attest::SensorId;
use fieldledger_device::{Kept, Offer};

use crate::ring::{HeldError, Ring};

/// A ring, or none: a board whose medium fails goes on without, and the error is told once.
#[derive(Debug)]
pub struct Store<F>(Option<Ring<F>>);

impl<F: MultiwriteNorFlash> Store<F> {
    /// With this ring.
    pub fn new(ring: Option<Ring<F>>) -> Self {
        Self(ring)
    }

    fn with(
        &mut self,
        act: impl FnOnce(&mut Ring<F>) -> Result<(), HeldError>,
    ) -> Result<(), HeldError> {
        let Some(ring) = &mut self.0 else {
            return Ok(());
        };
        let done = act(ring);
        // A reading that is too long says nothing of the medium.
        if !matches!(done, Ok(()) | Err(HeldError::TooLong)) {
            self.0 = None;
        }
        done
    }

    /// Obeys [`Action::Keep`](fieldledger_device::Action::Keep).
    ///
    /// # Errors
    ///
    /// As [`Ring::keep`].
    pub fn keep(&mut self, kept: &Kept<'_>) -> Result<(), HeldError> {
        self.with(|ring| ring.keep(kept))
    }

    /// Obeys [`Action::Forget`](fieldledger_device::Action::Forget).
    ///
    /// # Errors
    ///
    /// As [`Ring::forget`].
    pub fn forget(&mut self, sensor: SensorId, boot: &str, through: u64) -> Result<(), HeldError> {
        self.with(|ring| ring.forget(sensor, boot, through))
    }

    /// Gives what earlier boots left to
    /// [`Device::take_earlier`](fieldledger_device::Device::take_earlier), for a device that wants it.
    ///
    /// # Errors
    ///
    /// As [`Ring::give_earlier`].
    pub fn give_earlier(&mut self, take: impl FnMut(&Kept<'_>) -> Offer) -> Result<(), HeldError> {
        self.with(|ring| ring.give_earlier(take))
    }

    /// What the medium needs beside, such as a sync.
    ///
    /// # Errors
    ///
    /// Those of `act`.
    pub fn with_flash(
        &mut self,
        act: impl FnOnce(&mut F) -> Result<(), HeldError>,
    ) -> Result<(), HeldError> {
        self.with(|ring| act(ring.flash()))
    }
}
