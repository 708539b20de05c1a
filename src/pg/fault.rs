//! What to do about an error: one table from SQLSTATE to remedy.
//!
//! docs/delivery.md shows this table; a test keeps the two alike.

/// SQLSTATE of a statement that was cancelled, by hand or by its timeout.
pub const QUERY_CANCELED: &str = "57014";

/// What makes a failed batch or query worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Try again on the same session, after a short pause.
    Retry,
    /// Wait for the server to find room, then try again on the same session.
    Wait,
    /// Connect anew, then try again.
    Reconnect,
    /// Nothing: the same attempt would fail for ever.
    Fatal,
}

impl Remedy {
    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Wait => "wait",
            Self::Reconnect => "reconnect",
            Self::Fatal => "fatal",
        }
    }
}

/// A row of the table: an SQLSTATE, or a class by its first two characters.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Five characters, or two for a whole class.
    pub code: &'static str,
    /// What to do.
    pub remedy: Remedy,
    /// What happened.
    pub meaning: &'static str,
}

const fn rule(code: &'static str, remedy: Remedy, meaning: &'static str) -> Rule {
    Rule { code, remedy, meaning }
}

/// All rules. A whole code goes before its class. What is not here ends the run, unless the
/// session was lost with it: then a new one is tried.
pub const RULES: &[Rule] = &[
    rule("08", Remedy::Reconnect, "the connection broke, or could not be made"),
    rule("25006", Remedy::Reconnect, "the server has become read-only: a failover"),
    rule("25P02", Remedy::Reconnect, "the transaction had failed before"),
    rule("25P03", Remedy::Reconnect, "the session was idle in a transaction for too long"),
    rule("28", Remedy::Fatal, "the server does not admit this role"),
    rule("3D", Remedy::Fatal, "there is no such database"),
    rule("26000", Remedy::Reconnect, "a pooler gave the session another backend"),
    rule("40", Remedy::Retry, "serialization failure, deadlock or other rollback"),
    rule("42P05", Remedy::Reconnect, "a pooler's backend holds another session's statement"),
    rule("53300", Remedy::Reconnect, "no connection slot is free"),
    rule("53", Remedy::Wait, "out of disk space, memory or another resource"),
    rule("55", Remedy::Wait, "the table is locked or in use"),
    rule(QUERY_CANCELED, Remedy::Retry, "the statement was cancelled, by hand or by a timeout"),
    rule("57", Remedy::Reconnect, "the server ends sessions, shuts down or starts up"),
    rule("58", Remedy::Wait, "the server's system failed it: input and output, files"),
];

/// What to do about an error with this SQLSTATE; `lost`: the session went with it.
pub fn remedy(code: &str, lost: bool) -> Remedy {
    let rule = RULES
        .iter()
        .find(|rule| rule.code == code)
        .or_else(|| RULES.iter().find(|rule| rule.code.len() == 2 && code.starts_with(rule.code)));
    match rule {
        Some(rule) if rule.remedy == Remedy::Fatal => Remedy::Fatal,
        _ if lost => Remedy::Reconnect,
        Some(rule) => rule.remedy,
        None => Remedy::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_goes_before_its_class_and_the_rest_is_fatal() {
        assert_eq!(remedy("53300", false), Remedy::Reconnect);
        assert_eq!(remedy("53100", false), Remedy::Wait);
        assert_eq!(remedy("57P01", false), Remedy::Reconnect);
        assert_eq!(remedy("57014", false), Remedy::Retry);
        assert_eq!(remedy("40001", false), Remedy::Retry);
        assert_eq!(remedy("08006", false), Remedy::Reconnect);
        assert_eq!(remedy("42P01", false), Remedy::Fatal);
        assert_eq!(remedy("22003", false), Remedy::Fatal);
        assert_eq!(remedy("XX000", false), Remedy::Fatal);
        assert_eq!(remedy("53100", true), Remedy::Reconnect, "a PANIC takes the session along");
        assert_eq!(remedy("XX000", true), Remedy::Reconnect);
        assert_eq!(remedy("28P01", true), Remedy::Fatal);
    }
}
