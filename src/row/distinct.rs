//! How many different values a generator makes.

use super::Values;

impl Values {
    /// How many values there are, roughly.
    pub(crate) fn distinct(&self) -> f64 {
        match self {
            Self::RowId
            | Self::DueTime
            | Self::EventTime { .. }
            | Self::Uuid
            | Self::UuidV7
            | Self::Float { .. }
            | Self::Histogram { distinct: None, .. } => f64::INFINITY,
            Self::Histogram { distinct: Some(distinct), .. } => *distinct as f64,
            Self::Timestamp { min_us, max_us, .. } => max_us.abs_diff(*min_us) as f64 + 1.0,
            Self::Partition => 1.0,
            Self::Label { min, max, .. } => (max - min) as f64 + 1.0,
            Self::Integer { min, max, .. } | Self::Decimal { min, max, .. } => {
                *max as f64 - *min as f64 + 1.0
            }
            Self::Day { min, max, .. } => f64::from(*max) - f64::from(*min) + 1.0,
            Self::Text { max_chars, .. } => 36_f64.powf(f64::from(*max_chars)),
            Self::Boolean { .. } => 2.0,
            Self::Choice { of, others, .. } => {
                let others = others.as_ref().map_or(0.0, |others| others.values.distinct());
                of.len() as f64 + others
            }
            Self::File { sample, .. } => sample.count() as f64,
            Self::Reference { keys, .. } => {
                keys.as_ref().map_or(f64::INFINITY, |keys| keys.count() as f64)
            }
            Self::Time { min_us, max_us } => (max_us - min_us) as f64 + 1.0,
            Self::Bytes { max_bytes, .. } => 256_f64.powf(f64::from(*max_bytes)),
            Self::Inet { network } => network.free() as f64 + 1.0,
            Self::Pattern(pattern) => pattern.distinct(),
            Self::Conditional(own) => own.each().map(Self::distinct).sum(),
            Self::Array(elements) => {
                let most = elements.lengths().map_or(0.0, |[_, most]| most as f64);
                elements.of.distinct().powf(most)
            }
        }
    }
}
