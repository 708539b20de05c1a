//! What a server can do of what not every server can that speaks PostgreSQL's protocol.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was found by trying.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// COPY in binary form; without it rows are sent as text.
    pub copy_binary: Capability,
    /// Transaction ids, and what became of a transaction: `pg_current_xact_id()`, `pg_xact_status()`.
    pub transaction_fate: Capability,
    /// Tables that are partitioned by LIST.
    pub list_partitions: Capability,
}

/// Whether a server can do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capability {
    /// Whether it can; `None`: it could not be tried.
    pub can: Option<bool>,
    /// Why not, or why it was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Capability {
    /// Whether it is known that the server cannot.
    pub fn is_missing(&self) -> bool {
        self.can == Some(false)
    }
}

/// As a server of PostgreSQL's own.
impl Default for Capability {
    fn default() -> Self {
        Self { can: Some(true), why: None }
    }
}

impl Capabilities {
    /// Whether the server can do all of it.
    pub fn are_complete(&self) -> bool {
        *self == Self::default()
    }
}

/// In a line, with what follows from what is missing.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copy_binary, transaction_fate, list_partitions } = self;
        let all = [
            ("COPY BINARY", copy_binary, "rows are sent as text"),
            ("fate of a transaction", transaction_fate, "doubts are decided by look-up of rows"),
            ("LIST partitions", list_partitions, "the partition key is a column like others"),
        ];
        for (at, (name, capability, instead)) in all.into_iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            match capability.can {
                Some(true) => write!(f, "{comma}{name}")?,
                Some(false) => write!(f, "{comma}no {name} ({instead})")?,
                None => write!(f, "{comma}{name} not known")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_what_follows() {
        let all = Capabilities::default();
        assert_eq!(all.to_string(), "COPY BINARY, fate of a transaction, LIST partitions");
        let lacking = |can| Capability { can, why: Some("so it is".to_owned()) };
        let some = Capabilities {
            transaction_fate: lacking(Some(false)),
            list_partitions: lacking(None),
            ..all.clone()
        };
        assert_eq!(
            some.to_string(),
            "COPY BINARY, no fate of a transaction (doubts are decided by look-up of rows), LIST partitions not known"
        );
        assert!(all.are_complete() && !some.are_complete());
        let saved = serde_json::to_value(&some).unwrap();
        assert_eq!(serde_json::from_value::<Capabilities>(saved).unwrap(), some);
    }
}
