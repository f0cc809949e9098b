//! Which addresses may be connected to. The check stands between the name lookup and the connection, and the connection
//! goes to what was checked: a name that answers differently the next time gets round nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses only.
    Public,
    /// All, also those of private networks and of this machine.
    Anywhere,
}

/// An address out of reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused to connect to {address}, which is not a public address; allow_private = true allows it")]
pub struct Refused {
    address: IpAddr,
}

impl Reach {
    /// Whether that address may be connected to.
    ///
    /// # Errors
    /// A refusal when it may not.
    pub fn check(self, address: IpAddr) -> Result<(), Refused> {
        match self {
            Self::Public if !is_public(address) => Err(Refused { address }),
            Self::Public | Self::Anywhere => Ok(()),
        }
    }
}

/// Whether an address is one of the public network, by IANA's registries of special-purpose addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0                             // "this network"
        || a >= 240                                  // reserved, broadcast
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()                   // and with it the clouds' metadata servers
        || address.is_multicast()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b))      // carrier-grade NAT
        || (a == 192 && b == 0 && c == 0)            // protocol assignments
        || (a == 192 && b == 88 && c == 99)          // 6to4 relays
        || (a == 198 && (18..20).contains(&b)); // benchmarks
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded_v4(address) {
        return is_public_v4(inner);
    }
    let [first, second, ..] = address.segments();
    // 2000::/3 is all that is handed out; inside it Teredo and other protocols (2001::/23) and documentation.
    let global = first & 0xe000 == 0x2000;
    let special = (first == 0x2001 && (second < 0x200 || second == 0xdb8)) || first == 0x3fff;
    global && !special
}

/// The IPv4 address that a connection to this one would come out at: mapped, compatible, NAT64 or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(v4(g, h)),
        (0x2002, ..) => Some(v4(b, c)),
        _ => None,
    }
}

/// The system's name lookup, less what is out of reach.
#[derive(Debug)]
pub(super) struct Resolver(Reach);

impl Resolver {
    pub(super) fn new(reach: Reach) -> Self {
        Self(reach)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            // The port is the URL's; the client puts it in.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One address out of reach spoils all: a name that mixes them means no good.
            found.iter().try_for_each(|address| reach.check(address.ip()))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        Reach::Public.check(text.parse().unwrap()).is_ok()
    }

    #[test]
    fn addresses_of_private_networks_are_out_of_reach() {
        let private = [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "fec0::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "::7f00:1",
            "100::1",
            "5f00::1",
        ];
        let let_through: Vec<_> = private.into_iter().filter(|text| public(text)).collect();
        assert!(let_through.is_empty(), "{let_through:?}");
        assert!(Reach::Anywhere.check("127.0.0.1".parse().unwrap()).is_ok());
    }

    #[test]
    fn public_addresses_are_within_reach() {
        let public_ones = [
            "1.1.1.1",
            "9.9.9.9",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700:4700::1111",
            "2a00::1",
            "::ffff:9.9.9.9",
            "64:ff9b::909:909",
        ];
        let refused: Vec<_> = public_ones.into_iter().filter(|text| !public(text)).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
}
