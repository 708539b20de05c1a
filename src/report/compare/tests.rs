//! How a comparison reads.

use serde_json::json;

use super::*;
use crate::compare::{Gate, Options, Run, compare};
use crate::result::figure::Names;
use crate::result::sample;

/// Five runs of the sample stream a side: B has a slower tail, other settings, and drops rows once.
pub(crate) fn compared() -> RunsCompared {
    let run = |side: &str, at: usize, p99_ms: f64| {
        let mut saved = serde_json::to_value(sample::stream()).unwrap();
        saved["run_id"] = json!(format!("{side}{at}"));
        saved["stream"]["rows_before"] = json!(0);
        saved["stream"]["response"]["count"] = json!(1_000);
        for key in ["p99_ms", "p999_ms", "max_ms"] {
            saved["stream"]["response"][key] = json!(p99_ms);
        }
        if side == "b" {
            saved["server"]["settings"] = json!({ "shared_buffers": "16MB", "x": "<img>" });
            saved["server"]["version"] = json!("15.20");
            saved["stream"]["rows_dropped"] = json!(if at == 2 { 1_200 } else { 0 });
        }
        let result = serde_json::from_value(saved).unwrap();
        Run { folder: format!("results/{side}{}", at + 1), result }
    };
    let side = |name: &'static str, all: [f64; 5]| {
        all.iter().enumerate().map(|(at, ms)| run(name, at, *ms)).collect::<Vec<_>>()
    };
    let mut b = side("b", [13.1, 12.9, 13.4, 12.8, 13.0]);
    let mut killed = run("b", 5, 10.0);
    killed.result.status = crate::result::Status::Running;
    b.push(killed);
    let result = sample::stream();
    let names = Names::of(&result);
    let gates = ["response_p99_ms <= 1.10x", "rows_lost <= 0", "query.sum.on.p50_ms <= 1.10x"];
    let gates = gates.iter().map(|text| Gate::parse(text, &names.subjects()).unwrap()).collect();
    let options = Options { gates, order: Some("A B B A …".to_owned()), ..Options::default() };
    let sides = [side("a", [10.0, 10.3, 9.8, 10.1, 9.9]), b];
    compare(&sides, &options).unwrap_or_else(|refused| panic!("{refused:?}"))
}

#[test]
fn a_comparison_reads_on_a_terminal() {
    insta::assert_snapshot!(compare_text(&compared()));
}

#[test]
fn a_comparison_reads_as_markdown() {
    let markdown = compare_markdown(&compared());
    assert!(!markdown.contains("<img>"), "what a server says is text");
    insta::assert_snapshot!(markdown);
}

#[test]
fn each_outcome_has_its_word() {
    let mut compared = compared();
    let mut said = Vec::new();
    for outcome in [Outcome::Compared, Outcome::Pass, Outcome::Inconclusive] {
        compared.outcome = outcome;
        said.push(format!("{} {}", outcome_word(outcome).1, headline(&compared)));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn an_arrow_is_the_way_of_a_figure_and_the_word_says_whether_that_is_good() {
    let all = compared();
    let exact = |more_is_better, verdict| {
        exact_verdict(&Exact { more_is_better, verdict, ..all.exact[0].clone() })
    };
    let told = [
        exact(true, ExactVerdict::Better),
        exact(true, ExactVerdict::Worse),
        exact(false, ExactVerdict::Better),
        exact(false, ExactVerdict::Worse),
    ];
    assert_eq!(told, ["▲ better", "▼ worse", "▼ better", "▲ worse"]);
    let of = |ratio, verdict_of| {
        let one = Compared { ratio: Some(ratio), verdict: verdict_of, ..all.figures[0].clone() };
        verdict(&one)
    };
    let told = [
        of(1.3, CompareVerdict::Regression),
        of(1.3, CompareVerdict::Improvement),
        of(0.7, CompareVerdict::Regression),
        of(0.7, CompareVerdict::Improvement),
    ];
    assert_eq!(told, ["▲ regression", "▲ improvement", "▼ regression", "▼ improvement"]);
}
