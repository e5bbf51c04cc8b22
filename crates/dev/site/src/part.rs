//! The processes of a site that are started again where they end.

use std::fmt;
use std::process::ExitStatus;

use crate::error::SiteError;
use crate::site::Site;

/// One of the processes of which each site has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nats,
    LatticeNats,
    Host,
}

/// A process of a site or of one of its leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    kind: Kind,
    /// Which leaf it is of, with its name; `None` for the centre.
    leaf: Option<(usize, String)>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Nats => "nats-server",
            Kind::LatticeNats => "the lattice's nats-server",
            Kind::Host => "the host",
        })?;
        match &self.leaf {
            Some((_, name)) => write!(f, " of {name}"),
            None => Ok(()),
        }
    }
}

impl Site {
    /// The parts that have ended, and how. Servers come before the hosts that need them.
    pub fn ended(&mut self) -> Vec<(Part, ExitStatus)> {
        let mut processes = vec![
            (Kind::Nats, None, &mut self.nats.process),
            (Kind::LatticeNats, None, &mut self.lattice_nats.process),
            (Kind::Host, None, &mut self.host.process),
        ];
        for (number, leaf) in self.leaves.iter_mut().enumerate() {
            let of_leaf = Some((number, leaf.name().to_owned()));
            processes.extend([
                (Kind::Nats, of_leaf.clone(), &mut leaf.nats.process),
                (
                    Kind::LatticeNats,
                    of_leaf.clone(),
                    &mut leaf.lattice_nats.process,
                ),
                (Kind::Host, of_leaf, &mut leaf.host.process),
            ]);
        }
        let ended = processes.into_iter().filter_map(|(kind, leaf, process)| {
            let status = process.ended()?;
            Some((Part { kind, leaf }, status))
        });
        ended.collect()
    }

    /// Starts a part again.
    ///
    /// # Errors
    ///
    /// That of the part.
    pub async fn restart(&mut self, part: &Part) -> Result<(), SiteError> {
        let leaf = part.leaf.as_ref();
        let leaf = leaf.and_then(|(number, _)| self.leaves.get_mut(*number));
        match (part.kind, leaf) {
            (Kind::Nats, None) => self.nats.restart().await,
            (Kind::Nats, Some(leaf)) => leaf.nats.restart().await,
            (Kind::LatticeNats, None) => self.lattice_nats.restart().await,
            (Kind::LatticeNats, Some(leaf)) => leaf.lattice_nats.restart().await,
            (Kind::Host, None) => self.restart_host().await,
            (Kind::Host, Some(leaf)) => leaf.restart_host().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_named_with_its_site() {
        let part = |kind, leaf| Part { kind, leaf }.to_string();
        assert_eq!(part(Kind::LatticeNats, None), "the lattice's nats-server");
        let leaf = Some((0, "site-2".to_owned()));
        assert_eq!(part(Kind::Host, leaf), "the host of site-2");
    }
}
