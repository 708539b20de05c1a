//! What the figures advise: what was found, what it means, and what to do.

use crate::result::advice::Severity;

use super::Page;
use super::html::{Cell, Table, prose};
use crate::plot::escape;

pub(super) fn write(page: &mut Page<'_>) {
    let advice = &page.result.advice;
    if advice.is_empty() {
        return;
    }
    let heads = ["what was found", "what it means", "what mends it"];
    let mut table = Table { class: "stack", ..Table::new("", &heads) };
    for item in advice {
        let class = match item.severity {
            Severity::Critical => "bad",
            Severity::Warning => "warn",
            Severity::Note => "mu",
        };
        let found = format!(
            r#"<span class="{class}">{}</span> {} <code>{}</code>"#,
            item.severity.name(),
            prose(&item.fact),
            escape(&item.id)
        );
        table.row(vec![Cell::markup(found), Cell::prose(&item.why), Cell::prose(&item.fix)]);
    }
    let content = format!(
        r#"<div class="scroll" role="group" aria-label="Advice" tabindex="0">{}</div>"#,
        table.html()
    );
    page.section("advice", "Advice", "What do these figures advise?", &content);
}
