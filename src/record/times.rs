//! Histograms of durations: nanoseconds, three significant digits (HdrHistogram).

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, general_purpose::PAD};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{
    DeserializeError, Deserializer as HdrReader, Serializer as _, V2DeflateSerializeError,
    V2DeflateSerializer,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::interval::ranks;

/// Values above are recorded as this. 2^42 ns, 73 minutes: beyond any bound on a wait here.
const MAX_NS: u64 = 1 << 42;
/// What a histogram that is kept for all of a run has room for from the start: 34 s, more than it takes to
/// notice that a network is gone. With that a run does not take more memory after its first outage.
/// Longer waits make it grow, up to [`MAX_NS`].
const ROOM_NS: u64 = 1 << 35;
/// Padded, as other readers of HdrHistogram's encoding want it; what was saved without is read, too.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of durations. Takes no memory until something is recorded, unless it was given room.
#[derive(Debug, Clone, Default)]
pub struct Times {
    histogram: Option<Box<Histogram<u64>>>,
    sum_ns: u128,
    censored: Censored,
}

/// Durations of which only a part is known: what was given up had lasted that long, and would have
/// taken longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Censored {
    count: u64,
    /// The least of them, in nanoseconds; 0 without any.
    least_ns: u64,
}

impl Censored {
    fn merge(&mut self, other: Self) {
        self.least_ns = match (self.count, other.count) {
            (_, 0) => self.least_ns,
            (0, _) => other.least_ns,
            _ => self.least_ns.min(other.least_ns),
        };
        self.count += other.count;
    }
}

impl Times {
    /// None yet, with room for what a run mostly meets.
    pub fn with_room() -> Self {
        let histogram = Histogram::new_with_max(ROOM_NS, SIGNIFICANT_DIGITS).ok();
        let roomy = |mut histogram: Histogram<u64>| {
            histogram.auto(true);
            Box::new(histogram)
        };
        Self { histogram: histogram.map(roomy), ..Self::default() }
    }

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

    /// Adds one duration of at least `value`: of what was given up after that long.
    pub fn record_at_least(&mut self, value: Duration) {
        self.record_evenly_at_least(value, value, 1);
    }

    /// Adds `count` durations of at least these: evenly spaced from `low` to `high`, both included.
    pub fn record_evenly_at_least(&mut self, low: Duration, high: Duration, count: u64) {
        if count > 0 {
            self.censored.merge(Censored { count, least_ns: ns(low) });
            self.record_evenly(low, high, count);
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
        self.censored.merge(other.censored);
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
        let count = histogram.len();
        // A rank is aimed at in its middle: a quantile of just that rank may be rounded up to the next.
        let of_rank = |rank: u64| ms((rank as f64 - 0.5) / count as f64);
        let between =
            |quantile| ranks(count, quantile).map(|(low, high)| [of_rank(low), of_rank(high)]);
        Some(Percentiles {
            censored: self.censored.count,
            censored_from_ms: (self.censored.count > 0)
                .then_some(self.censored.least_ns as f64 / 1e6),
            intervals: Intervals {
                p50_ms: between(0.5),
                p90_ms: between(0.9),
                p99_ms: between(0.99),
                p999_ms: between(0.999),
            },
            count,
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
                Ok(bytes) => {
                    let Self { sum_ns, censored, .. } = self;
                    PackedTimes::Packed(Packed { bytes, sum_ns, censored })
                }
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
    Packed(Packed),
    /// As they were: empty, or not to be compressed.
    Whole(Times),
}

/// Compressed [`Times`].
#[derive(Debug, Clone)]
pub struct Packed {
    /// HdrHistogram's compressed V2 encoding.
    bytes: Vec<u8>,
    sum_ns: u128,
    censored: Censored,
}

impl PackedTimes {
    /// As they were.
    pub fn unpack(self) -> Times {
        match self {
            // What was encoded a moment ago can be decoded.
            Self::Packed(Packed { bytes, sum_ns, censored }) => {
                Times { histogram: decode(&bytes).ok().map(Box::new), sum_ns, censored }
            }
            Self::Whole(times) => times,
        }
    }

    /// Memory that it takes on the heap, about.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.bytes.capacity(),
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
    /// How many of them are only known to have been at least that long: of what was given up.
    #[serde(default, skip_serializing_if = "is_zero")]
    censored: u64,
    /// The least of those, in nanoseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    censored_from_ns: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
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
        let some = self.histogram.as_ref().filter(|histogram| !histogram.is_empty());
        let bytes = some.map(|histogram| encode(histogram)).transpose();
        let bytes = bytes.map_err(ser::Error::custom)?.unwrap_or_default();
        SavedTimes {
            count: self.count(),
            sum_ns: u64::try_from(self.sum_ns).unwrap_or(u64::MAX),
            hdr_v2_deflate: BASE64.encode(bytes),
            censored: self.censored.count,
            censored_from_ns: self.censored.least_ns,
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
        let censored = Censored { count: saved.censored, least_ns: saved.censored_from_ns };
        Ok(Self { histogram: Some(Box::new(histogram)), sum_ns: saved.sum_ns.into(), censored })
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
    /// How many of the durations are only known to have been at least as long as they are counted: of
    /// what was dropped, undecided, cut off or timed out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub censored: u64,
    /// The least of those. A percentile from here on is a lower bound: the true one is at least that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub censored_from_ms: Option<f64>,
    /// Where the true percentiles lie with 95 % probability.
    #[serde(default)]
    pub intervals: Intervals,
}

/// Between which durations the true percentile lies with 95 % probability, if the samples are
/// independent: two order statistics. `null` where too few samples lie beyond it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PercentileIntervals")]
pub struct Intervals {
    /// Of the median.
    #[serde(default, deserialize_with = "both_or_none")]
    pub p50_ms: Option<[f64; 2]>,
    /// Of the 90th percentile.
    #[serde(default, deserialize_with = "both_or_none")]
    pub p90_ms: Option<[f64; 2]>,
    /// Of the 99th percentile.
    #[serde(default, deserialize_with = "both_or_none")]
    pub p99_ms: Option<[f64; 2]>,
    /// Of the 99.9th percentile.
    #[serde(default, deserialize_with = "both_or_none")]
    pub p999_ms: Option<[f64; 2]>,
}

/// What is no number is saved as `null`, and makes no interval.
fn both_or_none<'de, D: Deserializer<'de>>(ends: D) -> Result<Option<[f64; 2]>, D::Error> {
    let ends = Option::<[Option<f64>; 2]>::deserialize(ends)?;
    Ok(ends.and_then(|[low, high]| Some([low?, high?])))
}

impl Percentiles {
    /// Whether this one of its values is a lower bound: something was given up before it took so long.
    pub fn is_at_least(&self, ms: f64) -> bool {
        self.censored_from_ms.is_some_and(|from_ms| ms >= from_ms)
    }
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
    fn what_was_given_up_counts_with_its_age_and_makes_lower_bounds() {
        let s = Duration::from_secs;
        let (mut answered, mut given_up) = (Times::default(), Times::default());
        (0..60).for_each(|_| answered.record(Duration::from_millis(10)));
        given_up.record_evenly_at_least(s(2), s(5), 40);
        answered.merge(&given_up);
        answered.merge(&Times::default());
        let saved = serde_json::to_string(&answered).unwrap();
        let read: Times = serde_json::from_str(&saved).unwrap();
        for times in [answered.clone(), read, answered.pack().unpack()] {
            let of = times.percentiles().unwrap();
            assert_eq!((of.count, of.censored, of.censored_from_ms), (100, 40, Some(2_000.0)));
            let bounds = [of.p50_ms, of.p90_ms, of.max_ms].map(|ms| of.is_at_least(ms));
            assert_eq!(bounds, [false, true, true]);
            assert!(of.p90_ms > 4_000.0, "{of:?}");
        }
    }

    #[test]
    fn an_interval_is_of_the_samples_and_null_where_there_are_too_few() {
        let mut times = Times::default();
        (1..=100).for_each(|ms| times.record(Duration::from_millis(ms)));
        let of = times.percentiles().unwrap().intervals;
        let [low, high] = of.p50_ms.unwrap();
        assert!((low / 40.0 - 1.0).abs() < 2e-3 && (high / 61.0 - 1.0).abs() < 2e-3, "{of:?}");
        assert_eq!((of.p99_ms, of.p999_ms), (None, None));
    }

    #[test]
    fn room_is_no_duration_and_is_not_saved() {
        let mut times = Times::with_room();
        assert_eq!((times.count(), times.percentiles()), (0, None));
        let saved = |times: &Times| serde_json::to_value(times).unwrap();
        assert_eq!(saved(&times), saved(&Times::default()));
        let before = times.histogram.as_ref().unwrap().distinct_values();
        let mut few = Times::default();
        few.record(Duration::from_secs(30));
        times.merge(&few);
        assert_eq!(times.histogram.as_ref().unwrap().distinct_values(), before);
        times.record(Duration::from_secs(300));
        assert_eq!(times.count(), 2);
    }

    #[test]
    fn beyond_the_bound_is_recorded_at_the_bound() {
        let mut times = Times::default();
        times.record(Duration::from_secs(1_000_000));
        assert_eq!(times.count(), 1);
        assert!(times.quantile(1.0).unwrap() > Duration::from_secs(4_000));
    }
}
