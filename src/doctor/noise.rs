//! What the noise of a server lets one see: from pairs in which both arms are the same. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::FORMAT_VERSION;
use crate::quantity::{format_counted, format_ratio, format_seconds};
use crate::stats::{Comparison, PAIRS_LEAST, Pair, Settings, holm, paired_ratio, smallest_ratio};

/// Numbers of pairs for which it is said what they would show: the fewest of a direction, and more.
const PAIRS: [usize; 3] = [30, 100, 300];

/// The noise of a server, by the queries of a profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoiseReport {
    /// Version of this form.
    pub format_version: u32,
    /// Version of the program.
    pub strom_load_version: &'static str,
    /// The profile.
    pub profile: String,
    /// The server, without a password.
    pub server: String,
    /// How long each query was measured, in seconds.
    pub query_s: f64,
    /// Each query.
    pub queries: Vec<QueryNoise>,
}

/// The noise of a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryNoise {
    /// Its name.
    pub query: String,
    /// The arm that it ran in twice.
    pub arm: String,
    /// The arm compared with itself; `None` without a pair.
    pub times: Option<Comparison>,
    /// How long a pair takes, in seconds.
    pub pair_s: Option<f64>,
    /// Whether the arm came out as faster or slower than itself: then the server is in states that last.
    pub has_states: bool,
    /// The least difference that so many pairs would show.
    pub shown: Vec<Shown>,
    /// What an execution failed of.
    pub error: Option<String>,
}

/// The least difference that so many pairs would show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// The pairs.
    pub pairs: usize,
    /// The least ratio above 1; `None`: none, or there were too few pairs to tell.
    pub ratio: Option<f64>,
    /// How long those pairs take, in seconds.
    pub takes_s: f64,
}

impl NoiseReport {
    /// Of what was measured for `time` a query: its name, its arm, the pairs of that with itself, and what an
    /// execution failed of.
    pub fn of(
        profile: String,
        server: String,
        time: Duration,
        measured: Vec<(String, String, Vec<Pair>, Option<String>)>,
    ) -> Self {
        let settings = Settings::default();
        let comparisons = measured.len();
        let mut queries: Vec<QueryNoise> = Vec::with_capacity(comparisons);
        for (query, arm, pairs, error) in measured {
            let ns: u64 = pairs.iter().map(|pair| pair.a_ns.saturating_add(pair.b_ns)).sum();
            let pair_s = (!pairs.is_empty()).then(|| ns as f64 / 1e9 / pairs.len() as f64);
            let shown = |at: usize| {
                let ratio = smallest_ratio(&pairs, at, comparisons, &settings);
                Some(Shown { pairs: at, ratio, takes_s: pair_s? * at as f64 })
            };
            let shown = PAIRS.into_iter().filter_map(shown).collect();
            let times = pair_s.map(|_| paired_ratio(&pairs, &settings));
            queries.push(QueryNoise { query, arm, times, pair_s, has_states: false, shown, error });
        }
        holm(queries.iter_mut().filter_map(|query| query.times.as_mut()), comparisons, &settings);
        for query in &mut queries {
            query.has_states = query.times.as_ref().is_some_and(Comparison::is_decided);
        }
        let strom_load_version = env!("CARGO_PKG_VERSION");
        let (format_version, query_s) = (FORMAT_VERSION, time.as_secs_f64());
        Self { format_version, strom_load_version, profile, server, query_s, queries }
    }

    /// The first query that was never measured, and why.
    pub fn not_measured(&self) -> Option<String> {
        let query = self.queries.iter().find(|query| query.times.is_none())?;
        let why = query.error.as_deref().unwrap_or("it was not answered");
        Some(format!("`{}` was not measured: {why}", query.query))
    }

    /// For people.
    pub fn text(&self) -> String {
        let time = format_seconds(self.query_s);
        let mut text = format!(
            "noise of the queries of `{}`: the same arm against itself, {time} a query\n{}\n",
            self.profile, self.server
        );
        for query in &self.queries {
            query.write(&mut text);
        }
        text
    }
}

impl QueryNoise {
    /// A few lines; writing to a String cannot fail.
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "\n{} ({})", self.query, self.arm);
        if let Some(error) = &self.error {
            let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(text, "  failed: {error}");
        }
        let Some((times, pair_s)) = self.times.as_ref().zip(self.pair_s) else { return };
        let ratio = match (times.ratio, times.low, times.high) {
            (Some(ratio), Some(low), Some(high)) => {
                let [ratio, low, high] = [ratio, low, high].map(format_ratio);
                format!("{ratio} ({low} - {high})")
            }
            (ratio, ..) => ratio.map_or("-".to_owned(), format_ratio),
        };
        let pair = format_seconds(pair_s);
        let pairs = format_counted(times.pairs as u64, "pair", "pairs");
        let _ = writeln!(text, "  {pairs} of {pair}, ratio to itself {ratio}");
        if self.has_states {
            let _ = writeln!(
                text,
                "  IT DIFFERS FROM ITSELF: the server is in states that last, such as a clock, a cache or \
                 other load\n  fix: find them and measure again; until then no verdict holds here"
            );
            return;
        }
        if times.pairs < PAIRS_LEAST {
            let _ = writeln!(
                text,
                "  too few pairs to foretell anything\n  fix: give it more time, as in --noise=60s"
            );
            return;
        }
        for Shown { pairs, ratio, takes_s } in &self.shown {
            let takes = format_seconds(*takes_s);
            let _ = match ratio {
                Some(ratio) => {
                    let ratio = format_ratio(*ratio);
                    writeln!(text, "  {pairs} pairs, about {takes}, show a ratio from {ratio} on")
                }
                None => {
                    writeln!(text, "  {pairs} pairs, about {takes}, show no ratio, however large")
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(pairs: &[Vec<Pair>]) -> NoiseReport {
        let of = |(number, pairs): (usize, &Vec<Pair>)| {
            (format!("q{number}"), "off".to_owned(), pairs.clone(), None)
        };
        let measured = pairs.iter().enumerate().map(of).collect();
        NoiseReport::of("p".to_owned(), "host=db".to_owned(), Duration::from_secs(10), measured)
    }

    fn wave(parts: f64, pairs: usize) -> Vec<Pair> {
        // Without a trend and without a state: each other pair the other way, by unlike parts.
        let pair = |at: usize| {
            let by = parts * [1.0, -0.6, 0.3, -1.0, 0.7, -0.4][at % 6];
            Pair { a_ns: (1e7 * (1.0 + by)) as u64, b_ns: 10_000_000 }
        };
        (0..pairs).map(pair).collect()
    }

    #[test]
    fn more_pairs_and_less_noise_show_smaller_differences() {
        let found = report(&[wave(0.05, 60), wave(0.2, 60)]);
        let ratios = |at: usize| {
            let shown = found.queries[at].shown.iter();
            shown.map(|shown| shown.ratio.unwrap_or(f64::INFINITY)).collect::<Vec<_>>()
        };
        for query in [0, 1] {
            assert!(ratios(query).is_sorted_by(|few, many| few > many), "{:?}", ratios(query));
        }
        assert!(ratios(0)[1] < ratios(1)[1]);
        assert!(found.queries.iter().all(|query| !query.has_states));
        // A pair is 20 ms.
        let takes: Vec<f64> = found.queries[0].shown.iter().map(|shown| shown.takes_s).collect();
        assert!(takes.iter().zip([0.6, 2.0, 6.0]).all(|(own, of)| (own / of - 1.0).abs() < 0.05));
        assert_eq!(found.not_measured(), None);
    }

    #[test]
    fn an_arm_that_differs_from_itself_is_in_states() {
        let states = vec![Pair { a_ns: 13_000_000, b_ns: 10_000_000 }; 60];
        let found = report(&[states, Vec::new(), wave(0.05, 5)]);
        let has_states: Vec<bool> = found.queries.iter().map(|query| query.has_states).collect();
        assert_eq!(has_states, [true, false, false]);
        assert_eq!(found.not_measured().unwrap(), "`q1` was not measured: it was not answered");
        insta::assert_snapshot!(found.text());
        insta::assert_snapshot!("seen", report(&[wave(0.05, 60)]).text());
    }
}
