//! Thresholds: `figure op number`, and the figures they may name.

use std::fmt;

use super::fault::suggest;
use super::resolver::Resolver;
use crate::profile::Located;

/// A condition on a figure of the result, for example `response_p99_ms < 50`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Name of the figure.
    pub figure: String,
    /// Comparison.
    pub op: ThresholdOp,
    /// Limit.
    pub limit: f64,
}

/// Comparison of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThresholdOp {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// A figure of the result that a threshold may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Name, with its unit.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
}

/// Every figure that a threshold may name.
pub const FIGURES: [Figure; 11] = [
    Figure { name: "response_p50_ms", help: "median from a batch's due time to its commit" },
    Figure { name: "response_p99_ms", help: "99th percentile from due time to commit" },
    Figure { name: "response_p999_ms", help: "99.9th percentile from due time to commit" },
    Figure { name: "response_max_ms", help: "longest time from due time to commit" },
    Figure { name: "wait_p99_ms", help: "99th percentile from due time to sending" },
    Figure { name: "service_p99_ms", help: "99th percentile from sending to commit" },
    Figure {
        name: "row_latency_p99_ms",
        help: "99th percentile from a row's due time to its commit",
    },
    Figure { name: "rate_ratio", help: "rows committed, as a share of the rows that were due" },
    Figure { name: "rows_dropped", help: "rows that were due and never sent" },
    Figure { name: "errors", help: "failed batches and queries" },
    Figure { name: "query_p99_ms", help: "99th percentile of the readers' queries" },
];

impl Resolver<'_> {
    pub(super) fn thresholds(&mut self, written: &mut [Located<String>]) -> Vec<Threshold> {
        let mut thresholds = Vec::new();
        for written in written {
            self.note_use(written);
            match parse_threshold(written) {
                Ok(threshold) => {
                    *written = threshold.to_string().into();
                    thresholds.push(threshold);
                }
                Err(bad) => self.report.at(&written.span(), bad.what, bad.fix),
            }
        }
        thresholds
    }
}

impl ThresholdOp {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether `value` meets `limit`.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.figure, self.op.symbol(), self.limit)
    }
}

/// What is wrong with a threshold, and how to mend it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ThresholdFault {
    pub(crate) what: String,
    pub(crate) fix: String,
}

pub(crate) fn parse_threshold(text: &str) -> Result<Threshold, ThresholdFault> {
    let wrong_form = |what: String| ThresholdFault {
        what,
        fix: "write a figure, one of < <= > >=, and a number: \"response_p99_ms < 50\"".to_owned(),
    };
    let op_start = text
        .find(['<', '>', '='])
        .ok_or_else(|| wrong_form(format!("threshold `{text}` compares nothing")))?;
    let (figure, rest) = text.split_at(op_start);
    let limit_start = rest.find(|c| !matches!(c, '<' | '>' | '=')).unwrap_or(rest.len());
    let (op, limit) = rest.split_at(limit_start);
    let (figure, limit) = (figure.trim(), limit.trim());
    let op = match op {
        "<" => ThresholdOp::Below,
        "<=" => ThresholdOp::AtMost,
        ">" => ThresholdOp::Above,
        ">=" => ThresholdOp::AtLeast,
        _ => return Err(wrong_form(format!("`{op}` is not a comparison"))),
    };
    if !FIGURES.iter().any(|known| known.name == figure) {
        return Err(ThresholdFault {
            what: format!("threshold names an unknown figure `{figure}`"),
            fix: suggest(figure, FIGURES.iter().map(|known| known.name)),
        });
    }
    match limit.parse::<f64>() {
        Ok(limit) if limit.is_finite() => Ok(Threshold { figure: figure.to_owned(), op, limit }),
        _ => Err(wrong_form(format!("`{limit}` is not a number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_reads_back() {
        for text in
            ["response_p99_ms < 50", "rate_ratio >= 0.99", "errors <= 0", "rows_dropped > 1"]
        {
            assert_eq!(parse_threshold(text).unwrap().to_string(), text);
        }
        assert_eq!(parse_threshold("errors<=0").unwrap().to_string(), "errors <= 0");
    }

    #[test]
    fn a_bad_threshold_is_explained() {
        let fix = |text| parse_threshold(text).unwrap_err().fix;
        assert_eq!(fix("response_p9_ms < 50"), "did you mean `response_p99_ms`?");
        for text in ["", "errors", "errors == 0", "errors < many", "errors < inf", "errors <"] {
            assert!(fix(text).starts_with("write a figure"), "{text}");
        }
    }

    #[test]
    fn comparisons_hold_at_their_edges() {
        use ThresholdOp::{Above, AtLeast, AtMost, Below};
        let at_edge = [Below, AtMost, Above, AtLeast].map(|op| op.holds(1.0, 1.0));
        assert_eq!(at_edge, [false, true, false, true]);
    }
}
