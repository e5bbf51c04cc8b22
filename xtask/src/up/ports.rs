//! Where a site listens, and whether it can.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{bail, ensure};
use fieldledger_site::{Listener, SiteError, check_free};

use super::{UpArgs, sites};

/// Nobody but this machine has business on the lattice.
const LATTICE_LISTENS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Something that listens.
#[derive(Debug)]
struct Port {
    purpose: &'static str,
    address: SocketAddr,
    /// The option that moves it, if one does.
    option: Option<&'static str>,
}

/// It is an error where two ports are the same, and with all of them where some are taken.
pub(super) fn check(args: &UpArgs) -> anyhow::Result<()> {
    let ports = needed(args);
    for (index, port) in ports.iter().enumerate() {
        let number = port.address.port();
        let same = |other: &&Port| other.address.port() == number;
        if let Some(other) = ports[..index].iter().find(same) {
            let (one, two) = (other.purpose, port.purpose);
            bail!("port {number} is chosen for both {one} and {two}; choose different ones");
        }
    }
    let mut taken = Vec::new();
    for port in &ports {
        match check_free(port.purpose, port.address) {
            Ok(()) => {}
            Err(SiteError::PortInUse { listener, .. }) => {
                taken.push(port.taken_by(listener.as_ref(), &ports));
            }
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(
        taken.is_empty(),
        "ports that this site needs are in use; stop what listens there, or choose others:\n{}",
        taken.join("\n")
    );
    Ok(())
}

impl Port {
    fn taken_by(&self, listener: Option<&Listener>, needed: &[Self]) -> String {
        let Self {
            purpose, address, ..
        } = self;
        let who = match listener {
            Some(listener) => listener.to_string(),
            None => "a program of another user".to_owned(),
        };
        let instead = match (self.option, free_after(*address, needed)) {
            (Some(option), Some(free)) => format!("instead: {option} {free}"),
            (Some(option), None) => format!("instead: {option} with a port that is free"),
            (None, _) => "it cannot be moved; --sites 1 needs none".to_owned(),
        };
        format!("  {address} for {purpose}, in use by {who}\n      {instead}")
    }
}

/// The next port that nobody listens on and this site does not need.
fn free_after(taken: SocketAddr, needed: &[Port]) -> Option<u16> {
    let is_needed = |number| needed.iter().any(|port| port.address.port() == number);
    let mut numbers = (taken.port()..=u16::MAX).skip(1);
    numbers.find(|&number| {
        !is_needed(number) && check_free("", SocketAddr::new(taken.ip(), number)).is_ok()
    })
}

/// Where a site listens.
fn needed(args: &UpArgs) -> Vec<Port> {
    let field = |purpose, port, option| Port {
        purpose,
        address: SocketAddr::new(args.listen, port),
        option,
    };
    let lattice = |purpose, port, option| Port {
        purpose,
        address: SocketAddr::new(LATTICE_LISTENS, port),
        option,
    };
    let mut ports = vec![
        field("the page", args.port, Some("--port")),
        field("NATS", args.nats_port, Some("--nats-port")),
        field("MQTT", args.mqtt_port, Some("--mqtt-port")),
        lattice("the lattice", args.lattice_port, Some("--lattice-port")),
    ];
    let leaves = sites::leaves(args);
    if !leaves.is_empty() {
        let [of_lattice, of_field] = sites::LEAFNODES;
        ports.push(lattice("leaf nodes of the lattice", of_lattice, None));
        ports.push(field("leaf nodes of the field", of_field, None));
    }
    for leaf in leaves {
        ports.extend([
            field(
                "NATS of a further site",
                leaf.nats_port,
                Some("--nats-port"),
            ),
            field(
                "MQTT of a further site",
                leaf.mqtt_port,
                Some("--mqtt-port"),
            ),
            lattice(
                "the lattice of a further site",
                leaf.lattice_port,
                Some("--lattice-port"),
            ),
        ]);
    }
    ports
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpListener;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        up: UpArgs,
    }

    /// Options with four ports that are free.
    fn args(more: &[&str]) -> UpArgs {
        let free: Vec<TcpListener> = (0..4)
            .map(|_| TcpListener::bind((LATTICE_LISTENS, 0)).unwrap())
            .collect();
        let options = ["--port", "--nats-port", "--mqtt-port", "--lattice-port"];
        let mut words = vec!["up".to_owned()];
        for (option, listener) in options.iter().zip(&free) {
            let port = listener.local_addr().unwrap().port();
            words.extend([(*option).to_owned(), port.to_string()]);
        }
        words.extend(more.iter().map(|&word| word.to_owned()));
        Cli::parse_from(words).up
    }

    #[test]
    fn every_port_that_is_taken_is_named_with_who_has_it_and_what_moves_it() {
        let args = args(&[]);
        check(&args).unwrap();
        let taken = [args.port, args.mqtt_port];
        let _listeners = taken.map(|port| TcpListener::bind((LATTICE_LISTENS, port)).unwrap());
        let text = check(&args).unwrap_err().to_string();
        for (port, option) in taken.iter().zip(["--port", "--mqtt-port"]) {
            assert!(text.contains(&format!("127.0.0.1:{port} for")), "{text}");
            assert!(text.contains(&format!("instead: {option} ")), "{text}");
        }
        assert!(!text.contains("--nats-port"), "{text}");
        if cfg!(target_os = "linux") {
            let own = format!("(process {})", std::process::id());
            assert_eq!(text.matches(&own).count(), 2, "{text}");
        }
    }

    #[test]
    fn one_port_cannot_be_two() {
        let mut args = args(&[]);
        args.mqtt_port = args.port;
        let text = check(&args).unwrap_err().to_string();
        assert!(text.contains("for both the page and MQTT"), "{text}");
    }

    #[test]
    fn further_sites_have_ports_of_their_own() {
        let ports = needed(&args(&["--sites", "3"]));
        assert_eq!(ports.len(), 4 + 2 + 2 * 3);
    }
}
