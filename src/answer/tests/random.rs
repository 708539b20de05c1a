//! Answers as they may be: small ones of any values, and sums of floats in two orders of addition.

use proptest::prelude::*;

use super::{FLOAT8, NUMERIC, Values, columns as of_kinds};
use crate::answer::{Column, Kind, Number};
use crate::random::output;

pub(super) fn columns() -> Vec<Column> {
    of_kinds(&[("a", Kind::Plain), ("b", NUMERIC), ("c", FLOAT8)])
}

pub(super) fn answer() -> impl Strategy<Value = Vec<Values>> {
    let text = prop_oneof![Just(None), "[ab]".prop_map(Some)];
    let number = prop_oneof![
        Just(None),
        (-50..50_i32).prop_map(|n| Some(format!("{n}.25"))),
        (1..5_i32).prop_map(|n| Some(n.to_string())),
    ];
    let row = (text, number.clone(), number).prop_map(|(a, b, c)| vec![a, b, c]);
    proptest::collection::vec(row, 0..60)
}

pub(super) fn shuffled(rows: &[Values], seed: u64) -> Vec<Values> {
    let mut shuffled = rows.to_vec();
    for at in (1..shuffled.len()).rev() {
        shuffled.swap(at, (output(seed, at as u64) >> 33) as usize % (at + 1));
    }
    shuffled
}

/// The query whose answers are made here.
pub(super) const SUMS: &str = "SELECT g, count(*) AS n, sum(x) AS total, avg(x) AS mean, \
     stddev(x) AS spread, covar_pop(x, y) AS with_other, array_agg_sums(x) AS all_of, \
     jsonb_build_object('total', sum(x)) AS json FROM t GROUP BY g";

pub(super) fn sums() -> Vec<Column> {
    of_kinds(&[
        ("g", Kind::Plain),
        ("n", Kind::Plain),
        ("total", FLOAT8),
        ("mean", FLOAT8),
        ("spread", FLOAT8),
        ("with_other", FLOAT8),
        ("all_of", Kind::Numbers(Number::Float8)),
        ("json", Kind::Mixed),
    ])
}

/// What is summed up: groups of values of some magnitude.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    seed: u64,
    groups: usize,
    values: usize,
    magnitude: i32,
    /// Whether each value comes with its negative, so that the sum is noise alone.
    cancels: bool,
}

impl Answer {
    pub(super) fn strategy() -> impl Strategy<Value = Self> {
        let all = (any::<u64>(), 1..30_usize, 2..200_usize, -3..4_i32, any::<bool>());
        all.prop_map(|(seed, groups, values, magnitude, cancels)| Self {
            seed,
            groups,
            values,
            magnitude,
            cancels,
        })
    }

    /// Summed from the first value to the last, and as two workers would.
    pub(super) fn both_ways(&self) -> [Vec<Values>; 2] {
        let rows = |in_order: bool| {
            let groups = (0..self.groups).map(|group| self.group(group as u64, in_order));
            groups.collect::<Vec<_>>()
        };
        let second = shuffled(&rows(false), self.seed);
        [rows(true), second]
    }

    fn group(&self, group: u64, in_order: bool) -> Values {
        let value = |number: usize, of: u64| {
            let bits = output(self.seed ^ (group << 32) ^ of, number as u64 / 2);
            let unit = (bits >> 11) as f64 / (1_u64 << 53) as f64 - 0.3;
            let sign = if self.cancels && number % 2 == 1 { -1.0 } else { 1.0 };
            sign * unit * 10_f64.powi(self.magnitude)
        };
        let sum = |of: &dyn Fn(usize) -> f64| -> f64 {
            let values: Vec<f64> = (0..self.values / 2 * 2).map(of).collect();
            if in_order {
                return values.iter().sum();
            }
            let worker = |own: usize| values.iter().skip(own).step_by(2).rev().sum::<f64>();
            worker(1) + worker(0)
        };
        let count = (self.values / 2 * 2) as f64;
        let total = sum(&|at| value(at, 0));
        let mean = total / count;
        let spread = (sum(&|at| (value(at, 0) - mean).powi(2)) / (count - 1.0)).sqrt();
        let other = sum(&|at| value(at, 1)) / count;
        let covariance = sum(&|at| (value(at, 0) - mean) * (value(at, 1) - other)) / count;
        let texts = [
            format!("group {group}"),
            count.to_string(),
            total.to_string(),
            mean.to_string(),
            spread.to_string(),
            covariance.to_string(),
            format!("{{{total},{mean}}}"),
            format!("{{\"total\": {total}}}"),
        ];
        texts.into_iter().map(Some).collect()
    }
}
