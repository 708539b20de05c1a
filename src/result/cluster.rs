//! What came of two loaders and two servers among faults.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Rounds among faults of a primary, its standby, and two loaders of one table.
#[derive(Debug, Clone, Serialize)]
pub struct ClusterReport {
    /// What kinds, moments and pauses were drawn from.
    pub seed: u64,
    /// Each kind that was made.
    pub kinds: Vec<ClusterCounts>,
    /// All of them together.
    pub all: ClusterCounts,
    /// What ended it early, if anything did.
    pub error: Option<String>,
    /// Whether nothing was found that the loaders have to answer for.
    pub right: bool,
}

/// The rounds of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ClusterCounts {
    /// The kind; none for all together.
    pub kind: Option<ClusterKind>,
    /// How many there were.
    pub rounds: u64,
    /// In how many the primary was killed and its standby promoted.
    pub promotions: u64,
    /// In how many the first loader found the second in its place.
    pub taken_over: u64,
    /// How often the second was refused before it was let in.
    pub refused: u64,
    /// Rows that fell due, of both.
    pub due: u64,
    /// Rows that their journals say were acknowledged.
    pub acknowledged: u64,
    /// Rows of theirs in the table, each counted once.
    pub found: u64,
    /// Acknowledged, and not there.
    pub lost: u64,
    /// Of these, what a promotion took that had no synchronous standby: the server's, not the loaders'.
    pub lost_by_server: u64,
    /// Rows that are there besides, with the same number.
    pub doubled: u64,
    /// Sent, and nobody can tell.
    pub undecided: u64,
    /// There, though neither acknowledged nor undecided.
    pub unexpected: u64,
    /// Acknowledged by a journal, and not by the result beside it.
    pub contradicted: u64,
}

impl ClusterCounts {
    /// Adds those of other rounds.
    pub fn add(&mut self, other: &Self) {
        let Self {
            kind: _, rounds, promotions, taken_over, refused, due, acknowledged, found, ..
        } = other;
        self.rounds += rounds;
        self.promotions += promotions;
        self.taken_over += taken_over;
        self.refused += refused;
        self.due += due;
        self.acknowledged += acknowledged;
        self.found += found;
        self.lost += other.lost;
        self.lost_by_server += other.lost_by_server;
        self.doubled += other.doubled;
        self.undecided += other.undecided;
        self.unexpected += other.unexpected;
        self.contradicted += other.contradicted;
    }

    /// Whether the loaders have nothing to answer for: what is undecided was said to be.
    pub fn are_right(&self) -> bool {
        let wrong = self.doubled + self.unexpected + self.contradicted;
        wrong == 0 && self.lost == self.lost_by_server
    }
}

/// A fault of a cluster, by how its standby follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterKind {
    /// The primary is killed, and its asynchronous standby promoted.
    AsyncPromotion,
    /// The network of the first loader is gone for a while; the standby is asynchronous.
    AsyncCut,
    /// The network of the first loader is slow for a while; the standby is asynchronous.
    AsyncSlow,
    /// As [`Self::AsyncPromotion`], with a synchronous standby.
    SyncPromotion,
    /// As [`Self::AsyncCut`], with a synchronous standby.
    SyncCut,
    /// As [`Self::AsyncSlow`], with a synchronous standby.
    SyncSlow,
}

impl ClusterKind {
    /// All kinds, each with what it does.
    pub const ALL: [(Self, &'static str, &'static str); 6] = [
        (
            Self::AsyncPromotion,
            "async-promotion",
            "SIGKILL of the primary, promotion of its standby",
        ),
        (Self::AsyncCut, "async-cut", "the first loader's network is gone for a while"),
        (Self::AsyncSlow, "async-slow", "the first loader's network is slow for a while"),
        (
            Self::SyncPromotion,
            "sync-promotion",
            "as async-promotion; a COMMIT waits for the standby",
        ),
        (Self::SyncCut, "sync-cut", "as async-cut; a COMMIT waits for the standby"),
        (Self::SyncSlow, "sync-slow", "as async-slow; a COMMIT waits for the standby"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("?", |(_, name, _)| name)
    }

    /// Whether a COMMIT waits for the standby.
    pub fn is_synchronous(self) -> bool {
        matches!(self, Self::SyncPromotion | Self::SyncCut | Self::SyncSlow)
    }
}

impl fmt::Display for ClusterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ClusterKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name, _)| *name == text);
        found.map(|(kind, ..)| *kind).ok_or_else(|| format!("`{text}` is not a kind of fault"))
    }
}
