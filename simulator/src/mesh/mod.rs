//! A mesh of radios whose readings hop to the nearest gateway (`fieldledger-mesh`), in time of its own:
//! an hour takes a second or two.
//!
//! The radios are simulated, and simply: a link loses each frame with a probability of its own and
//! delivers the others after a delay of its own; a frame that is not acknowledged is sent again a few
//! times, and a reading without a route waits at its node for half a minute. There is no interference,
//! no fading and no limit to what the air takes, so the figures say how the routing behaves, not how a
//! site would.
//!
//! With a [`PolledMesh`] the radios are as simulated, but the mesh keeps the world's time and its
//! gateways speak to a real NATS server.

mod error;
mod gateways;
mod graph;
mod network;
mod polled;
mod report;
mod settings;

pub use error::MeshError;
pub use polled::{PolledMesh, PolledMeshError};
pub use report::{MeshPolls, MeshReport};
pub use settings::MeshSettings;

/// Runs a mesh to its end.
///
/// # Errors
///
/// [`MeshError`] if the settings contradict each other, or the file of links cannot be read.
pub fn run_mesh(settings: &MeshSettings) -> Result<MeshReport, MeshError> {
    settings.check()?;
    let links = graph::links(settings)?;
    Ok(network::run(settings, links))
}
