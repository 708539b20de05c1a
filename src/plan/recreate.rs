//! Whether a table that is there is dropped first, and how far that may go.

use std::fmt;
use std::str::FromStr;

use super::{TableName, TableNameError, shell_word};
use crate::profile;

/// Whether a table that is there is dropped first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Recreate {
    /// It is kept.
    #[default]
    No,
    /// It is dropped if strom-load made it.
    Ours,
    /// The table of this name is dropped, whoever made it.
    Named(TableName),
}

impl Recreate {
    /// Whether a table of this name may be dropped though strom-load did not make it.
    pub fn names(&self, table: &TableName) -> bool {
        matches!(self, Self::Named(name) if name == table)
    }

    /// The flag that lets this table be dropped though strom-load did not make it, as a shell takes
    /// it.
    pub fn flag(table: &TableName) -> String {
        shell_word(&format!("--recreate={}", written(table)))
    }
}

/// `true` and `false` are reserved words of SQL, so that no table has such a name unquoted.
impl FromStr for Recreate {
    type Err = TableNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "true" => Ok(Self::Ours),
            "false" => Ok(Self::No),
            name => name.parse().map(Self::Named),
        }
    }
}

impl fmt::Display for Recreate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("false"),
            Self::Ours => f.write_str("true"),
            Self::Named(name) => f.write_str(&written(name)),
        }
    }
}

/// The name as the flag takes it, where it must not be taken for a switch.
fn written(table: &TableName) -> String {
    match table.as_written() {
        switch if switch == "true" || switch == "false" => format!("\"{switch}\""),
        name => name,
    }
}

impl From<&Recreate> for profile::Recreate {
    fn from(recreate: &Recreate) -> Self {
        match recreate {
            Recreate::No => Self::Switch(false),
            Recreate::Ours => Self::Switch(true),
            Recreate::Named(name) => Self::Table(name.as_written()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for text in ["true", "false", "shop.orders", "\"true\"", "\"My Shop\".\"it's\""] {
            assert_eq!(text.parse::<Recreate>().unwrap().to_string(), text);
        }
        assert!("".parse::<Recreate>().is_err());
        assert!("a.b.c".parse::<Recreate>().is_err());
    }

    #[test]
    fn the_flag_is_one_word_for_a_shell() {
        let flag = |name: &str| Recreate::flag(&name.parse().unwrap());
        assert_eq!(flag("shop.orders"), "--recreate=shop.orders");
        assert_eq!(flag("\"it's\""), "'--recreate=\"it'\\''s\"'");
    }
}
