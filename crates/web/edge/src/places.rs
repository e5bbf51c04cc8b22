//! How many requests of each kind may be answered at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::class::{CLASSES, Class};
use crate::rules::Rules;

/// Places of the gateway that searches do not take. With four searches they are 30 of the 32 instances that
/// `wadm.yaml` gives it.
const PROBES: usize = 4;
const DOWNLOADS: usize = 2;
const WRITES: usize = 8;
const OTHERS: usize = 12;

/// The right to be answered now. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Nobody left in time, or too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
struct Room {
    places: Arc<Semaphore>,
    /// One permit for each that may wait.
    queue: Arc<Semaphore>,
}

/// The places of all kinds. Who waits is let in in the order of arrival.
#[derive(Debug)]
pub(crate) struct Places {
    rooms: [Room; CLASSES.len()],
    wait: Duration,
}

impl Places {
    pub(crate) fn new(rules: &Rules) -> Self {
        let rooms = CLASSES.map(|class| {
            let (places, waiting) = match class {
                Class::Probe => (PROBES, 32),
                Class::Search => (rules.searches.max(1), 128),
                Class::Download => (DOWNLOADS, 16),
                Class::Write => (WRITES, 256),
                Class::Other => (OTHERS, 512),
            };
            Room {
                places: Arc::new(Semaphore::new(places)),
                queue: Arc::new(Semaphore::new(waiting)),
            }
        });
        Self {
            rooms,
            wait: rules.place_wait,
        }
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self, class: Class) -> Result<Place, Full> {
        let room = &self.rooms[class as usize];
        let _queued = Arc::clone(&room.queue)
            .try_acquire_owned()
            .map_err(|_| Full)?;
        let place = Arc::clone(&room.places).acquire_owned();
        match timeout(self.wait, place).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_in_time_is_sent_away_and_others_are_not_concerned() {
        let places = Places::new(&Rules {
            searches: 2,
            ..Rules::default()
        });
        let first = places.enter(Class::Search).await.unwrap();
        let _second = places.enter(Class::Search).await.unwrap();
        assert_eq!(places.enter(Class::Search).await.unwrap_err(), Full);
        for class in CLASSES.into_iter().filter(|class| *class != Class::Search) {
            drop(places.enter(class).await.unwrap());
        }
        drop(first);
        drop(places.enter(Class::Search).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_and_in_order() {
        let places = Arc::new(Places::new(&Rules {
            searches: 1,
            ..Rules::default()
        }));
        let held = places.enter(Class::Search).await.unwrap();
        let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for number in 0..129 {
            let (places, order) = (Arc::clone(&places), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                let place = places.enter(Class::Search).await;
                if place.is_ok() {
                    order.lock().push(number);
                }
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in waiting {
            task.await.unwrap();
        }
        // The last one found the queue full.
        assert_eq!(*order.lock(), (0..128).collect::<Vec<_>>());
    }
}
