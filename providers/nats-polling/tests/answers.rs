//! Answers that the provider took and did not store: a device with a key sends them again.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;

use common::keeper::{KEEPER, Keeper};
use common::{Server, TestReader, config, eventually, start};
use fieldledger_wire::batch::Outcome;

/// Long enough that a provider always has some answers in memory.
const BATCH_AGE_MS: &str = "1000";

/// Sequence numbers of the device's results of this kind, batches that came twice counted once.
fn numbers(reader: &TestReader, outcome: Outcome) -> Vec<u64> {
    let keeper = common::id(KEEPER).to_string();
    let mut batches = HashSet::new();
    let mut numbers = Vec::new();
    for batch in reader.taken.lock().unwrap().iter() {
        if batches.insert(batch.id.clone()) {
            let rows = (0..batch.sensor.len()).filter(|row| batch.outcome[*row] == outcome);
            let own = rows.filter(|row| batch.sensors[batch.sensor[*row] as usize].id == keeper);
            numbers.extend(own.filter_map(|row| batch.sequence[row]));
        }
    }
    numbers
}

#[tokio::test]
async fn a_provider_that_dies_takes_no_answer_with_it() {
    let server = Server::start().await;
    let reader = TestReader::willing();
    let keeper = Keeper::start(&[&server]);
    let settings = [("BATCH_AGE_MS", BATCH_AGE_MS)];
    let instance = start(config(&server, &settings), &reader).await;
    eventually("answers", || async {
        (numbers(&reader, Outcome::Value).len() > 20).then_some(())
    })
    .await;
    // Dropped, it ends at once, with what it has in memory.
    drop(instance);
    let instance = start(config(&server, &settings), &reader).await;
    let before = numbers(&reader, Outcome::Value).len();
    eventually("answers to the next run", || async {
        (numbers(&reader, Outcome::Value).len() > before + 20).then_some(())
    })
    .await;
    keeper.has_delivered(&reader).await;
    let answered: HashSet<u64> = numbers(&reader, Outcome::Value).into_iter().collect();
    let historical = numbers(&reader, Outcome::Historical);
    let repeated = historical.iter().filter(|number| answered.contains(number));
    println!(
        "{} readings were sent as history, {} of them were stored already",
        historical.len(),
        repeated.count()
    );
    assert!(!historical.is_empty());
    instance.stop().await;
}

#[tokio::test]
async fn what_is_stored_is_not_sent_twice() {
    let server = Server::start().await;
    let reader = TestReader::willing();
    let _keeper = Keeper::start(&[&server]);
    let instance = start(config(&server, &[]), &reader).await;
    eventually("answers for longer than one is kept", || async {
        (numbers(&reader, Outcome::Value).len() > 80).then_some(())
    })
    .await;
    // Before it was first polled, it read by itself.
    let first = numbers(&reader, Outcome::Value)[0];
    let historical = numbers(&reader, Outcome::Historical);
    assert!(
        historical.iter().all(|number| *number < first),
        "{historical:?}, and answers from {first} on"
    );
    instance.stop().await;
}
