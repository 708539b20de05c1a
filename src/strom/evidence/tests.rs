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
            "Relation Name": "facts", "Fallback-stats": "depth[0]=12, depth[1]=3", "Plans": [
            {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "dim"}]}"#,
    );
    assert_eq!(evidence.verdict, Verdict::Gpu);
    assert_eq!(evidence.nodes[0].relations, ["facts", "dim"]);
    assert_eq!(evidence.fallback_rows, Some(15));
    assert_eq!(evidence.shape, "GpuJoin facts(Seq Scan dim)");
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
    assert_eq!(node(3).verdict, Verdict::Gpu);
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
