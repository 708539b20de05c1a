//! What holds for every page.

use super::*;
use crate::result::sample;

#[test]
fn the_script_is_short_and_cannot_end_itself() {
    assert!(SCRIPT.lines().count() <= 200);
    assert!(!SCRIPT.contains("</") && !STYLE.contains("</"));
    assert!(!SCRIPT.contains("http:") || SCRIPT.matches("http:").count() == 1, "the name of SVG");
}

#[test]
fn a_page_names_its_run() {
    let mut result = sample::stream();
    result.run_id = Some("0190-run".to_owned());
    assert!(page(&result, &Series::default()).contains("<code>0190-run</code>"));
}

#[test]
fn a_page_is_the_same_each_time() {
    let result = sample::stream();
    let series = Series::default();
    assert_eq!(page(&result, &series), page(&result, &series));
}
