//! A figure in its unit, which its name ends with.

use crate::quantity::{
    format_bytes, format_count, format_digits, format_ms, format_rate, format_ratio, format_seconds,
};

/// A figure that thresholds may name, as people read it.
pub(super) fn shown(name: &str, number: f64) -> String {
    let last = name.rsplit('.').next().unwrap_or_default();
    match last {
        "joules_per_query" => format!("{} J", format_digits(number)),
        "value" | "low" | "high" => format!("{}×", format_ratio(number)),
        "rate_ratio" | "delivered_ratio" | "gpu_proven" => format!("{number:.4}"),
        "wal_bytes_per_row" => format_bytes(number.max(0.0).round() as u64),
        "backend_cpu_us_per_row" => format_ms(number / 1e3),
        _ if last.ends_with("_ms") => format_ms(number),
        _ if last.ends_with("_per_s") => format_rate(number),
        _ if last.ends_with("_s") => format_seconds(number),
        _ => format_count(number.max(0.0).round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_figure_reads_in_its_unit() {
        let all = [
            ("response_p99_ms", 10.94),
            ("query.sum.off.p50_ms", 1_250.0),
            ("step.a.ratio.sum.value", 3.8333),
            ("rows_per_s", 2_999.6),
            ("rate_ratio", 0.999_94),
            ("rows_dropped", 1_200.0),
            ("outage_max_s", 2.5),
            ("joules_per_query", 9.9996),
            ("wal_bytes_per_row", 181.6),
            ("backend_cpu_us_per_row", 9.634),
        ];
        let shown: Vec<String> = all.iter().map(|(name, number)| shown(name, *number)).collect();
        insta::assert_snapshot!(shown.join(", "), @"10.9 ms, 1.25 s, 3.83×, 3,000/s, 0.9999, 1,200, 2.5 s, 10.0 J, 182 B, 9.63 µs");
    }
}
