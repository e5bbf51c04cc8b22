//! A mesh that a site polls: its radios are simulated, its gateways speak to a real NATS server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::gateways::Gateways;
use super::network::{COMING_UP, Mesh};
use super::{MeshError, MeshReport, MeshSettings, graph};
use crate::broker::{Broker, NatsBroker};
use crate::faults::Faults;
use crate::nats::NatsConnection;
use crate::record::RecordError;
use crate::run::{RunError, flush_record};
use crate::simulation::{Settings, SettingsError, Simulation};

/// Why a mesh cannot be polled.
#[derive(Debug, thiserror::Error)]
pub enum PolledMeshError {
    /// The mesh.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// What its nodes measure and say.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Another protocol.
    #[error("the gateways of a mesh speak NATS, not MQTT")]
    Protocol,
}

/// How long the last messages may take.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// A mesh whose nodes announce themselves and answer polls through its gateways.
///
/// A node's heartbeat hops to the nearest gateway, which publishes it and remembers the way that it
/// came. A poll goes that way back, through the gateway that has heard the node last, and the answer
/// finds a way of its own. So a node whose way has died gets no poll before its next heartbeat. The
/// gateways share one connection; one that has died neither sends nor hears.
pub struct PolledMesh {
    mesh: Mesh,
    speed: u32,
    gateways: u16,
    simulation: Simulation,
    broker: NatsBroker,
}

impl PolledMesh {
    /// Sets up a mesh whose time goes `speed` times as fast as the world's. The sensors are the nodes
    /// that are no gateways; what gets lost gets lost in the mesh, and [`Settings::faults`] do not count.
    ///
    /// # Errors
    /// The settings are not possible, or the file of links cannot be read.
    pub fn new(
        mesh: &MeshSettings,
        speed: u32,
        settings: Settings,
    ) -> Result<Self, PolledMeshError> {
        mesh.check()?;
        let Broker::Nats(broker) = settings.broker.clone() else {
            return Err(PolledMeshError::Protocol);
        };
        let mesh = MeshSettings {
            interval: settings.heartbeat_interval * speed,
            ..mesh.clone()
        };
        let simulation = Simulation::new(Settings {
            sensors: u32::from(mesh.nodes - mesh.gateways),
            connections: None,
            faults: Faults {
                faulty_sensor: false,
                ..Faults::default()
            },
            ..settings
        })?;
        let links = graph::links(&mesh)?;
        Ok(Self {
            speed,
            gateways: mesh.gateways,
            mesh: Mesh::new(&mesh, links),
            simulation,
            broker,
        })
    }

    /// Writes every answer that leaves a gateway to a file, one JSON object per line.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn record_to(&mut self, path: &Path) -> Result<(), RecordError> {
        self.simulation.record_to(path)
    }

    /// Lets the mesh come up, then runs it in the world's time until it is over or `stop` is cancelled.
    ///
    /// # Errors
    /// The broker cannot be reached at the start, the record cannot be written, or the client library
    /// gives up. A broker that is lost later is waited for.
    pub async fn run(self, stop: CancellationToken) -> Result<MeshReport, RunError> {
        let simulation = Arc::new(self.simulation);
        let opened = NatsConnection::open(simulation.clone(), &self.broker, 0, 1);
        let Some(opened) = stop.run_until_cancelled(opened).await.transpose()? else {
            return Ok(self.mesh.report);
        };
        let (client, events) = opened.into_parts();
        let mut gateways = Gateways::new(self.mesh, self.gateways, simulation.clone(), client);
        // Nobody has to wait for the first routes.
        gateways.advance(COMING_UP).await?;
        let served = tokio::select! {
            biased;
            served = gateways.serve(events, Clock::start(self.speed), &stop) => served,
            error = flush_record(&simulation) => Err(RunError::Record(error)),
        };
        let ended = timeout(LAST_FLUSH, gateways.end()).await;
        simulation.flush_record()?;
        served?;
        ended.unwrap_or(Ok(()))?;
        Ok(gateways.report())
    }
}

/// When it is in the mesh.
pub(super) struct Clock {
    started: Instant,
    speed: u32,
}

impl Clock {
    /// The mesh has come up now.
    fn start(speed: u32) -> Self {
        Self {
            started: Instant::now(),
            speed,
        }
    }

    pub(super) fn now(&self) -> u64 {
        let passed = (self.started.elapsed() * self.speed).as_millis();
        COMING_UP.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// When it will be a time of the mesh.
    pub(super) fn at(&self, time: u64) -> Instant {
        let passed = Duration::from_millis(time.saturating_sub(COMING_UP));
        self.started + passed / self.speed
    }
}
