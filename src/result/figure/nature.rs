//! What a figure is when runs are compared.

use super::Figure;

/// What a figure is when runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nature {
    /// How.
    pub how: How,
    /// Which way is good.
    pub better: Better,
    /// Whether it is looked at without being asked for.
    pub leads: bool,
}

/// How runs are compared by a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It varies from run to run: by the ratio of several.
    Ratio,
    /// A run has it right or has not: one that has not tells.
    Exact,
    /// Not at all: it counts what was done, or bounds another figure of the same run.
    Aside,
}

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Less is.
    Less,
    /// More is.
    More,
}

impl Figure {
    /// What it is when runs are compared.
    pub fn nature(&self) -> Nature {
        let of = |how, better, leads| Nature { how, better, leads };
        // What follows the names of step, query and arm.
        match self.name.rsplit('.').next().unwrap_or_default() {
            "rate_ratio" | "delivered_ratio" | "gpu_proven" => {
                of(How::Exact, Better::More, self.name == "rate_ratio")
            }
            "rows_lost" | "rows_doubled" | "rows_altered" | "rows_dropped" | "rows_undecided"
            | "errors" | "answers_different" => {
                of(How::Exact, Better::Less, !self.name.contains('.'))
            }
            "batches_sync_unconfirmed"
            | "outages"
            | "outage_max_s"
            | "clock_steps"
            | "query_errors"
            | "queries_dropped" => of(How::Exact, Better::Less, false),
            "executions" | "low" | "high" | "pairs" => of(How::Aside, Better::More, false),
            "rows_per_s" | "value" => of(How::Ratio, Better::More, true),
            "queries_per_s" => of(How::Ratio, Better::More, !self.name.contains('.')),
            _ => of(How::Ratio, Better::Less, LEADING.contains(&self.name)),
        }
    }
}

/// Durations and costs that are looked at without being asked for: the middle, and no tail that a few
/// samples decide.
const LEADING: [&str; 9] = [
    "response_p50_ms",
    "response_p99_ms",
    "row_latency_p99_ms",
    "answer_age_p99_ms",
    "wal_bytes_per_row",
    "backend_cpu_us_per_row",
    "joules_per_query",
    "query.QUERY.ARM.p50_ms",
    "query.QUERY.best_ms",
];

#[cfg(test)]
mod tests {
    use super::super::FIGURES;
    use super::*;

    #[test]
    fn what_a_figure_is_follows_from_its_unit() {
        for figure in FIGURES {
            let Nature { how, better, .. } = figure.nature();
            let is_duration = figure.name.ends_with("_ms");
            assert!(!is_duration || (how, better) == (How::Ratio, Better::Less), "{}", figure.name);
            let is_rate = figure.name.ends_with("_per_s");
            assert!(!is_rate || (how, better) == (How::Ratio, Better::More), "{}", figure.name);
            let counts =
                figure.help.contains(" that failed") || figure.name.starts_with("rows_lost");
            assert!(!counts || how == How::Exact, "{}", figure.name);
        }
        assert!(LEADING.iter().all(|name| FIGURES.iter().any(|figure| figure.name == *name)));
    }
}
