//! The names and addresses under which servers of this machine are reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sysinfo::{Networks, System};

/// Those of a server that listens on `listen`.
pub(crate) fn under(listen: IpAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(System::host_name().filter(|name| is_host_name(name)));
    let mut addresses = vec![
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    match listen.is_unspecified() {
        true => addresses.extend(own_addresses()),
        false => addresses.push(listen),
    }
    names.extend(addresses.iter().map(IpAddr::to_string));
    names.sort();
    names.dedup();
    names
}

/// Those of all interfaces. Nobody can name one that is valid on one link only without the interface, which
/// a certificate cannot hold.
fn own_addresses() -> Vec<IpAddr> {
    let networks = Networks::new_with_refreshed_list();
    let addresses = networks
        .values()
        .flat_map(sysinfo::NetworkData::ip_networks);
    let addresses = addresses.map(|network| network.addr);
    addresses
        .filter(|address| match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        })
        .collect()
}

/// Whether a certificate can hold it. A system may be called anything.
fn is_host_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 253 && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_reached_by_loopback_and_by_what_it_listens_on() {
        let names = under(IpAddr::from([10, 1, 2, 3]));
        for name in ["localhost", "127.0.0.1", "::1", "10.1.2.3"] {
            assert!(names.iter().any(|known| known == name), "{names:?}");
        }
        // Where it listens on all, that is no address to be reached by.
        let names = under(Ipv4Addr::UNSPECIFIED.into());
        assert!(names.iter().all(|name| name != "0.0.0.0"), "{names:?}");
        for address in own_addresses() {
            assert!(names.contains(&address.to_string()), "{names:?}");
        }
    }

    #[test]
    fn a_system_may_be_called_what_no_certificate_can_hold() {
        for name in ["press-hall", "plc_7", "a.plant.example"] {
            assert!(is_host_name(name), "{name}");
        }
        for name in ["", "halle süd", "a b", "x/y"] {
            assert!(!is_host_name(name), "{name}");
        }
    }
}
