use std::path::PathBuf;
use std::time::Duration;

use super::MeshError;

/// Gateways that a node has rows for.
pub(super) const MOST_GATEWAYS: u16 = 4;

/// Nodes that are simulated at most.
const MOST_NODES: u16 = 1_000;

/// A mesh and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub struct MeshSettings {
    /// Nodes, the gateways among them.
    pub nodes: u16,
    /// The first nodes are gateways.
    pub gateways: u16,
    /// Seed of places, losses and deaths.
    pub seed: u64,
    /// A file with a link in each line; without one, nodes lie about at random and hear those near.
    pub links: Option<PathBuf>,
    /// Probability that a link loses a frame, where the file does not say it.
    pub loss: f64,
    /// Time that a frame takes over a link, where the file does not say it.
    pub delay: Duration,
    /// Between two readings of a node.
    pub interval: Duration,
    /// How long it goes on, in the mesh's time, after it has come up.
    pub duration: Duration,
    /// Nodes that die, one after the other, evenly over the duration. The first gateway is one of them
    /// where there is another.
    pub deaths: u16,
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self {
            nodes: 40,
            gateways: 2,
            seed: 0,
            links: None,
            loss: 0.1,
            delay: Duration::from_millis(20),
            interval: Duration::from_secs(10),
            duration: Duration::from_secs(1_800),
            deaths: 3,
        }
    }
}

impl MeshSettings {
    pub(super) fn check(&self) -> Result<(), MeshError> {
        if !(2..=MOST_NODES).contains(&self.nodes) || !(1..self.nodes).contains(&self.gateways) {
            return Err(MeshError::Nodes { most: MOST_NODES });
        }
        if self.gateways > MOST_GATEWAYS {
            return Err(MeshError::Gateways {
                most: MOST_GATEWAYS,
            });
        }
        if !(0.0..1.0).contains(&self.loss) {
            return Err(MeshError::Loss { loss: self.loss });
        }
        match self.interval.as_millis() > 0 && self.duration.as_millis() > 0 {
            true => Ok(()),
            false => Err(MeshError::Times),
        }
    }
}
