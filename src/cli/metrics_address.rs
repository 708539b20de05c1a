//! `--metrics-addr`: where metrics are served, if anywhere.

use std::net::SocketAddr;
use std::str::FromStr;

/// `--metrics-addr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAddress {
    /// No endpoint.
    Off,
    /// Listen here.
    On(SocketAddr),
}

impl FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::On).map_err(|_| {
            format!("`{text}` is not an address; write IP:PORT such as 127.0.0.1:9464, or off")
        })
    }
}
