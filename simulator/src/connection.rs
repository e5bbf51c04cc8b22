//! What one connection does, whatever its broker: hears polls, answers, sends heartbeats.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::announcements::Announcements;
use crate::counters::count;
use crate::faults::Fault;
use crate::simulation::{Answer, Simulation};

/// What a broker's connection brings.
pub(crate) enum Event<Topic> {
    /// A poll.
    Poll {
        /// Index of the sensor that was polled, or none where it is not one of ours.
        sensor: Option<u32>,
        /// Where the answer should go, if the poll says so.
        reply: Option<Topic>,
        /// What the poll says.
        payload: Bytes,
    },
    /// The broker was lost and is found again.
    Reconnected,
}

/// The sending side of a broker's connection.
pub(crate) trait Publisher {
    /// A subject or topic in the form that the client library takes.
    type Topic: From<String> + Send;
    /// What sending may fail with.
    type Error: Send;

    /// Hands a message to the connection; waits while its queue is full.
    fn publish(
        &self,
        topic: Self::Topic,
        payload: Bytes,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Events taken at once. One wake-up of the task serves that many polls when there are many.
const CHUNK: usize = 256;

/// Scratch space allocated at once; an answer takes about 120 bytes of it.
const SCRATCH_BYTES: usize = 64 * 1024;

/// How long to wait when there is nothing to wait for.
const IDLE: Duration = Duration::from_secs(3600);

/// One connection and the sensors whose heartbeats it sends.
pub(crate) struct Connection<P: Publisher> {
    simulation: Arc<Simulation>,
    publisher: P,
    /// Indices of the sensors that announce themselves here.
    sensors: Vec<u32>,
    announcements: Announcements,
    announcing_since: Instant,
    /// Answers that are to be late, the next one first: all are late by the same time.
    late: VecDeque<(Instant, P::Topic, Answer)>,
    /// Start of the simulation, and when sensors may next go off or on.
    started: Instant,
    next_flap: Option<Duration>,
    scratch: BytesMut,
}

impl<P: Publisher> Connection<P> {
    pub(crate) fn new(simulation: Arc<Simulation>, publisher: P, sensors: Vec<u32>) -> Self {
        let settings = simulation.settings();
        let announcements = Announcements::new(sensors.len() as u32, settings.heartbeat_interval);
        let started = Instant::from_std(simulation.started());
        let next_flap = settings.faults.flapping.map(|flapping| flapping.period);
        Self {
            publisher,
            sensors,
            announcements,
            announcing_since: Instant::now(),
            late: VecDeque::new(),
            started,
            next_flap,
            scratch: BytesMut::with_capacity(SCRATCH_BYTES),
            simulation,
        }
    }

    /// Runs until told to stop, or until the events end or a message cannot be sent.
    pub(crate) async fn run(
        &mut self,
        events: impl Stream<Item = Event<P::Topic>>,
        stop: &CancellationToken,
    ) -> Result<(), P::Error> {
        let events = events.ready_chunks(CHUNK);
        tokio::pin!(events);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = sleep_until(self.next_wake()) => self.send_due().await?,
                chunk = events.next() => {
                    let Some(chunk) = chunk else { return Ok(()) };
                    for event in chunk {
                        self.handle(event).await?;
                    }
                }
            }
        }
    }

    /// Tells the broker that the sensors leave.
    pub(crate) async fn disconnect_sensors(&self) -> Result<(), P::Error> {
        for &index in &self.sensors {
            let id = self.simulation.sensors()[index as usize].id();
            let topic = self.simulation.topics().goodbye(id);
            self.publisher.publish(topic.into(), Bytes::new()).await?;
        }
        Ok(())
    }

    pub(crate) fn publisher(&self) -> &P {
        &self.publisher
    }

    async fn handle(&mut self, event: Event<P::Topic>) -> Result<(), P::Error> {
        let (sensor, reply, payload) = match event {
            Event::Poll {
                sensor,
                reply,
                payload,
            } => (sensor, reply, payload),
            Event::Reconnected => {
                count(&self.simulation.counters.reconnects);
                self.announcements.restart();
                self.announcing_since = Instant::now();
                return Ok(());
            }
        };
        let Some(sensor) = sensor else {
            count(&self.simulation.counters.foreign);
            return Ok(());
        };
        let Some(answer) = self.simulation.hear(sensor, &payload) else {
            return Ok(());
        };
        let topic = reply.unwrap_or_else(|| self.read_topic(sensor));
        if answer.fault == Some(Fault::Late) {
            let due = Instant::now() + self.simulation.settings().faults.late_by;
            self.late.push_back((due, topic, answer));
            return Ok(());
        }
        self.send(topic, answer).await
    }

    fn read_topic(&self, sensor: u32) -> P::Topic {
        let id = self.simulation.sensors()[sensor as usize].id();
        self.simulation.topics().read(id).into()
    }

    async fn send(&mut self, topic: P::Topic, answer: Answer) -> Result<(), P::Error> {
        let payload = self.simulation.encode(&answer, &mut self.scratch);
        self.publisher.publish(topic, payload).await?;
        self.simulation.sent(&answer);
        Ok(())
    }

    async fn announce(&self, sensor: u32) -> Result<(), P::Error> {
        if self.simulation.is_off(sensor) {
            return Ok(());
        }
        let topic = self.simulation.topics().heartbeat();
        let payload = self.simulation.heartbeat(sensor);
        self.publisher.publish(topic.into(), payload).await?;
        count(&self.simulation.counters.heartbeats);
        Ok(())
    }

    /// When something is due that no event brings.
    fn next_wake(&self) -> Instant {
        let heartbeat = self
            .announcements
            .due()
            .map(|due| self.announcing_since + due);
        let late = self.late.front().map(|(due, _, _)| *due);
        let flap = self.next_flap.map(|due| self.started + due);
        let wakes = [heartbeat, late, flap].into_iter().flatten();
        wakes.min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    async fn send_due(&mut self) -> Result<(), P::Error> {
        let now = Instant::now();
        while let Some((_, topic, answer)) = self.late.pop_front_if(|(due, _, _)| *due <= now) {
            self.send(topic, answer).await?;
        }
        let announcing_for = now.duration_since(self.announcing_since);
        while let Some(position) = self.announcements.take_due(announcing_for) {
            self.announce(self.sensors[position as usize]).await?;
        }
        self.announce_returned(now).await
    }

    /// Sensors that were off in the flapping period before and are on now announce themselves.
    async fn announce_returned(&mut self, now: Instant) -> Result<(), P::Error> {
        let Some(flapping) = self.simulation.settings().faults.flapping else {
            return Ok(());
        };
        let elapsed = now.duration_since(self.started);
        if self.next_flap.is_none_or(|due| due > elapsed) {
            return Ok(());
        }
        let periods = elapsed.div_duration_f64(flapping.period).floor();
        self.next_flap = Some(flapping.period.mul_f64(periods + 1.0));
        let before = elapsed.saturating_sub(flapping.period);
        for &sensor in &self.sensors {
            let returned = self.simulation.was_off(sensor, before)
                && !self.simulation.was_off(sensor, elapsed);
            if returned {
                self.announce(sensor).await?;
            }
        }
        Ok(())
    }
}

/// The sensors of one connection among several: every `connections`-th.
pub(crate) fn share(sensors: u32, connection: u32, connections: u32) -> Vec<u32> {
    (connection..sensors)
        .step_by(connections as usize)
        .collect()
}

/// Counts messages that the client library threw away.
pub(crate) fn count_overrun(simulation: &Simulation) {
    simulation.counters.overruns.fetch_add(1, Ordering::Relaxed);
}
