//! Runs a simulation until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::mqtt::{MqttConnection, MqttError};
use crate::nats::{NatsConnection, NatsError};
use crate::record::RecordError;
use crate::simulation::Simulation;

/// Why a simulation ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// NATS.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// MQTT.
    #[error(transparent)]
    Mqtt(#[from] MqttError),
    /// The record of answers is incomplete.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A connection ended without a reason given.
    #[error("a connection to the broker was closed for good")]
    Closed,
    /// A connection's task panicked.
    #[error("a connection's task failed")]
    Task(#[from] JoinError),
}

/// How often the record is handed to the operating system.
const RECORD_FLUSH: Duration = Duration::from_millis(200);

/// How long the connections may take to end. Without a broker their queues stay full.
const LONGEST_FAREWELL: Duration = Duration::from_secs(5);

/// Sensors that share a NATS connection. One connection answers more than 100,000 polls a second.
const SENSORS_PER_NATS_CONNECTION: u32 = 20_000;

/// Sensors that share an MQTT connection: a real device has one of its own, but nats-server
/// keeps a session in JetStream for each.
const SENSORS_PER_MQTT_CONNECTION: u32 = 500;

/// Connects, announces the sensors and answers polls, until `stop` is cancelled or every sensor
/// has heard as many polls as the settings say. Cancels `stop` in the end.
///
/// # Errors
/// The broker cannot be reached at the start, the record cannot be written, or a client library
/// gives up. A broker that is lost later is waited for.
pub async fn run(simulation: Arc<Simulation>, stop: CancellationToken) -> Result<(), RunError> {
    let _cancel_when_done = stop.clone().drop_guard();
    let opened = stop.run_until_cancelled(open(&simulation, &stop)).await;
    let Some(mut connections) = opened.transpose()? else {
        return Ok(());
    };
    // In this order: a connection that ends because it was told to is no problem.
    let first_problem = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        () = simulation.finished() => None,
        ended = connections.join_next() => Some(problem(ended)),
        error = flush_record(&simulation) => Some(RunError::Record(error)),
    };
    stop.cancel();
    let farewell = timeout(LONGEST_FAREWELL, farewell(&mut connections)).await;
    let farewell = farewell.unwrap_or_else(|_| {
        tracing::warn!("the broker did not take the last messages");
        Ok(())
    });
    let recorded = simulation.flush_record().map_err(RunError::Record);
    first_problem
        .map_or(Ok(()), Err)
        .and(farewell)
        .and(recorded)
}

/// Waits for the connections to send what is left.
async fn farewell(connections: &mut JoinSet<Result<(), RunError>>) -> Result<(), RunError> {
    let mut outcome = Ok(());
    while let Some(ended) = connections.join_next().await {
        outcome = outcome.and(ended.map_err(RunError::Task).and_then(|result| result));
    }
    outcome
}

/// Connects and subscribes on every connection before any sensor announces itself.
async fn open(
    simulation: &Arc<Simulation>,
    stop: &CancellationToken,
) -> Result<JoinSet<Result<(), RunError>>, RunError> {
    let settings = simulation.settings();
    let mut tasks = JoinSet::new();
    match &settings.broker {
        Broker::Nats(broker) => {
            let count = settings.connections;
            let count = count.unwrap_or(settings.sensors.div_ceil(SENSORS_PER_NATS_CONNECTION));
            let mut opened = Vec::new();
            for number in 0..count {
                let simulation = simulation.clone();
                opened.push(NatsConnection::open(simulation, broker, number, count).await?);
            }
            for connection in opened {
                let stop = stop.clone();
                tasks.spawn(async { Ok(connection.run(stop).await?) });
            }
        }
        Broker::Mqtt(broker) => {
            let count = settings.connections;
            let count = count.unwrap_or(settings.sensors.div_ceil(SENSORS_PER_MQTT_CONNECTION));
            let mut opened = Vec::new();
            for number in 0..count {
                let simulation = simulation.clone();
                opened.push(MqttConnection::open(simulation, broker, number, count).await?);
            }
            for connection in opened {
                let stop = stop.clone();
                tasks.spawn(async { Ok(connection.run(stop).await?) });
            }
        }
    }
    Ok(tasks)
}

/// Why a connection ended before it was told to.
fn problem(ended: Option<Result<Result<(), RunError>, JoinError>>) -> RunError {
    match ended {
        Some(Ok(Err(error))) => error,
        Some(Err(error)) => RunError::Task(error),
        Some(Ok(Ok(()))) | None => RunError::Closed,
    }
}

/// Returns when the record cannot be written.
pub(crate) async fn flush_record(simulation: &Simulation) -> RecordError {
    let mut ticks = interval(RECORD_FLUSH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = simulation.flush_record() {
            return error;
        }
    }
}
