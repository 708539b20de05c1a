//! `executions.csv`, read back.

use std::collections::HashSet;
use std::io::BufRead;

use super::csv::records;
use super::lines::{Lines, Taken};

/// The executions of a folder.
#[derive(Debug, Clone, Default)]
pub struct Executions {
    /// Each query and arm that has one.
    pub arms: Vec<(String, String)>,
    /// The executions, by when they were written.
    pub all: Vec<Execution>,
}

/// An execution of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Execution {
    /// Its place in [`Executions::arms`].
    pub arm: usize,
    /// Who asked.
    pub reader: u32,
    /// How many executions it stands for.
    pub weight: u64,
    /// What tells the executions of a pair from others.
    pub block: u64,
    /// When it was sent, in seconds since the start of the schedule.
    pub start_s: f64,
    /// From sent to the last row, in seconds.
    pub service_s: f64,
    /// Whether it is one of a pair's samples.
    pub sample: bool,
    /// Whether it failed.
    pub failed: bool,
    /// Rows that the table had.
    pub rows: Option<u64>,
    /// How old its answer was, in milliseconds.
    pub answer_age_ms: Option<f64>,
}

/// Reads all that can be read.
pub(super) fn read(text: impl BufRead) -> (Executions, Lines) {
    let mut found = Executions::default();
    let mut head: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    let lines = records(text, |fields| {
        if head.is_empty() {
            head = fields.iter().map(|name| (*name).to_owned()).collect();
            return Taken::Whole;
        }
        let field = |name: &str| {
            let at = head.iter().position(|own| own == name)?;
            fields.get(at).copied().filter(|text| !text.is_empty())
        };
        let number = |name: &str| field(name)?.parse::<f64>().ok().filter(|n| n.is_finite());
        let (Some(query), Some(arm)) = (field("query"), field("arm")) else { return Taken::Bad };
        let (Some(start_s), Some(service_ns)) = (number("start_s"), number("service_ns")) else {
            return Taken::Bad;
        };
        let known = found.arms.iter().position(|own| own.0 == query && own.1 == arm);
        let arm = known.unwrap_or_else(|| {
            found.arms.push((query.to_owned(), arm.to_owned()));
            found.arms.len() - 1
        });
        let reader = field("reader").and_then(|text| text.parse().ok()).unwrap_or(0);
        // A reader asks one thing at a time.
        if !seen.insert((arm, reader, start_s.to_bits(), service_ns.to_bits())) {
            return Taken::Again;
        }
        found.all.push(Execution {
            arm,
            reader,
            weight: field("weight").and_then(|text| text.parse().ok()).unwrap_or(1),
            block: field("block").and_then(|text| text.parse().ok()).unwrap_or(0),
            start_s,
            service_s: service_ns / 1e9,
            sample: field("sample") == Some("1"),
            failed: field("sqlstate").is_some(),
            rows: field("rows").and_then(|text| text.parse().ok()),
            answer_age_ms: number("answer_age_ms"),
        });
        Taken::Whole
    });
    (found, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_by_their_names_and_what_is_torn_is_left_out() {
        let text = "weight,reader,block,start_s,service_ns,measured,cold,sqlstate,rows,answer_age_ms,plan,query,arm\n\
                    1,0,7,1.5,2000000,1,0,,42,30.25,38030a61373da375,newest,cpu\n\
                    1,0,8,1.6,3000000,1,0,57014,,,,\"a,b\",cpu\n\
                    1,0,8,1.6,3000000,1,0,57014,,,,\"a,b\",cpu\n\
                    1,0,9,NaN,3000000,1,0,57014,,,,newest,cpu\n\
                    1,0,9,1.7,30,1,0,,,,,newest,c";
        let (found, lines) = read(text.as_bytes());
        assert_eq!(lines, Lines { bad: 1, again: 1, cut_off: true });
        assert_eq!(found.arms.len(), 2);
        assert_eq!(found.arms[1].0, "a,b");
        let [first, second] = found.all.as_slice() else { panic!("{found:?}") };
        assert_eq!((first.rows, first.answer_age_ms, first.failed), (Some(42), Some(30.25), false));
        assert!((first.service_s - 0.002).abs() < 1e-12 && !first.sample);
        assert!(second.failed && second.arm == 1);
    }
}
