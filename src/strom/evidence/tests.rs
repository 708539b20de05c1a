//! Verdicts on plans that real servers made, and on plans that no server makes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn fixtures() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/explain");
    let mut found = Vec::new();
    for version in ["6.1", "6.2-dev"] {
        for entry in fs::read_dir(root.join(version)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            found.push((format!("{version} {name}"), fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    assert!(found.len() > 40);
    found
}

#[test]
fn verdicts_on_real_plans() {
    let mut table = String::new();
    for (name, explain) in fixtures() {
        writeln!(table, "{name:32} {}", Evidence::read(&explain).describe()).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn an_arm_without_pg_strom_never_counts_as_gpu() {
    let off = |name: &str| Path::new(name).extension().is_some_and(|arm| arm == "off");
    for (name, explain) in fixtures().iter().filter(|(name, _)| off(name)) {
        assert_eq!(Evidence::read(explain).verdict, Verdict::Cpu, "{name}");
    }
}

fn plan(node: &str) -> Evidence {
    Evidence::read(&format!(r#"[{{"Plan": {node}}}]"#))
}

#[test]
fn the_inputs_of_a_gpu_join_are_part_of_it() {
    let evidence = plan(
        r#"{"Node Type": "Custom Scan", "Custom Plan Provider": "GpuJoin",
            "Relation Name": "facts", "Plans": [{"Node Type": "Hash", "Plans": [
                {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "sub"}]},
            {"Node Type": "Seq Scan", "Parent Relationship": "children", "Relation Name": "dim"}]}"#,
    );
    assert_eq!(evidence.describe(), "gpu (GpuJoin)");
    assert_eq!(evidence.nodes[0].relations, ["facts", "dim"]);
    assert_eq!(evidence.shape, "GpuJoin facts(Hash(Seq Scan sub), Seq Scan dim)");
}

#[test]
fn what_the_cpu_makes_of_rows_for_a_gpu_join_is_named() {
    let evidence = plan(
        r#"{"Node Type": "Custom Scan", "Custom Plan Provider": "GpuJoin",
            "Relation Name": "facts", "Plans": [
            {"Node Type": "Seq Scan", "Parent Relationship": "children", "Relation Name": "dim"},
            {"Node Type": "Hash Join", "Parent Relationship": "children", "Plans": [
                {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "orders"},
                {"Node Type": "Hash", "Parent Relationship": "Inner", "Plans": [
                {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "history"}]},
                {"Node Type": "Custom Scan", "Custom Plan Provider": "GpuScan",
                 "Parent Relationship": "Inner", "Relation Name": "p0"}]}]}"#,
    );
    assert_eq!(
        evidence.describe(),
        "gpu (GpuJoin, GpuScan; input made by the CPU from: history, orders)"
    );
}

/// The plan of a GpuScan with another part below it.
fn beside(part: &str) -> String {
    plan(&format!(
        r#"{{"Node Type": "Custom Scan", "Custom Plan Provider": "GpuScan",
             "Relation Name": "facts", "Actual Loops": 1, "Plans": [{part}]}}"#
    ))
    .describe()
}

#[test]
fn a_subquery_below_a_gpu_node_is_judged_by_itself() {
    for part in ["InitPlan", "SubPlan"] {
        let by = |scan: &str| {
            beside(&format!(
                r#"{{"Node Type": "Aggregate", "Parent Relationship": "{part}",
                     "Actual Loops": 1, "Plans": [
                     {{"Parent Relationship": "Outer", "Relation Name": "history", {scan}}}]}}"#
            ))
        };
        let cpu = r#""Node Type": "Seq Scan", "Actual Loops": 3"#;
        assert_eq!(by(cpu), "mixed (GpuScan; by the CPU: history)");
        let never = r#""Node Type": "Seq Scan", "Actual Loops": 0"#;
        assert_eq!(by(never), "gpu (GpuScan)");
        let gpu = r#""Node Type": "Custom Scan", "Custom Plan Provider": "GpuPreAgg""#;
        assert_eq!(by(gpu), "gpu (GpuScan, GpuPreAgg)");
        let foreign = r#""Node Type": "Foreign Scan""#;
        assert_eq!(by(foreign), "mixed (GpuScan; by another server: history)");
    }
    // The relation of a subquery is none that the node itself reads.
    let evidence = plan(
        r#"{"Node Type": "Custom Scan", "Custom Plan Provider": "GpuScan", "Relation Name": "facts",
            "Plans": [{"Node Type": "Seq Scan", "Parent Relationship": "InitPlan",
                       "Relation Name": "history"}]}"#,
    );
    assert_eq!(evidence.nodes[0].relations, ["facts"]);
}

#[test]
fn a_plan_of_another_server_is_remote() {
    let foreign = |keys: &str| plan(&format!(r#"{{"Node Type": "Foreign Scan", {keys}}}"#));
    let postgres = foreign(r#""Relation Name": "orders", "Remote SQL": "SELECT 1""#);
    assert_eq!(
        (postgres.verdict, postgres.describe().as_str()),
        (Verdict::Remote, "remote (by another server: orders)")
    );
    let joined = foreign(r#""Relations": "(public.a) INNER JOIN (public.b)", "Remote SQL": "x""#);
    assert_eq!(joined.describe(), "remote (by another server: (public.a) INNER JOIN (public.b))");
    // Files of this server.
    for keys in
        [r#""Foreign File": "/tmp/a.csv""#, r#""referenced": "id", "file0": "/tmp/a.arrow""#]
    {
        let file = foreign(&format!(r#""Relation Name": "rows", {keys}"#));
        assert_eq!((file.verdict, &*file.cpu_relations), (Verdict::Cpu, &["rows".to_owned()][..]));
    }
    let citus = plan(
        r#"{"Node Type": "Aggregate", "Plans": [
            {"Node Type": "Custom Scan", "Parent Relationship": "Outer",
             "Custom Plan Provider": "Citus Adaptive", "Distributed Query": {"Job": {"Tasks": [
                {"Remote Plan": [[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "t_1"}}]]}]}}},
            {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "dim"}]}"#,
    );
    assert_eq!(citus.describe(), "remote (by the CPU: dim; by another server: Citus Adaptive)");
}

#[test]
fn what_writes_is_judged_by_what_it_reads() {
    let insert = |provider: &str| {
        plan(&format!(
            r#"{{"Node Type": "ModifyTable", "Operation": "Insert", "Relation Name": "target",
                 "Plans": [{{"Node Type": "Custom Scan", "Custom Plan Provider": "{provider}",
                 "Parent Relationship": "Outer", "Relation Name": "facts"}}]}}"#
        ))
    };
    assert_eq!(insert("GpuScan").describe(), "gpu (GpuScan)");
    assert_eq!(insert("ColumnarScan").cpu_relations, ["facts"]);
}

#[test]
fn rows_that_fell_back_are_never_the_gpus() {
    let fell = |stats: &str| {
        plan(&format!(
            r#"{{"Node Type": "Custom Scan", "Custom Plan Provider": "GpuScan",
                 "Relation Name": "facts", "Actual Loops": 1, "Fallback-stats": "{stats}",
                 "Scan-Engine": "VFS with GPU0; buffer=10, ntuples=1000000"}}"#
        ))
    };
    for (stats, rows, described) in [
        (
            "depth[0]=1000000",
            Some(1_000_000),
            "mixed (GpuScan; 100 % of rows fell back to the CPU)",
        ),
        ("depth[0]=400000", Some(400_000), "mixed (GpuScan; 40 % of rows fell back to the CPU)"),
        (
            "depth[0]=12, depth[1]=3",
            Some(15),
            "mixed (GpuScan; under 1 % of rows fell back to the CPU)",
        ),
        (
            "total=12345 (bufsz=1MB)",
            Some(12_345),
            "mixed (GpuScan; 1 % of rows fell back to the CPU)",
        ),
        (
            "depth[0]=12 (bufsz=1MB), depth[1]=3",
            Some(15),
            "mixed (GpuScan; under 1 % of rows fell back to the CPU)",
        ),
        (
            "total=20, depth[0]=12, depth[1]=8",
            Some(20),
            "mixed (GpuScan; under 1 % of rows fell back to the CPU)",
        ),
        (
            "depth[0]=2000000",
            Some(2_000_000),
            "mixed (GpuScan; 2,000,000 rows fell back to the CPU)",
        ),
        ("many", None, "mixed (GpuScan; rows fell back to the CPU)"),
        ("total=0", Some(0), "gpu (GpuScan; 100 % of rows)"),
    ] {
        let evidence = fell(stats);
        assert_eq!(
            (evidence.fallback_rows, evidence.describe().as_str()),
            (rows, described),
            "{stats}"
        );
        assert_eq!(evidence.gpu_rows, Some(1_000_000));
    }
}

#[test]
fn what_auto_explain_logs_is_read_like_an_explain() {
    let logged =
        r#"{"Query Text": "SELECT 1", "Plan": {"Node Type": "Seq Scan", "Relation Name": "t"}}"#;
    assert_eq!(Evidence::read(logged).shape, "Seq Scan t");
}

#[test]
fn partitions_read_by_both_are_mixed_and_named() {
    let evidence = plan(
        r#"{"Node Type": "Append", "Plans": [
            {"Node Type": "Custom Scan", "Custom Plan Provider": "GpuScan", "Relation Name": "p0"},
            {"Node Type": "Index Scan", "Relation Name": "p1"}]}"#,
    );
    assert_eq!(evidence.describe(), "mixed (GpuScan; by the CPU: p1)");
}

#[test]
fn the_order_of_partitions_is_no_other_plan() {
    let append = |first: &str, second: &str| {
        plan(&format!(
            r#"{{"Node Type": "Append", "Plans": [
                {{"Node Type": "Seq Scan", "Relation Name": "{first}"}},
                {{"Node Type": "Seq Scan", "Relation Name": "{second}"}},
                {{"Node Type": "Index Scan", "Relation Name": "p9"}}]}}"#
        ))
    };
    assert_eq!(append("p0", "p1").shape, append("p1", "p0").shape);
    assert_eq!(append("p0", "p1").shape, "Append(Index Scan p9, 2 x Seq Scan)");
}

#[test]
fn a_gpu_node_that_never_ran_proves_nothing() {
    let node = |loops| {
        plan(&format!(
            r#"{{"Node Type": "Custom Scan", "Custom Plan Provider": "GpuScan",
                 "Relation Name": "p0", "Actual Loops": {loops}}}"#
        ))
    };
    assert_eq!(node(0).verdict, Verdict::Cpu);
    assert_eq!(node(0).kinds, [""; 0]);
    assert_eq!(node(3).verdict, Verdict::Gpu);
    // A partition that was pruned while the query ran.
    let evidence = plan(
        r#"{"Node Type": "Append", "Actual Loops": 1, "Plans": [
            {"Node Type": "Custom Scan", "Custom Plan Provider": "GpuScan", "Relation Name": "p0",
             "Parent Relationship": "Member", "Actual Loops": 1},
            {"Node Type": "Seq Scan", "Relation Name": "p1", "Parent Relationship": "Member",
             "Actual Loops": 0}]}"#,
    );
    assert_eq!(evidence.describe(), "gpu (GpuScan)");
}

#[test]
fn another_provider_is_no_gpu_and_what_is_unknown_is_kept() {
    let evidence = plan(
        r#"{"Node Type": "Custom Scan", "Custom Plan Provider": "ColumnarScan",
            "Relation Name": "t"}"#,
    );
    assert_eq!(evidence.verdict, Verdict::Cpu);
    assert_eq!(evidence.shape, "ColumnarScan t");
    let evidence = plan(
        r#"{"Node Type": "Custom Scan", "Custom Plan Provider": "GpuFuture",
            "Relation Name": "t", "Warp Drive": {"engaged": true}}"#,
    );
    assert_eq!(evidence.describe(), "gpu (GpuFuture)");
    assert_eq!(evidence.nodes[0].details["Warp Drive"], r#"{"engaged":true}"#);
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in ".{0,200}") {
        prop_assert_eq!(Evidence::read(&text).verdict, Verdict::Unknown);
    }

    /// A real plan with one value replaced by something that has no business there.
    #[test]
    fn malformed_values_never_fail(index in 0..40_usize, at in 0..60_usize, odd in 0..5_usize) {
        let (_, explain) = &fixtures()[index];
        let mut value: Value = serde_json::from_str(explain).unwrap();
        let odd = [Value::Null, Value::from(-1), Value::from("ab"), Value::from(vec![1]),
                   Value::Object(Map::new())][odd].clone();
        replace_nth(&mut value, &mut { at }, &odd);
        let _ = Evidence::read(&value.to_string());
    }
}

fn replace_nth(value: &mut Value, left: &mut usize, by: &Value) {
    let visit = |child: &mut Value, left: &mut usize| {
        if *left == 0 {
            *child = by.clone();
        }
        *left = left.wrapping_sub(1);
        replace_nth(child, left, by);
    };
    match value {
        Value::Object(map) => map.values_mut().for_each(|child| visit(child, left)),
        Value::Array(list) => list.iter_mut().for_each(|child| visit(child, left)),
        _ => {}
    }
}
