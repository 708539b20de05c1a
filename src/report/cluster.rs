//! What two loaders and two servers among faults came to, for people.

use super::table::{Align, TableRow, text_table};
use crate::quantity::{format_count, format_counted};
use crate::result::cluster::{ClusterCounts, ClusterKind, ClusterReport};

/// Plain text, one screen.
pub fn cluster(report: &ClusterReport) -> String {
    let header = [
        "fault",
        "rounds",
        "promoted",
        "taken over",
        "due",
        "acknowledged",
        "found",
        "lost",
        "doubled",
        "undecided",
    ];
    let rows: Vec<TableRow> = std::iter::once(header.map(str::to_owned).to_vec().into())
        .chain(report.kinds.iter().chain([&report.all]).map(row))
        .collect();
    let mut out = format!("{}\n\nfaults of a cluster, seed {}\n\n", verdict(report), report.seed);
    // Writing to a string cannot fail.
    let _ = text_table(&mut out, &rows, Align::Right(1, header.len()));
    out.push('\n');
    for line in lines(report) {
        out.extend([&*line, "\n"]);
    }
    out
}

fn lines(report: &ClusterReport) -> Vec<String> {
    let all = &report.all;
    let mut lines = Vec::new();
    if all.lost_by_server > 0 {
        lines.push(format!(
            "lost        {} by the server: a standby was promoted that did not have them, and that \
             no COMMIT had waited for",
            format_counted(all.lost_by_server, "row", "rows")
        ));
    }
    let mut add = |rows: u64, what: &str| {
        if rows > 0 {
            lines.push(format!("WRONG       {} {what}", format_counted(rows, "row", "rows")));
        }
    };
    add(all.lost - all.lost_by_server, "are lost that the server kept");
    add(all.doubled, "are there twice");
    add(all.unexpected, "are there that nobody says were sent");
    add(all.contradicted, "are acknowledged by a journal alone");
    if let Some(error) = &report.error {
        lines.push(format!("error       {}", error.replace('\n', "\n            ")));
    }
    lines
}

/// The answer in a line.
fn verdict(report: &ClusterReport) -> String {
    let all = &report.all;
    let (word, said) = match (report.right, &report.error) {
        (false, _) => ("FAIL", "integrity: the table is not what was acknowledged"),
        (true, Some(_)) => ("FAIL", "ended early by an error: what came of its rows is not known"),
        (true, None) if all.lost > 0 => {
            ("OK", "no row is there twice, and none is lost but by the server")
        }
        (true, None) => ("OK", "each acknowledged row is there once"),
    };
    let rounds = format_counted(all.rounds, "round", "rounds");
    format!("{word}  {said} · {rounds}")
}

fn row(counts: &ClusterCounts) -> TableRow {
    let name = counts.kind.map_or("all", ClusterKind::name).to_owned();
    let figures = [
        counts.rounds,
        counts.promotions,
        counts.taken_over,
        counts.due,
        counts.acknowledged,
        counts.found,
        counts.lost,
        counts.doubled,
        counts.undecided,
    ];
    let cells: Vec<String> =
        std::iter::once(name).chain(figures.into_iter().map(format_count)).collect();
    cells.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(spoil: impl FnOnce(&mut ClusterCounts)) -> ClusterReport {
        let mut counts = ClusterCounts {
            kind: Some(ClusterKind::AsyncPromotion),
            rounds: 3,
            promotions: 3,
            due: 30_000,
            acknowledged: 29_900,
            found: 29_700,
            lost: 200,
            lost_by_server: 200,
            undecided: 100,
            ..ClusterCounts::default()
        };
        spoil(&mut counts);
        let all = ClusterCounts { kind: None, ..counts };
        let right = all.are_right();
        ClusterReport { seed: 7, kinds: vec![counts], all, error: None, right }
    }

    #[test]
    fn what_the_server_lost_is_said_to_be_its_own() {
        insta::assert_snapshot!(cluster(&report(|_| {})));
    }

    #[test]
    fn what_the_loaders_have_to_answer_for_is_wrong() {
        let spoilt: [fn(&mut ClusterCounts); 4] = [
            |of| of.lost += 1,
            |of| of.doubled = 1,
            |of| of.unexpected = 1,
            |of| of.contradicted = 1,
        ];
        for spoil in spoilt {
            let report = report(spoil);
            assert!(!report.right && cluster(&report).contains("WRONG       1 row "), "{report:?}");
        }
    }
}
