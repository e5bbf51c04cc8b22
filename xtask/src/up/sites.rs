//! Further sites on this machine.

use fieldledger_site::LeafSiteOptions;

use super::UpArgs;

/// Where leaf nodes join the lattice's server and the field's: the port that NATS has for it, and the
/// next.
pub(super) const LEAFNODES: [u16; 2] = [7422, 7423];

/// Ports of a site are so many from those of the one before.
const APART: u16 = 10;

/// The sites beside the first.
pub(super) fn leaves(args: &UpArgs) -> Vec<LeafSiteOptions> {
    let leaf = |number: u16| {
        let from = |port: u16| port.saturating_add((number - 1).saturating_mul(APART));
        LeafSiteOptions {
            name: format!("site-{number}"),
            nats_port: from(args.nats_port),
            mqtt_port: from(args.mqtt_port),
            lattice_port: from(args.lattice_port),
            lattice_hub: None,
        }
    };
    (2..=args.sites).map(leaf).collect()
}
