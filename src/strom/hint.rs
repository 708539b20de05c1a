//! Why a query did not run on the GPU: PG-Strom's own words where it gives them, and a small table
//! of what is known to keep a query on the CPU. docs/gpu-truth.md shows the table.

use crate::pg::session::Notice;
use crate::plan::bare_sql;

/// Longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 200;
/// Most of PG-Strom's own reasons that are kept for a plan: it repeats itself for every path.
const REASONS_MAX: usize = 8;

/// Something that is known to keep a query, or a part of it, on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// What the query does.
    pub cause: &'static str,
    /// What can be done about it.
    pub fix: &'static str,
    /// Seen on a real server, or read in the source.
    pub source: &'static str,
    /// Text that gives it away: all of these stand in the query, lower case, single blanks.
    signs: &'static [&'static str],
}

/// What is known, most telling first.
pub const HINTS: &[Hint] = &[
    Hint {
        cause: "date_trunc()",
        fix: "filter or group by the plain column, or by a column that stores the truncated value",
        source: "seen on 6.1 and 6.2-dev",
        signs: &["date_trunc("],
    },
    Hint {
        cause: "now()",
        fix: "none on 6.1, which does not run it on the GPU; 6.2-dev does",
        source: "seen on 6.1",
        signs: &["now()"],
    },
    Hint {
        cause: "an aggregate of DISTINCT values",
        fix: "group by the column in a subquery, and count its rows",
        source: "seen on 6.2-dev",
        signs: &["(distinct "],
    },
    Hint {
        cause: "an expression over extract() as a key",
        fix: "group by the plain column, or by a column that stores the value",
        source: "seen on 6.1 and 6.2-dev",
        signs: &["extract(", "group by"],
    },
    Hint {
        cause: "text put together with ||, as a key",
        fix: "group by the columns themselves, and put the text together afterwards",
        source: "seen on 6.2-dev",
        signs: &["||", "group by"],
    },
    Hint {
        cause: "an ordered-set aggregate, or ORDER BY within an aggregate",
        fix: "none on the GPU; order the grouped rows afterwards",
        source: "read in the source of 6.1",
        signs: &["within group"],
    },
    Hint {
        cause: "string_agg() or array_agg()",
        fix: "none on the GPU; put the values together from grouped rows",
        source: "read in the source of 6.1",
        signs: &["_agg("],
    },
    Hint {
        cause: "grouping sets",
        fix: "write one query for each GROUP BY",
        source: "read in the source of 6.1",
        signs: &["grouping sets"],
    },
    Hint {
        cause: "grouping sets (ROLLUP)",
        fix: "write one query for each GROUP BY",
        source: "read in the source of 6.1",
        signs: &["rollup("],
    },
    Hint {
        cause: "grouping sets (CUBE)",
        fix: "write one query for each GROUP BY",
        source: "read in the source of 6.1",
        signs: &["cube("],
    },
    Hint {
        cause: "a window function: it runs on the CPU, the GPU supplies at most the sort, and prunes \
                only under `row_number() <= constant` and the like",
        fix: "none on 6.1; on 6.2-dev filter by row_number(), rank() or dense_rank() in an outer \
              query, with pg_strom.cpu_fallback = off",
        source: "seen on 6.1 and 6.2-dev",
        signs: &[") over ("],
    },
];

/// The hints that apply to a query.
pub fn hints(sql: &str) -> impl Iterator<Item = &'static Hint> {
    let bare = format!("{} ", bare_sql(sql).to_lowercase());
    let text = bare.split_whitespace().collect::<Vec<_>>().join(" ").replace("over(", "over (");
    HINTS.iter().filter(move |hint| hint.signs.iter().all(|sign| text.contains(sign)))
}

/// PG-Strom's own reasons among the messages of an EXPLAIN at `client_min_messages = debug2`,
/// each once. A message is PG-Strom's if it comes from one of its source files.
pub fn reasons(notices: &[Notice]) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    let ours = notices.iter().filter(|notice| is_pg_strom(notice.file.as_deref()));
    for Notice { message, .. } in ours {
        let line = message.lines().next().unwrap_or_default();
        // `(function:line) ` says where in its source.
        let line = match line.split_once(") ") {
            Some((place, rest)) if place.starts_with('(') && place.contains(':') => rest,
            _ => line,
        };
        // The rest is often a dump of the expression's tree.
        let end = line.find('{').unwrap_or(line.len());
        let reason = line[..end].trim_end_matches([' ', ':', '(', '\'']);
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        if reasons.len() < REASONS_MAX && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

fn is_pg_strom(file: Option<&str>) -> bool {
    let name = file.and_then(|file| file.rsplit('/').next()).unwrap_or_default();
    let known = ["codegen.c", "arrow_fdw.c", "fallback.c", "aggfuncs.c", "pcie.c", "brin.c"];
    // PostgreSQL's own brin.c speaks at no level that is asked for here.
    name.starts_with("gpu_") || known.contains(&name)
}

/// Rows that PG-Strom says it handed back to the CPU (`GpuScan: CPU fallback 12 tuples (…)`).
pub fn fallback_rows(notices: &[Notice]) -> u64 {
    let rows = |notice: &Notice| {
        let rest = notice.message.split("CPU fallback ").nth(1)?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    notices.iter().filter_map(rows).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(sql: &str) -> Vec<&'static str> {
        hints(sql).map(|hint| hint.cause).collect()
    }

    #[test]
    fn known_causes_are_found_outside_of_literals_and_comments() {
        assert_eq!(causes("SELECT DATE_TRUNC('day', at) FROM t"), ["date_trunc()"]);
        assert_eq!(
            causes("SELECT count( DISTINCT a) FROM t"),
            Vec::<&str>::new(),
            "blanks within a call are the planner's business"
        );
        assert_eq!(causes("SELECT count(DISTINCT a) FROM t"), ["an aggregate of DISTINCT values"]);
        assert_eq!(causes("SELECT a -- date_trunc(\nFROM t WHERE b = 'x || date_trunc('"), [""; 0]);
        assert_eq!(causes("SELECT a || b FROM t"), [""; 0]);
        assert_eq!(causes("SELECT a || b FROM t\nGROUP  BY 1").len(), 1);
        assert_eq!(causes("SELECT avg(a) OVER(ORDER BY b) FROM t").len(), 1);
    }

    #[test]
    fn only_pg_stroms_own_messages_are_its_reasons() {
        let notice = |message: &str, file: &str| Notice {
            message: message.to_owned(),
            file: Some(file.to_owned()),
        };
        let notices = [
            notice(
                "Grouping-key must be device executable: {FUNCEXPR :funcid 2020}",
                "gpu_preagg.c",
            ),
            notice(
                "Grouping-key must be device executable: {FUNCEXPR :funcid 2020}",
                "gpu_preagg.c",
            ),
            notice("rehashing catalog cache id 7", "catcache.c"),
            notice("gpusort: sortkey '({EQUIVALENCEMEMBER :em_expr", "gpu_preagg.c"),
            notice("(__codegen_func_expression:1840) function now() is not supported", "codegen.c"),
            notice("GpuScan: CPU fallback 12 tuples (3kB)", "/src/fallback.c"),
        ];
        assert_eq!(
            reasons(&notices),
            [
                "Grouping-key must be device executable",
                "gpusort: sortkey",
                "function now() is not supported",
                "GpuScan: CPU fallback 12 tuples (3kB)",
            ]
        );
        assert_eq!(fallback_rows(&notices), 12);
    }
}
