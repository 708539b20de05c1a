//! Where an event lies in its stream, whatever the rate: how many events would have been due by then if
//! they came evenly.

/// A position in units of 2⁻³² events.
pub(super) type Position = u128;

/// Bits of a position behind the point.
pub(super) const FRACTION_BITS: u32 = 32;
