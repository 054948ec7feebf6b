//! The addresses that a connection never reaches unless the operator says so.
//!
//! Loopback and private networks are where operators' servers live. What is refused is where a
//! machine's own identity can be had for the asking (cloud metadata), and what is no single server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::schema::text_schema;

/// An address or a range of addresses: `169.254.169.254`, `fe80::/10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange(IpNet);

text_schema!(
    AddressRange,
    "AddressRange",
    r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$",
    "An IP address or a range of them: `169.254.1.7`, `fe80::/10`."
);

impl TryFrom<String> for AddressRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let range = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        range.map(Self).map_err(|_| {
            format!(
                "`{text}` is no address: write an IP address or a range of them, like \"169.254.1.7\" or \"fe80::/10\""
            )
        })
    }
}

impl From<AddressRange> for String {
    fn from(AddressRange(range): AddressRange) -> Self {
        if range.prefix_len() == range.max_prefix_len() { range.addr().to_string() } else { range.to_string() }
    }
}

/// An address that the connection may not reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}, {kind}; if that is meant, write  allow-addresses = [\"{address}\"]", at(host, address))]
pub(in crate::capability) struct RefusedAddress {
    host: String,
    address: IpAddr,
    kind: &'static str,
}

fn at(host: &str, address: &IpAddr) -> String {
    let is_it = host.trim_matches(['[', ']']).parse() == Ok(*address);
    if is_it { format!("the address is {address}") } else { format!("{host} is at {address}") }
}

/// Turns away an address that the operator has not allowed.
pub(super) fn check(host: &str, address: IpAddr, allowed: &[AddressRange]) -> Result<(), RefusedAddress> {
    let address = address.to_canonical();
    match refused_kind(address) {
        Some(kind) if !allowed.iter().any(|AddressRange(range)| range.contains(&address)) => {
            Err(RefusedAddress { host: host.to_owned(), address, kind })
        }
        _ => Ok(()),
    }
}

/// Turns away a URL whose host is such an address. It never reaches the [`Resolver`], so it is checked
/// when the URL is read.
pub(in crate::capability) fn check_url(url: &Url, allowed: &[AddressRange]) -> Result<(), RefusedAddress> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    check(url.host_str().unwrap_or_default(), address, allowed)
}

fn refused_kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refused_kind_v4(address),
        IpAddr::V6(address) => refused_kind_v6(address),
    }
}

fn refused_kind_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [169, 254, 169, 254] => Some("a cloud's metadata service"),
        // Alibaba Cloud, Oracle Cloud, and Azure's wire server.
        [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => Some("a cloud's metadata service"),
        [169, 254, ..] => Some("a link-local address"),
        [0, ..] => Some("no address of a server"),
        [224..=255, ..] => Some("a multicast, reserved or broadcast address"),
        _ => None,
    }
}

fn refused_kind_v6(address: Ipv6Addr) -> Option<&'static str> {
    const EC2_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    const GCP_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        refused_kind_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        _ if address == EC2_METADATA || address == GCP_METADATA => Some("a cloud's metadata service"),
        _ if address.is_unspecified() => Some("no address of a server"),
        _ if address.is_loopback() => None,
        _ if address.is_multicast() => Some("a multicast, reserved or broadcast address"),
        _ if address.is_unicast_link_local() => Some("a link-local address"),
        // An IPv4 address in IPv6 clothes: IPv4-compatible, NAT64 (RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        _ => None,
    }
}

/// Looks names up, and leaves out the addresses that are refused: what was checked is what is
/// connected to, so that a name can't be pointed elsewhere in between.
pub(super) struct Resolver {
    pub(super) allowed: Arc<[AddressRange]>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.allowed);
        Box::pin(async move {
            // Port 0 stands for "the URL's port" here.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (mut usable, mut refused) = (Vec::new(), None);
            for address in found {
                match check(name.as_str(), address.ip(), &allowed) {
                    Ok(()) => usable.push(address),
                    Err(refusal) => refused = Some(refusal),
                }
            }
            match refused {
                Some(refusal) if usable.is_empty() => Err(refusal.into()),
                _ => Ok(Box::new(usable.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_out_of_reach_in_every_spelling_and_private_networks_are_not() {
        for refused in [
            "169.254.169.254",
            "169.254.1.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "ff02::1",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(check("host", refused.parse().unwrap(), &[]).is_err(), "{refused}");
        }
        for reached in ["127.0.0.1", "10.0.0.1", "172.17.0.2", "192.168.1.1", "::1", "fd12:3456::1", "8.8.8.8"] {
            assert_eq!(check("host", reached.parse().unwrap(), &[]), Ok(()), "{reached}");
        }
    }

    #[test]
    fn the_operator_can_allow_one_address_or_a_range_and_nothing_more() {
        let allowed: Vec<AddressRange> = serde_json::from_str(r#"["169.254.1.7", "fe80::/10"]"#).unwrap();
        for (address, reached) in [
            ("169.254.1.7", true),
            ("::ffff:169.254.1.7", true),
            ("fe80::17", true),
            ("169.254.1.8", false),
            ("169.254.169.254", false),
        ] {
            assert_eq!(check("host", address.parse().unwrap(), &allowed).is_ok(), reached, "{address}");
        }
        assert_eq!(serde_json::to_string(&allowed).unwrap(), r#"["169.254.1.7","fe80::/10"]"#);
        assert!(serde_json::from_str::<AddressRange>(r#""metadata""#).is_err());
    }
}
