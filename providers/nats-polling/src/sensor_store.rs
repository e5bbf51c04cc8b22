//! Sensor records into the bucket, in the background.
//!
//! Losing one costs a heartbeat's wait after the next restart, so nothing waits for them. Of several
//! changes to one sensor only the last is written.

use std::collections::HashMap;
use std::time::Duration;

use fieldledger_polling::{Keys, chain};
use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;
use uuid::Uuid;

use crate::storage::Storage;

/// Writes at a time.
const CONCURRENCY: usize = 16;

/// Pause after failures.
const PAUSE: Duration = Duration::from_secs(1);

/// A record to store, or none to delete.
pub(crate) type Change = (Uuid, Option<Vec<u8>>);

/// What was decided about a sensor's keys, and who is told once it is stored.
pub(crate) type Decided = (Uuid, Keys, oneshot::Sender<bool>);

/// Writes decisions until there will be no more. Somebody waits for each of them, so one that cannot
/// be written is told to have failed.
pub(crate) async fn run_decisions(storage: Storage, mut decided: mpsc::UnboundedReceiver<Decided>) {
    while let Some((sensor, keys, stored)) = decided.recv().await {
        let written = storage.save_keys(sensor, &keys).await;
        if let Err(error) = &written {
            warn!(%sensor, error = chain(error.as_ref()), "the sensor's keys are not stored");
        }
        let _ = stored.send(written.is_ok());
    }
}

/// Writes changes until there will be no more.
pub(crate) async fn run(storage: Storage, mut changes: mpsc::UnboundedReceiver<Change>) {
    let mut pending: HashMap<Uuid, Option<Vec<u8>>> = HashMap::new();
    loop {
        if pending.is_empty() {
            match changes.recv().await {
                Some((id, record)) => pending.insert(id, record),
                None => return,
            };
        }
        while let Ok((id, record)) = changes.try_recv() {
            pending.insert(id, record);
        }
        let failed = write(&storage, std::mem::take(&mut pending)).await;
        if !failed.is_empty() {
            warn!(
                sensors = failed.len(),
                "sensor records not stored; they are tried again"
            );
            tokio::time::sleep(PAUSE).await;
        }
        pending.extend(failed);
    }
}

/// Writes all of these and returns those that failed.
async fn write(storage: &Storage, changes: HashMap<Uuid, Option<Vec<u8>>>) -> Vec<Change> {
    let writes = changes.into_iter().map(|(id, record)| async move {
        let written = match record.clone() {
            Some(record) => storage.save_sensor(id, record).await,
            None => storage.delete_sensor(id).await,
        };
        written.err().map(|_| (id, record))
    });
    stream::iter(writes)
        .buffer_unordered(CONCURRENCY)
        .filter_map(std::future::ready)
        .collect()
        .await
}
