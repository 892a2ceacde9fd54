//! Who a request counts against.

use std::{fmt, net::IpAddr};

use foldhash::fast::FixedState;

use crate::peer::Peer;

/// Whose share and rate a request counts against: an issuer and subject, else an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(u128);

impl Client {
    /// The client with this name, 128 bits of a hash of issuer and subject.
    pub fn named(id: u128) -> Self {
        Self(id)
    }

    /// 128 bits that tell it apart from others.
    pub fn id(&self) -> u128 {
        self.0
    }

    /// 64 bits, evenly spread, that tell it apart from most.
    pub fn hash(&self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The client at an address. All of an IPv6 network of 64 bits is one: who has one address of
    /// it has all of them.
    pub fn at(peer: &Peer) -> Self {
        use std::hash::BuildHasher as _;

        // Names are hashes, so an address that is spread out the same way meets none of them.
        let (address, kind) = match peer.client {
            IpAddr::V4(address) => (u64::from(address.to_bits()), 4u64),
            IpAddr::V6(address) => ((address.to_bits() >> 64) as u64, 6),
        };
        let spread = FixedState::with_seed(kind).hash_one(address);
        Self(u128::from(spread) << 64 | u128::from(address))
    }
}

/// As the log names it: an issuer and a subject may be a person's name, so it is their hash. Whoever
/// knows them can tell.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.hash())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn at(address: &str) -> Client {
        let ip: IpAddr = address.parse().unwrap();
        Client::at(&Peer::new(SocketAddr::new(ip, 1), false))
    }

    #[test]
    fn an_address_is_a_client_and_so_is_an_ipv6_network() {
        assert_eq!(at("192.0.2.1"), at("192.0.2.1"));
        assert_eq!(at("192.0.2.1"), at("::ffff:192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
    }
}
