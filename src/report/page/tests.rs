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
fn a_page_says_how_to_give_the_server_its_settings_again() {
    let mut result = sample::stream();
    result.server.embedded = true;
    let given = [("work_mem", Some("64MB")), ("a.b", Some("it's")), ("primary_conninfo", None)];
    let given = given.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
    result.server.given_settings = given.into();
    let page = page(&result, &Series::default());
    let told = r".toml --pg-set 'a.b=it'\''s' --pg-set primary_conninfo=VALUE --pg-set work_mem=64MB</pre>";
    let told = crate::plot::escape(&told.replace("</pre>", "")) + "</pre>";
    assert!(page.contains(&told), "{told}");
}

#[test]
fn a_page_is_the_same_each_time() {
    let result = sample::stream();
    let series = Series::default();
    assert_eq!(page(&result, &series), page(&result, &series));
}
