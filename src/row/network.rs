//! Networks of addresses.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::check::ColumnFault;

/// A network of addresses, of either version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    prefix: u8,
    /// Bits of an address: 32 or 128.
    bits: u8,
}

impl Network {
    /// Bits of an address: 32 or 128.
    pub(super) fn bits(self) -> u8 {
        self.bits
    }

    /// An address, of random bits where the network leaves them free.
    pub(super) fn host(self, random: u128) -> u128 {
        self.address | random & self.free()
    }

    /// The bits that the network leaves free.
    pub(super) fn free(self) -> u128 {
        u128::MAX.checked_shr(128 - u32::from(self.bits - self.prefix)).unwrap_or(0)
    }
}

impl FromStr for Network {
    type Err = ColumnFault;

    fn from_str(text: &str) -> Result<Self, ColumnFault> {
        let fault = || ColumnFault::Setting {
            fact: format!("`{text}` is not a network"),
            fix: "write an address and the bits of its network, such as 10.0.0.0/8".into(),
        };
        let (address, prefix) = text.split_once('/').ok_or_else(fault)?;
        let (address, bits) = match address.parse().map_err(|_| fault())? {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(fault)?;
        let network = Self { address, prefix, bits };
        Ok(Self { address: address & !network.free(), ..network })
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address: IpAddr = match self.bits {
            32 => Ipv4Addr::from_bits(self.address as u32).into(),
            _ => Ipv6Addr::from_bits(self.address).into(),
        };
        write!(f, "{address}/{}", self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
