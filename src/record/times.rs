//! Histograms of durations: nanoseconds, three significant digits (HdrHistogram).

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{
    DeserializeError, Deserializer as HdrReader, Serializer as _, V2DeflateSerializeError,
    V2DeflateSerializer,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Values above are recorded as this. 2^42 ns, 73 minutes: beyond any bound on a wait here.
const MAX_NS: u64 = 1 << 42;
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of durations. Takes no memory until something is recorded.
#[derive(Debug, Clone, Default)]
pub struct Times {
    histogram: Option<Box<Histogram<u64>>>,
    sum_ns: u128,
}

impl Times {
    /// Adds one duration.
    pub fn record(&mut self, value: Duration) {
        self.record_n(value, 1);
    }

    /// Adds one duration `count` times.
    pub fn record_n(&mut self, value: Duration, count: u64) {
        let ns = ns(value);
        self.sum_ns += u128::from(ns) * u128::from(count);
        if let Some(histogram) = self.histogram() {
            // Resizes as needed; the values are bounded, so it cannot fail.
            let _ = histogram.record_n(ns, count);
        }
    }

    /// Adds `count` durations evenly spaced from `low` to `high`, both included.
    ///
    /// It walks the buckets that they fall into, not the durations, so a large batch costs no
    /// more than the buckets it spans; the result is what recording each would give.
    pub fn record_evenly(&mut self, low: Duration, high: Duration, count: u64) {
        let (low, high) = (ns(low), ns(high).max(ns(low)));
        let (span, gaps) = (u128::from(high - low), u128::from(count.saturating_sub(1)));
        if gaps == 0 || span == 0 {
            return self.record_n(Duration::from_nanos(low), count);
        }
        self.sum_ns += (u128::from(low) + u128::from(high)) * u128::from(count) / 2;
        let Some(histogram) = self.histogram() else { return };
        let mut next = 0;
        while next < count {
            let value = low + u64::try_from(u128::from(next) * span / gaps).unwrap_or(0);
            let top = u128::from(histogram.highest_equivalent(value)) + 1 - u128::from(low);
            // Duration i is low + floor(i × span / gaps), so it lies in the bucket while
            // i × span < top × gaps.
            let end = u64::try_from((top * gaps).div_ceil(span)).unwrap_or(count).min(count);
            let _ = histogram.record_n(value, end - next);
            next = end;
        }
    }

    /// Adds another histogram's durations.
    pub fn merge(&mut self, other: &Self) {
        let Some(theirs) = &other.histogram else { return };
        self.sum_ns += other.sum_ns;
        match &mut self.histogram {
            None => self.histogram = Some(theirs.clone()),
            // Both have the same bounds and resize themselves: adding cannot fail.
            Some(ours) => drop(ours.add(&**theirs)),
        }
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// Their sum in seconds.
    pub fn sum_s(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// The duration at a quantile from 0 to 1; `None` without durations.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_nanos(histogram.value_at_quantile(quantile).min(histogram.max())))
    }

    /// Buckets in use, as (upper bound in seconds, count), ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.histogram.iter().flat_map(|histogram| {
            histogram.iter_recorded().map(|step| {
                (step.value_iterated_to() as f64 / 1e9, step.count_since_last_iteration())
            })
        })
    }

    /// The histogram itself, for those who write it to a log.
    pub fn as_histogram(&self) -> Option<&Histogram<u64>> {
        self.histogram.as_deref()
    }

    /// The usual figures; `None` without durations.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        let ms = |quantile| {
            let ns = histogram.value_at_quantile(quantile).min(histogram.max());
            ns as f64 / 1e6
        };
        Some(Percentiles {
            count: histogram.len(),
            mean_ms: self.sum_ns as f64 / histogram.len() as f64 / 1e6,
            min_ms: histogram.min() as f64 / 1e6,
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: histogram.max() as f64 / 1e6,
        })
    }

    /// The same in little memory.
    pub fn pack(self) -> PackedTimes {
        match &self.histogram {
            None => PackedTimes::Whole(self),
            Some(histogram) => match encode(histogram) {
                Ok(bytes) => PackedTimes::Packed { bytes, sum_ns: self.sum_ns },
                Err(_) => PackedTimes::Whole(self),
            },
        }
    }

    fn histogram(&mut self) -> Option<&mut Histogram<u64>> {
        if self.histogram.is_none() {
            // Starts small and grows with its largest value, up to `MAX_NS`.
            self.histogram = Some(Box::new(Histogram::new(SIGNIFICANT_DIGITS).ok()?));
        }
        self.histogram.as_deref_mut()
    }
}

/// [`Times`] that nothing is added to for a while.
#[derive(Debug, Clone)]
pub enum PackedTimes {
    /// Compressed.
    Packed {
        /// HdrHistogram's compressed V2 encoding.
        bytes: Vec<u8>,
        /// The exact sum.
        sum_ns: u128,
    },
    /// As they were: empty, or not to be compressed.
    Whole(Times),
}

impl PackedTimes {
    /// As they were.
    pub fn unpack(self) -> Times {
        match self {
            // What was encoded a moment ago can be decoded.
            Self::Packed { bytes, sum_ns } => {
                Times { histogram: decode(&bytes).ok().map(Box::new), sum_ns }
            }
            Self::Whole(times) => times,
        }
    }

    /// Memory that it takes on the heap, about.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Packed { bytes, .. } => bytes.capacity(),
            Self::Whole(times) => {
                let histogram = times.histogram.as_ref();
                histogram.map_or(0, |histogram| histogram.distinct_values() * size_of::<u64>())
            }
        }
    }
}

fn encode(histogram: &Histogram<u64>) -> Result<Vec<u8>, V2DeflateSerializeError> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes)?;
    bytes.shrink_to_fit();
    Ok(bytes)
}

fn decode(mut bytes: &[u8]) -> Result<Histogram<u64>, DeserializeError> {
    let mut histogram: Histogram<u64> = HdrReader::new().deserialize(&mut bytes)?;
    // Grows with its largest value, as those that were not read do.
    histogram.auto(true);
    Ok(histogram)
}

/// How [`Times`] are saved: HdrHistogram's compressed V2 encoding in base64, which its tools in other
/// languages read, and the exact sum beside it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Histogram")]
struct SavedTimes {
    /// How many durations it holds.
    count: u64,
    /// Their sum, in nanoseconds.
    sum_ns: u64,
    /// The histogram; empty without durations.
    hdr_v2_deflate: String,
}

impl JsonSchema for Times {
    fn schema_name() -> Cow<'static, str> {
        SavedTimes::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        SavedTimes::json_schema(generator)
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.histogram.as_ref().map(|histogram| encode(histogram)).transpose();
        let bytes = bytes.map_err(ser::Error::custom)?.unwrap_or_default();
        SavedTimes {
            count: self.count(),
            sum_ns: u64::try_from(self.sum_ns).unwrap_or(u64::MAX),
            hdr_v2_deflate: BASE64.encode(bytes),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = SavedTimes::deserialize(deserializer)?;
        if saved.hdr_v2_deflate.is_empty() {
            return Ok(Self::default());
        }
        let bytes = BASE64.decode(&saved.hdr_v2_deflate).map_err(de::Error::custom)?;
        let histogram = decode(&bytes);
        let histogram =
            histogram.map_err(|error| de::Error::custom(format!("a histogram: {error}")))?;
        if histogram.len() != saved.count {
            let (is, said) = (histogram.len(), saved.count);
            return Err(de::Error::custom(format!("a histogram holds {is} values, not {said}")));
        }
        Ok(Self { histogram: Some(Box::new(histogram)), sum_ns: saved.sum_ns.into() })
    }
}

fn ns(value: Duration) -> u64 {
    u64::try_from(value.as_nanos()).unwrap_or(MAX_NS).min(MAX_NS)
}

/// A histogram in a few figures, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Number of durations.
    pub count: u64,
    /// Arithmetic mean.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub mean_ms: f64,
    /// Least.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub min_ms: f64,
    /// Median.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub p50_ms: f64,
    /// 90th percentile.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub p90_ms: f64,
    /// 99th percentile.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub p99_ms: f64,
    /// 99.9th percentile.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub p999_ms: f64,
    /// Greatest.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub max_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_even_spread_is_recorded_as_if_one_by_one(
            low in 0u64..2_000_000_000, span in 0u64..500_000_000, count in 1u64..3_000,
        ) {
            let high = low + span;
            let (mut at_once, mut singly) = (Times::default(), Times::default());
            at_once.record_evenly(Duration::from_nanos(low), Duration::from_nanos(high), count);
            for i in 0..count {
                let value = low + (span * i).checked_div(count - 1).unwrap_or(0);
                singly.record(Duration::from_nanos(value));
            }
            prop_assert_eq!(at_once.count(), count);
            prop_assert!(at_once.buckets().eq(singly.buckets()));
        }

        #[test]
        fn merging_is_recording_both(
            a in prop::collection::vec(0u64..10_000_000_000, 0..50),
            b in prop::collection::vec(0u64..10_000_000_000, 0..50),
        ) {
            let times = |values: &[u64]| {
                let mut times = Times::default();
                values.iter().for_each(|ns| times.record(Duration::from_nanos(*ns)));
                times
            };
            let mut merged = times(&a);
            merged.merge(&times(&b));
            let all = times(&[a, b].concat());
            prop_assert!(merged.buckets().eq(all.buckets()));
            prop_assert_eq!(merged.sum_ns, all.sum_ns);
        }
    }

    #[test]
    fn packed_times_are_the_same_and_can_grow_again() {
        let mut times = Times::default();
        (1..500).for_each(|ms| times.record(Duration::from_micros(ms * 37)));
        let packed = times.clone().pack();
        assert!(packed.bytes() < 2_000, "{}", packed.bytes());
        let mut unpacked = packed.unpack();
        for times in [&mut times, &mut unpacked] {
            times.record(Duration::from_secs(3_000));
        }
        assert!(unpacked.buckets().eq(times.buckets()));
        assert_eq!(unpacked.sum_ns, times.sum_ns);
        assert_eq!(Times::default().pack().unpack().count(), 0);
    }

    #[test]
    fn beyond_the_bound_is_recorded_at_the_bound() {
        let mut times = Times::default();
        times.record(Duration::from_secs(1_000_000));
        assert_eq!(times.count(), 1);
        assert!(times.quantile(1.0).unwrap() > Duration::from_secs(4_000));
    }
}
