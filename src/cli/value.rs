//! Values that have a form of their own, read from an option.

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

pub(super) fn parse_setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("`{text}` is not NAME=VALUE, such as shared_buffers=2GB")),
    }
}
