//! What a number of a profile may be.

/// What a number may be, in the unit of its key.
pub(super) struct Limits {
    pub(super) default: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) is_whole: bool,
    /// The range in words: "`x` is outside …".
    pub(super) range: &'static str,
    /// How to mend a value outside.
    pub(super) fix: &'static str,
}

/// Of times that nobody waits for.
pub(super) const TEN_YEARS_S: f64 = 315_360_000.0;

/// How often a measurement is repeated.
pub(super) const REPEATS: Limits = Limits {
    default: 1.0,
    min: 1.0,
    max: 1_000.0,
    is_whole: true,
    range: "1 to 1,000",
    fix: "choose a number such as 5; each repeat takes as long as one measurement",
};

/// How long the server may take for a query.
pub(super) const STATEMENT_TIMEOUT: Limits = Limits {
    default: 60.0,
    min: 1e-3,
    max: 86_400.0,
    is_whole: false,
    range: "1 ms to 1 day",
    fix: "choose a time such as 60 s",
};
