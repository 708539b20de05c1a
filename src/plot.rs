//! Pictures of numbers: pure functions from data to SVG. Knows no result and no page.
//!
//! Each chart is drawn twice, for a wide page and for a narrow one; what is drawn between the axes is
//! there once, and the narrow chart refers to it. Coordinates have fixed decimals, so that the same
//! numbers give the same bytes.

mod decimate;
mod path;
mod rows;
mod scale;
mod svg;
mod time;
mod xy;

pub use decimate::{Merge, decimate};
pub use path::{Cells, Step, area, curve, dots, spans, stacked, steps};
pub use rows::{Mark, Row, RowChart, Shape, Tone};
pub use scale::Scale;
pub use svg::{Names, escape, shortened, squeezed};
pub use time::{Band, BandKind, End, Lane, Layer, Panel, TimeChart};
pub use xy::{Label, Line, XyChart};

/// Most points of a line.
pub const POINTS_MAX: usize = 600;
