//! What the gateways of a polled mesh do: they publish what hops to them, and send polls back.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_nats::{Client, Subject};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::network::{Arrival, Mesh};
use super::polled::Clock;
use super::{MeshPolls, MeshReport};
use crate::connection::Event;
use crate::counters::count;
use crate::nats::NatsError;
use crate::run::RunError;
use crate::simulation::{Answer, Simulation};

/// Polls, or answers, that are remembered until they arrive. More are under way only where most get
/// lost.
const MOST_REMEMBERED: usize = 10_000;

/// What a gateway publishes.
enum Outgoing {
    Heartbeat(u32),
    Answer(Option<Subject>, Answer),
}

/// All gateways of a mesh, and the mesh behind them.
pub(super) struct Gateways {
    mesh: Mesh,
    /// The nodes before it are gateways.
    first_sensor: u16,
    simulation: Arc<Simulation>,
    client: Client,
    /// The way to each node that was heard, its gateway first.
    routes: BTreeMap<u16, Arc<[u16]>>,
    /// By their number in the mesh: polls with where the answer goes and what they say, and answers.
    polls: BTreeMap<u32, (Option<Subject>, Bytes)>,
    answers: BTreeMap<u32, (Option<Subject>, Answer)>,
    outbox: Vec<Outgoing>,
    counts: MeshPolls,
    scratch: BytesMut,
}

impl Gateways {
    pub(super) fn new(
        mesh: Mesh,
        first_sensor: u16,
        simulation: Arc<Simulation>,
        client: Client,
    ) -> Self {
        Self {
            mesh,
            first_sensor,
            simulation,
            client,
            routes: BTreeMap::new(),
            polls: BTreeMap::new(),
            answers: BTreeMap::new(),
            outbox: Vec::new(),
            counts: MeshPolls::default(),
            scratch: BytesMut::new(),
        }
    }

    /// Passes polls into the mesh and publishes what comes out of it, until it is over.
    pub(super) async fn serve(
        &mut self,
        events: impl Stream<Item = Event<Subject>>,
        clock: Clock,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        tokio::pin!(events);
        while let (false, Some(due)) = (self.mesh.is_over(), self.mesh.due()) {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = sleep_until(clock.at(due)) => self.advance(clock.now()).await?,
                event = events.next() => {
                    self.advance(clock.now()).await?;
                    match event.ok_or(RunError::Closed)? {
                        Event::Poll { sensor: Some(sensor), reply, payload } => {
                            self.hear(sensor, reply, payload);
                        }
                        Event::Poll { sensor: None, .. } => {
                            count(&self.simulation.counters.foreign);
                        }
                        // The nodes announce themselves again and again.
                        Event::Reconnected => count(&self.simulation.counters.reconnects),
                    }
                }
            }
        }
        Ok(())
    }

    /// The gateway that has heard a sensor last sends it a poll.
    fn hear(&mut self, sensor: u32, reply: Option<Subject>, payload: Bytes) {
        self.counts.heard += 1;
        let node = self.node_of(sensor);
        let route = self.routes.get(&node);
        let Some(route) = route.filter(|route| {
            route
                .first()
                .is_some_and(|first| self.mesh.is_alive(*first))
        }) else {
            return;
        };
        let number = self.mesh.poll(route.clone());
        remember(&mut self.polls, number, (reply, payload));
    }

    /// Lets happen in the mesh what is due by a time, and publishes what has arrived.
    pub(super) async fn advance(&mut self, time: u64) -> Result<(), NatsError> {
        while self.mesh.step(time) {
            for arrival in std::mem::take(&mut self.mesh.arrivals) {
                self.arrived(arrival);
            }
        }
        self.mesh.wait_until(time);
        for outgoing in std::mem::take(&mut self.outbox) {
            self.publish(outgoing).await?;
        }
        Ok(())
    }

    fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::AtNode { number, node } => {
                let Some((reply, payload)) = self.polls.remove(&number) else {
                    return;
                };
                let answer = self.simulation.hear(self.sensor_of(node), &payload);
                let number = answer.and_then(|_| self.mesh.take_reading(node));
                if let (Some(answer), Some(number)) = (answer, number) {
                    remember(&mut self.answers, number, (reply, answer));
                }
            }
            Arrival::AtGateway { number, route } => {
                let Some(node) = route.last().copied() else {
                    return;
                };
                self.routes.insert(node, route);
                self.outbox.push(match self.answers.remove(&number) {
                    Some((reply, answer)) => Outgoing::Answer(reply, answer),
                    None => Outgoing::Heartbeat(self.sensor_of(node)),
                });
            }
        }
    }

    async fn publish(&mut self, outgoing: Outgoing) -> Result<(), NatsError> {
        let simulation = &self.simulation;
        let topics = simulation.topics();
        match outgoing {
            Outgoing::Heartbeat(sensor) => {
                let payload = simulation.heartbeat(sensor);
                self.client.publish(topics.heartbeat(), payload).await?;
                count(&simulation.counters.heartbeats);
            }
            Outgoing::Answer(reply, answer) => {
                let id = simulation.sensors()[answer.sensor as usize].id();
                let topic = reply.unwrap_or_else(|| topics.read(id).into());
                let payload = simulation.encode(&answer, &mut self.scratch);
                self.client.publish(topic, payload).await?;
                simulation.sent(&answer);
                self.counts.answered += 1;
            }
        }
        Ok(())
    }

    /// What is under way arrives or gets lost, and the last words are said.
    pub(super) async fn end(&mut self) -> Result<(), NatsError> {
        self.mesh.end();
        self.advance(u64::MAX).await?;
        if self.simulation.settings().say_goodbye {
            for sensor in self.simulation.sensors() {
                let topic = self.simulation.topics().goodbye(sensor.id());
                self.client.publish(topic, Bytes::new()).await?;
            }
        }
        // Fails where the connection is gone already: then nothing is left to send.
        self.client.flush().await.ok();
        Ok(())
    }

    pub(super) fn report(self) -> MeshReport {
        let MeshPolls {
            heard, answered, ..
        } = self.counts;
        let lost = heard - answered;
        let polls = MeshPolls {
            lost,
            ..self.counts
        };
        MeshReport {
            polls: Some(polls),
            ..self.mesh.report
        }
    }

    fn sensor_of(&self, node: u16) -> u32 {
        u32::from(node - self.first_sensor)
    }

    fn node_of(&self, sensor: u32) -> u16 {
        self.first_sensor
            .saturating_add(u16::try_from(sensor).unwrap_or(u16::MAX))
    }
}

fn remember<T>(table: &mut BTreeMap<u32, T>, number: u32, what: T) {
    if table.len() >= MOST_REMEMBERED {
        table.pop_first();
    }
    table.insert(number, what);
}
