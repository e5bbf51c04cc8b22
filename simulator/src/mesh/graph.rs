//! Who hears whom.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{MeshError, MeshSettings};

/// What a link does to a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Link {
    /// Probability that it is lost.
    pub(super) loss: f64,
    /// Milliseconds until it arrives.
    pub(super) delay_ms: u64,
}

/// Each link in both directions, by the nodes at its ends.
pub(super) type Links = BTreeMap<(u16, u16), Link>;

/// Neighbours that a node at random has on average, without those beyond the edge. With fewer the
/// mesh falls apart.
const NEIGHBOURS: f64 = 8.0;

pub(super) fn links(settings: &MeshSettings) -> Result<Links, MeshError> {
    match &settings.links {
        Some(path) => {
            let text = fs::read_to_string(path);
            let text = text.map_err(|source| MeshError::Read {
                path: path.clone(),
                source,
            })?;
            read(&text, path, settings)
        }
        None => Ok(scatter(settings)),
    }
}

fn link(settings: &MeshSettings) -> Link {
    Link {
        loss: settings.loss,
        delay_ms: u64::try_from(settings.delay.as_millis()).unwrap_or(u64::MAX / 4),
    }
}

fn read(text: &str, path: &Path, settings: &MeshSettings) -> Result<Links, MeshError> {
    let mut links = Links::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let parsed = read_line(line, settings);
        let (one, other, link) = parsed.ok_or_else(|| MeshError::Line {
            path: path.to_owned(),
            line: index + 1,
            nodes: settings.nodes,
        })?;
        links.insert((one, other), link);
        links.insert((other, one), link);
    }
    Ok(links)
}

/// `0 3 0.1 20`: nodes, loss and milliseconds.
fn read_line(line: &str, settings: &MeshSettings) -> Option<(u16, u16, Link)> {
    let mut words = line.split_whitespace();
    let mut node = || {
        words
            .next()?
            .parse()
            .ok()
            .filter(|node| *node < settings.nodes)
    };
    let (one, other) = (node()?, node()?);
    let mut link = link(settings);
    if let Some(loss) = words.next() {
        link.loss = loss.parse().ok().filter(|loss| (0.0..1.0).contains(loss))?;
    }
    if let Some(delay) = words.next() {
        link.delay_ms = u64::from(delay.parse::<u32>().ok()?);
    }
    (one != other && words.next().is_none()).then_some((one, other, link))
}

/// Nodes at random in a square; those within reach of each other have a link, and the further apart
/// they are the more it loses, up to three times as much as it would.
fn scatter(settings: &MeshSettings) -> Links {
    let mut chance = ChaCha8Rng::seed_from_u64(settings.seed);
    let places: Vec<(f64, f64)> = (0..settings.nodes).map(|_| chance.random()).collect();
    let reach = (NEIGHBOURS / (std::f64::consts::PI * f64::from(settings.nodes))).sqrt();
    let mut links = Links::new();
    for (one, here) in (0..).zip(&places) {
        for (other, there) in (0..).zip(&places) {
            let distance = (here.0 - there.0).hypot(here.1 - there.1);
            if one != other && distance <= reach {
                let usual = link(settings);
                let loss = (usual.loss * 3.0 * distance / reach).min(0.9);
                links.insert((one, other), Link { loss, ..usual });
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_of_links() {
        let settings = MeshSettings::default();
        let read = |text: &str| read(text, Path::new("links"), &settings);
        let links = read("# a mesh\n0 1\n\n1 2 0.5 7 # far\n").unwrap();
        assert_eq!(links.len(), 4);
        assert_eq!(
            links[&(2, 1)],
            Link {
                loss: 0.5,
                delay_ms: 7
            }
        );
        assert_eq!(links[&(0, 1)], link(&settings));
        for bad in [
            "0",
            "0 0",
            "0 40",
            "0 x",
            "0 1 1",
            "0 1 -0.1",
            "0 1 0 x",
            "0 1 0 1 2",
        ] {
            let text = format!("0 1\n{bad}");
            let error = read(&text).unwrap_err();
            assert!(matches!(error, MeshError::Line { line: 2, .. }), "{bad}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_links_both_ways() {
        let settings = MeshSettings::default();
        let links = scatter(&settings);
        assert_eq!(links, scatter(&settings));
        assert_ne!(
            links,
            scatter(&MeshSettings {
                seed: 1,
                ..settings
            })
        );
        for ((one, other), link) in &links {
            assert_eq!(links[&(*other, *one)], *link);
        }
    }
}
