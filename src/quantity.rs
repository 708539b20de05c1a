//! Quantities as people type and read them: rates, counts and durations; and numbers in files.
//!
//! Parsing is exact: `1.005k` is 1005, not 1004.999…; formatting rounds for the eye.

mod saved;

use std::time::Duration;

pub use saved::{each_or_nan, number_or_nan, numbers_or_nan};

/// A rate as typed: so many a second, or as many as the server takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// Events per second, finite and not negative.
    PerSecond(f64),
    /// Unthrottled.
    Max,
}

/// How long a run lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunLength {
    /// For this long.
    For(Duration),
    /// Until it is stopped.
    Forever,
}

/// How often something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// Each time that this has passed.
    Each(Duration),
    /// Not at all.
    Off,
}

/// The text is not the quantity that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}; write {examples}")]
pub struct QuantityError {
    text: String,
    wanted: &'static str,
    examples: &'static str,
}

/// Parses `100ms`, `1s` or `off`.
pub fn parse_cadence(text: &str) -> Result<Cadence, QuantityError> {
    if text.trim() == "off" {
        return Ok(Cadence::Off);
    }
    duration(text).map(Cadence::Each).ok_or_else(|| QuantityError {
        text: text.to_owned(),
        wanted: "a duration",
        examples: "a number and its unit such as 100ms or 1s, or `off`",
    })
}

/// Units of time and their length in nanoseconds.
const TIME_UNITS: [(&[&str], u64); 7] = [
    (&["ns"], 1),
    (&["us", "µs", "μs"], 1_000),
    (&["ms"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000_000_000),
    (&["h", "hr", "hour", "hours"], 3_600_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
];

/// Largest count: every whole number up to here is exact in an `f64`.
const COUNT_MAX: f64 = 9_007_199_254_740_992.0;

/// Parses `3000`, `30k`, `1.5M` or `max`, per second.
pub fn parse_rate(text: &str) -> Result<Rate, QuantityError> {
    if text.trim() == "max" {
        return Ok(Rate::Max);
    }
    magnitude(text).map(Rate::PerSecond).ok_or_else(|| QuantityError {
        text: text.to_owned(),
        wanted: "a rate",
        examples: "a number per second such as 3000, 30k or `max`",
    })
}

/// Parses a whole number of things: `1000`, `50M`, `1.5k`.
pub fn parse_count(text: &str) -> Result<u64, QuantityError> {
    magnitude(text)
        .filter(|count| count.fract() == 0.0 && *count <= COUNT_MAX)
        .map(|count| count as u64)
        .ok_or_else(|| QuantityError {
            text: text.to_owned(),
            wanted: "a count",
            examples: "a whole number such as 1000, 20k or 50M",
        })
}

/// Parses a factor: `4`, `1.5`.
pub fn parse_factor(text: &str) -> Result<f64, QuantityError> {
    magnitude(text).ok_or_else(|| QuantityError {
        text: text.to_owned(),
        wanted: "a factor",
        examples: "a number such as 4 or 1.5",
    })
}

/// Parses `30s`, `500ms`, `0.5s` or `1h30m`.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    duration(text).ok_or_else(|| QuantityError {
        text: text.to_owned(),
        wanted: "a duration",
        examples: "a number and its unit such as 30s, 500ms or 1h30m",
    })
}

/// Parses a duration, or `forever`.
pub fn parse_run_length(text: &str) -> Result<RunLength, QuantityError> {
    if text.trim() == "forever" {
        return Ok(RunLength::Forever);
    }
    duration(text).map(RunLength::For).ok_or_else(|| QuantityError {
        text: text.to_owned(),
        wanted: "a duration",
        examples: "a number and its unit such as 30s, 500ms or 1h30m, or `forever`",
    })
}

/// A decimal number with an optional suffix `k`, `M` or `G`.
fn magnitude(text: &str) -> Option<f64> {
    let text = text.trim();
    let (digits, exponent) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 3),
        b'M' => (&text[..text.len() - 1], 6),
        b'G' => (&text[..text.len() - 1], 9),
        _ => (text, 0),
    };
    let digits = digits.trim_end().replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    // The exponent is applied by the decimal parser, which rounds once: multiplying would round twice.
    format!("{digits}e{exponent}").parse().ok().filter(|value: &f64| value.is_finite())
}

fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total_ns: u64 = 0;
    loop {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let after = after.trim_start();
        let unit_end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, unit_ns) = TIME_UNITS.iter().find(|(names, _)| names.contains(&unit))?;
        total_ns = total_ns.checked_add(in_ns(number, *unit_ns)?)?;
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(Duration::from_nanos(total_ns));
        }
    }
}

/// `number` units of `unit_ns`, in whole nanoseconds; what is finer is cut off.
fn in_ns(number: &str, unit_ns: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    // No unit is longer than 10^14 ns, so further digits are below a nanosecond.
    let fraction = &fraction[..fraction.len().min(18)];
    let parts = fraction.parse::<u128>().ok()? * u128::from(unit_ns);
    let fraction_ns = parts / 10_u128.pow(fraction.len() as u32);
    let whole_ns = whole.parse::<u64>().ok()?.checked_mul(unit_ns)?;
    whole_ns.checked_add(fraction_ns as u64)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Three significant digits and the unit that suits: `850 ns`, `1.25 ms`, `3.2 s`; from two
/// minutes on in two units: `2 min 5 s`, `1 h 30 min`, `3 d 4 h`.
pub fn format_duration(duration: Duration) -> String {
    let ns = duration.as_nanos();
    let s = duration.as_secs();
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    // Each bound is where three digits would round up into the next unit.
    match ns {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{ns} ns"),
        1_000..999_500 => format!("{} µs", three_digits(ns as f64 / 1e3)),
        999_500..999_500_000 => format!("{} ms", three_digits(ns as f64 / 1e6)),
        _ if s < 120 => format!("{} s", three_digits(ns as f64 / 1e9)),
        _ if s < 7_200 => two(s / 60, "min", s % 60, "s"),
        _ if s < 172_800 => two(s / 3_600, "h", s % 3_600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

/// Milliseconds as [`format_duration`] writes them; `?` for what is no length of time.
pub fn format_ms(ms: f64) -> String {
    format_seconds(ms / 1e3)
}

/// Seconds as [`format_duration`] writes them; `?` for what is no length of time.
pub fn format_seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".to_owned(), format_duration)
}

/// Groups of three digits: `1,234,567`.
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its noun: `1 pair`, `1,200 pairs`.
pub fn format_counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", format_count(count), if count == 1 { one } else { many })
}

/// A count that need not be exact, three significant digits from 100,000 on: `98,304`, `1.02 M`.
pub fn format_about(count: u64) -> String {
    match count {
        0..100_000 => format_count(count),
        100_000..999_500 => format!("{} k", three_digits(count as f64 / 1e3)),
        999_500..999_500_000 => format!("{} M", three_digits(count as f64 / 1e6)),
        _ => format!("{} G", three_digits(count as f64 / 1e9)),
    }
}

/// A ratio: three significant digits, and three decimals near 1, where a difference of parts of a percent is
/// shown by many runs.
pub fn format_ratio(ratio: f64) -> String {
    match (0.9..1.0995).contains(&ratio) {
        true => format!("{ratio:.3}"),
        false => format_digits(ratio),
    }
}

/// Three significant digits, with zeros at the end: `0.100`, `18.7`, `1250`.
pub fn format_digits(number: f64) -> String {
    if !number.is_finite() || number.abs() < 1e-12 {
        return format!("{number:.2}");
    }
    // Three digits may round up to the next power of ten: it is that one's exponent which counts.
    let rounded = format!("{number:.2e}");
    let exponent = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok());
    format!("{number:.*}", usize::try_from(2 - exponent.unwrap_or(0)).unwrap_or(0))
}

/// Binary units, three significant digits: `512 B`, `1.5 GiB`.
pub fn format_bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // Where three digits would round up into the next unit.
    while value >= 1023.5 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), units[unit])
}

/// Events per second: grouped when large (`29,998/s`), with decimals when small (`0.5/s`).
pub fn format_rate(per_second: f64) -> String {
    if per_second >= 99.95 {
        format!("{}/s", format_count(per_second.round() as u64))
    } else {
        format!("{}/s", three_digits(per_second))
    }
}

/// At most three significant digits, without trailing zeros.
fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ratio_has_three_digits_and_more_near_1() {
        for (ratio, shown) in [
            (1_234.5, "1234"),
            (381.6, "382"),
            (38.123, "38.1"),
            (9.996, "10.0"),
            (3.8333, "3.83"),
            (1.0996, "1.10"),
            (1.0994, "1.099"),
            (1.004, "1.004"),
            (1.0, "1.000"),
            (0.9996, "1.000"),
            (0.996, "0.996"),
            (0.5, "0.500"),
            (0.1, "0.100"),
            (0.099_96, "0.100"),
            (0.0994, "0.0994"),
            (0.0043, "0.00430"),
            (0.000_123_4, "0.000123"),
            (0.0, "0.00"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_ratio(ratio), shown);
        }
    }

    #[test]
    fn large_counts_may_be_about() {
        for (count, shown) in [
            (0, "0"),
            (99_999, "99,999"),
            (123_456, "123 k"),
            (1_000_000, "1 M"),
            (6_049_000, "6.05 M"),
            (1_234_567_890, "1.23 G"),
        ] {
            assert_eq!(format_about(count), shown);
        }
    }

    #[test]
    fn rates_take_suffixes_and_decimals() {
        for (text, per_second) in
            [("3000", 3000.0), ("30k", 30e3), ("1.5M", 1.5e6), ("1.005k", 1005.0), ("0.5", 0.5)]
        {
            assert_eq!(parse_rate(text), Ok(Rate::PerSecond(per_second)), "{text}");
        }
        assert_eq!(parse_rate("max"), Ok(Rate::Max));
    }

    #[test]
    fn factors_have_no_unit() {
        assert_eq!(parse_factor("4"), Ok(4.0));
        assert_eq!(parse_factor("1.5"), Ok(1.5));
        let error = parse_factor("-2").unwrap_err().to_string();
        assert_eq!(error, "`-2` is not a factor; write a number such as 4 or 1.5");
    }

    #[test]
    fn what_is_no_rate_is_told_how_to_write_one() {
        for text in ["-5", "", "k", "1e3", "1.k", ".5", "nan", "inf", "3,000", "max!", "5µ"] {
            let error = parse_rate(text).unwrap_err().to_string();
            let wanted = "is not a rate; write a number per second such as 3000, 30k or `max`";
            assert_eq!(error, format!("`{text}` {wanted}"));
        }
    }

    #[test]
    fn counts_are_whole() {
        assert_eq!(parse_count("50M"), Ok(50_000_000));
        assert_eq!(parse_count("1_000"), Ok(1000));
        assert_eq!(parse_count("1.5k"), Ok(1500));
        assert!(parse_count("1.5").is_err());
        assert!(parse_count("10000000000G").is_err());
    }

    #[test]
    fn durations_take_units_decimals_and_sums() {
        for (text, ms) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("0.5s", 500),
            ("1h30m", 5_400_000),
            ("1h 30 min", 5_400_000),
            ("1.5d", 129_600_000),
            ("0", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(parse_duration("2.5us"), Ok(Duration::from_nanos(2_500)));
        assert_eq!(parse_run_length("forever"), Ok(RunLength::Forever));
        assert_eq!(parse_cadence("off"), Ok(Cadence::Off));
        assert_eq!(parse_cadence("1s"), Ok(Cadence::Each(Duration::from_secs(1))));
        assert!(parse_cadence("often").is_err());
    }

    #[test]
    fn what_is_no_duration_is_told_how_to_write_one() {
        for text in ["30", "-5s", "", "s", "5 parsecs", "1.s", "1..5s", "99999999999d", "forever"] {
            let error = parse_duration(text).unwrap_err().to_string();
            let wanted =
                "is not a duration; write a number and its unit such as 30s, 500ms or 1h30m";
            assert_eq!(error, format!("`{text}` {wanted}"));
        }
    }

    #[test]
    fn durations_read_well() {
        for (ns, text) in [
            (0, "0 s"),
            (850, "850 ns"),
            (999_499, "999 µs"),
            (999_500, "1 ms"),
            (1_250_000, "1.25 ms"),
            (100_000_000, "100 ms"),
            (999_999_999, "1 s"),
            (3_200_000_000, "3.2 s"),
            (60_000_000_000, "60 s"),
            (125_000_000_000, "2 min 5 s"),
            (7_200_000_000_000, "2 h"),
            (273_600_000_000_000, "3 d 4 h"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(ns)), text);
        }
    }

    #[test]
    fn counts_and_rates_read_well() {
        assert_eq!(format_counted(1, "query", "queries"), "1 query");
        assert_eq!(format_counted(1_200, "pair", "pairs"), "1,200 pairs");
        assert_eq!(format_count(0), "0");
        assert_eq!(format_count(999), "999");
        assert_eq!(format_count(1_234_567), "1,234,567");
        assert_eq!(format_rate(0.5), "0.5/s");
        assert_eq!(format_rate(99.96), "100/s");
        assert_eq!(format_rate(29_998.4), "29,998/s");
    }

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1 MiB"),
            (2 << 30, "2 GiB"),
            (85_029_158_912, "79.2 GiB"),
            (1 << 50, "1024 TiB"),
        ] {
            assert_eq!(format_bytes(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn any_whole_count_reads_back(count in 0..=COUNT_MAX as u64) {
            prop_assert_eq!(parse_count(&count.to_string()), Ok(count));
            prop_assert_eq!(format_count(count).replace(',', ""), count.to_string());
        }

        #[test]
        fn any_duration_reads_back_from_its_nanoseconds(ns in any::<u64>()) {
            let text = format!("{}.{:09}s", ns / 1_000_000_000, ns % 1_000_000_000);
            prop_assert_eq!(parse_duration(&text), Ok(Duration::from_nanos(ns)));
        }

        #[test]
        fn a_formatted_duration_reads_back_to_three_digits(ns in 1_u64..120_000_000_000) {
            let back = parse_duration(&format_duration(Duration::from_nanos(ns))).unwrap();
            prop_assert!(back.as_nanos().abs_diff(u128::from(ns)) as f64 <= ns as f64 * 0.005 + 0.5);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (parse_rate(&text), parse_count(&text), parse_run_length(&text));
        }
    }
}
