//! What a run gives to the UUIDs of its rows, and how these are laid out.
//!
//! A UUID of a row (version 8 of RFC 9562) has, from its first bit on:
//!
//! | bits | what |
//! |---|---|
//! | 48 | the moment at which the run took the table, in milliseconds of Unix time |
//! | 4 | version 8 |
//! | 12 | drawn for the run |
//! | 2 | variant |
//! | 4 | drawn for the run |
//! | 10 | the partition |
//! | 48 | the row's number in it: the last group of its usual form |
//!
//! So the UUIDs of a partition's rows are in the order of their numbers, behind those of earlier runs, and a
//! range of numbers is a range of UUIDs.

use super::uuid::{at_moment, of_version, parse, write_text};

/// Bits of a row's number in a UUID.
const NUMBER_BITS: u32 = 48;
/// The highest number that a UUID carries.
pub(super) const UUID_MAX: i64 = (1 << NUMBER_BITS) - 1;
/// The partition, in so many bits.
const PARTITION_BITS: u32 = 10;
/// Bits of a UUID behind those that the run gives.
const OWN_BITS: u32 = NUMBER_BITS + PARTITION_BITS;

/// What a run gives to the UUIDs of its rows: no other run of a table has begun in the same millisecond and drawn
/// the same 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunTag(u128);

/// Of no run: rows that are only shown.
impl Default for RunTag {
    fn default() -> Self {
        Self::of(0)
    }
}

impl RunTag {
    /// Of a run, by the UUID that names it.
    pub fn of(run: u128) -> Self {
        Self(of_version(run >> OWN_BITS << OWN_BITS, 8))
    }

    /// The same of a UUID as it is written; `None` if it is none.
    pub fn parse(run: &str) -> Option<Self> {
        parse(run).map(Self::of)
    }

    /// The UUID of the row that has this number in a partition.
    pub(super) fn uuid(self, partition: u32, number: i64) -> u128 {
        let partition = u128::from(partition & ((1 << PARTITION_BITS) - 1)) << NUMBER_BITS;
        self.0 | partition | number.clamp(0, UUID_MAX) as u128
    }
}

/// The UUID that names a run: one that was drawn, with the moment at which the run takes its table. `None`: nothing
/// was drawn.
pub(crate) fn run_uuid(drawn: &str, unix_ms: i64) -> Option<String> {
    parse(drawn).map(|drawn| usual_form(at_moment(unix_ms, drawn)))
}

/// A UUID as it is usually written.
pub(super) fn usual_form(uuid: u128) -> String {
    let mut text = [0; 36];
    write_text(uuid, &mut text);
    text.iter().map(|byte| char::from(*byte)).collect()
}
