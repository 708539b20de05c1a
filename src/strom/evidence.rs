//! What a plan proves about the GPU. `EXPLAIN (FORMAT JSON)` is reduced to a verdict; whatever is
//! not known here is kept as text, so that another version of PG-Strom or PostgreSQL is never an
//! error.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::result::evidence::FALLBACK;
pub(crate) use crate::result::evidence::{Evidence, GpuNode, Verdict};

/// Longest value of a node that is kept, in characters: projections of wide tables are long.
const DETAIL_CHARS_MAX: usize = 400;

/// Keys that PostgreSQL itself writes for a scan; the others are the provider's.
const CORE_KEYS: &[&str] = &[
    "Node Type",
    "Parent Relationship",
    "Custom Plan Provider",
    "Parallel Aware",
    "Async Capable",
    "Relation Name",
    "Schema",
    "Alias",
    "Output",
    "Plans",
    "Filter",
    "Subplan Name",
    "Disabled",
    "Plan Rows",
    "Plan Width",
    "Startup Cost",
    "Total Cost",
    "Workers",
    "Rows Removed by Filter",
];

/// Prefixes of further such keys: timings and buffers of ANALYZE.
const CORE_PREFIXES: &[&str] =
    &["Actual ", "Shared ", "Local ", "Temp ", "I/O ", "WAL ", "Workers "];

/// What makes of rows something else than they were: a GPU node that gets its input from one of
/// these, on the CPU, has only a part of the work.
const CPU_WORK: &[&str] =
    &["Hash Join", "Merge Join", "Nested Loop", "Aggregate", "Group", "WindowAgg", "SetOp"];

/// Opens the names of those providers of Custom Scan that ask other servers.
const REMOTE_PROVIDERS: &[&str] = &["Citus ", "DataNodeScan"];

/// Keys of foreign tables that are files of this server: file_fdw and arrow_fdw. All others are
/// taken for another server's.
const LOCAL_FOREIGN: &[&str] = &["Foreign File", "Foreign Program", "referenced", "file0"];

impl Evidence {
    /// Reads `EXPLAIN (FORMAT JSON)`, or what auto_explain logs in that format. Never fails: what
    /// cannot be read is [`Verdict::Unknown`].
    pub fn read(explain: &str) -> Self {
        let parsed: Option<Value> = serde_json::from_str(explain).ok();
        let one = parsed.as_ref().map(|parsed| parsed.get(0).unwrap_or(parsed));
        let plan = one.and_then(|one| one.get("Plan")?.as_object());
        let mut reading = Reading::default();
        let Some(plan) = plan else {
            return reading.into_evidence(Verdict::Unknown, String::new());
        };
        let mut shape = String::new();
        reading.node(plan, Feeds::Query, &mut shape);
        let mut evidence = reading.into_evidence(Verdict::Unknown, shape);
        let on_gpu = evidence.nodes.iter().any(|node| node.executed != Some(false));
        let elsewhere = !evidence.cpu_relations.is_empty() || !evidence.remote_relations.is_empty();
        evidence.verdict = match (on_gpu, elsewhere || evidence.fell_back()) {
            (true, false) => Verdict::Gpu,
            (true, true) => Verdict::Mixed,
            (false, _) if evidence.remote_relations.is_empty() => Verdict::Cpu,
            (false, _) => Verdict::Remote,
        };
        evidence
    }
}

/// What a node's rows are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feeds {
    /// The query itself, or a part of it that is worked out by itself.
    Query,
    /// A GPU node, as they are read.
    Gpu,
    /// A GPU node, once the CPU has made something of them.
    GpuThroughCpu,
}

#[derive(Default)]
struct Reading {
    nodes: Vec<GpuNode>,
    cpu_relations: BTreeSet<String>,
    cpu_inputs: BTreeSet<String>,
    remote_relations: BTreeSet<String>,
    gpu_rows: Option<u64>,
    fallback_rows: Option<u64>,
}

impl Reading {
    /// Notes a node and all below it.
    fn node(&mut self, plan: &Map<String, Value>, feeds: Feeds, shape: &mut String) {
        let text = |key: &str| plan.get(key).and_then(Value::as_str);
        let node_type = text("Node Type").unwrap_or("?");
        let provider = text("Custom Plan Provider");
        let relation = text("Relation Name");
        let gpu = provider.filter(|provider| provider.starts_with("Gpu"));
        shape.push_str(provider.unwrap_or(node_type));
        if let Some(relation) = relation {
            shape.push(' ');
            shape.push_str(relation);
        }
        if let Some(index) = text("Index Name") {
            shape.push_str(" by ");
            shape.push_str(index);
        }
        // An InitPlan or SubPlan hangs below the node that takes its value, which may be a GPU
        // node. Its rows are not that node's input.
        let feeds = match text("Parent Relationship") {
            Some("InitPlan" | "SubPlan") => Feeds::Query,
            _ => feeds,
        };
        let executed = plan.get("Actual Loops").and_then(Value::as_f64).map(|loops| loops > 0.0);
        let at = self.nodes.len();
        if let Some(kind) = gpu {
            let details = details(plan);
            self.count_rows(&details);
            self.nodes.push(GpuNode {
                kind: kind.to_owned(),
                relations: relation.map(str::to_owned).into_iter().collect(),
                executed,
                details,
            });
        } else if executed != Some(false) {
            self.elsewhere(plan, node_type, feeds);
        }
        let children: Vec<_> = plan
            .get("Plans")
            .and_then(Value::as_array)
            .map(|plans| plans.iter().filter_map(Value::as_object).collect())
            .unwrap_or_default();
        if children.is_empty() {
            return;
        }
        let feeds = match feeds {
            _ if gpu.is_some() => Feeds::Gpu,
            Feeds::Gpu if CPU_WORK.contains(&node_type) => Feeds::GpuThroughCpu,
            feeds => feeds,
        };
        let mut shapes = Vec::new();
        for child in children {
            let mut child_shape = String::new();
            self.node(child, feeds, &mut child_shape);
            shapes.push(child_shape);
            let part = child.get("Parent Relationship").and_then(Value::as_str);
            if gpu.is_some()
                && !matches!(part, Some("InitPlan" | "SubPlan"))
                && let Some(relation) = child.get("Relation Name").and_then(Value::as_str)
                && let Some(node) = self.nodes.get_mut(at)
            {
                node.relations.push(relation.to_owned());
            }
        }
        if matches!(node_type, "Append" | "Merge Append") {
            shapes = members(shapes);
        }
        shape.push('(');
        shape.push_str(&shapes.join(", "));
        shape.push(')');
    }

    /// Notes a relation that no GPU node reads, if this node reads one.
    fn elsewhere(&mut self, plan: &Map<String, Value>, node_type: &str, feeds: Feeds) {
        let text = |key: &str| plan.get(key).and_then(Value::as_str);
        let provider = text("Custom Plan Provider").unwrap_or_default();
        let foreign = node_type == "Foreign Scan"
            && !LOCAL_FOREIGN.iter().any(|local| plan.contains_key(*local));
        if foreign || REMOTE_PROVIDERS.iter().any(|remote| provider.starts_with(remote)) {
            // A join that another server makes has no relation, but names them all.
            let name = text("Relation Name").or_else(|| text("Relations"));
            let name = name.or_else(|| text("Custom Plan Provider")).unwrap_or("?");
            self.remote_relations.insert(name.to_owned());
        } else if let Some(relation) = text("Relation Name")
            // It names what it writes; what is read for that is below it.
            && node_type != "ModifyTable"
        {
            match feeds {
                Feeds::Query => self.cpu_relations.insert(relation.to_owned()),
                Feeds::GpuThroughCpu => self.cpu_inputs.insert(relation.to_owned()),
                Feeds::Gpu => false,
            };
        }
    }

    /// Adds the rows that a GPU node has read, and those of them that fell back.
    fn count_rows(&mut self, details: &BTreeMap<String, String>) {
        let add = |total: &mut Option<u64>, rows: Option<u64>| {
            *total = rows.map(|rows| total.unwrap_or_default().saturating_add(rows)).or(*total);
        };
        let engine = details.get("Scan-Engine").map_or("", String::as_str);
        let read = engine.split(['=', ' ', ',', ';']).skip_while(|word| *word != "ntuples");
        add(&mut self.gpu_rows, read.skip(1).find_map(|rows| rows.parse().ok()));
        add(&mut self.fallback_rows, details.get(FALLBACK).and_then(|stats| fallback_rows(stats)));
    }

    fn into_evidence(self, verdict: Verdict, shape: String) -> Evidence {
        let mut kinds = Vec::new();
        let mut add = |kind: &str| {
            if !kinds.iter().any(|known| known == kind) {
                kinds.push(kind.to_owned());
            }
        };
        for node in self.nodes.iter().filter(|node| node.executed != Some(false)) {
            add(&node.kind);
            // GPU-Sort is no node: it shows as properties of one.
            let has = |key: &str| node.details.keys().any(|name| name.starts_with(key));
            [("GPU-Sort", "GPU-Sort"), ("Window-Rank", "Window-Rank")]
                .iter()
                .filter(|(key, _)| has(key))
                .for_each(|(_, kind)| add(kind));
        }
        Evidence {
            verdict,
            kinds,
            nodes: self.nodes,
            cpu_relations: self.cpu_relations.into_iter().collect(),
            cpu_inputs: self.cpu_inputs.into_iter().collect(),
            remote_relations: self.remote_relations.into_iter().collect(),
            gpu_rows: self.gpu_rows,
            fallback_rows: self.fallback_rows,
            shape,
        }
    }
}

/// Rows by what PG-Strom says of fallback: `depth[0]=12, depth[1]=3`, one for each depth of a join,
/// or `total=15 (bufsz=1MB)`. `None` if it says so in other words.
fn fallback_rows(stats: &str) -> Option<u64> {
    let count = |entry: &str| {
        let (name, rows) = entry.trim().split_once('=')?;
        let end = rows.find(|c: char| !c.is_ascii_digit()).unwrap_or(rows.len());
        Some((name.trim().to_owned(), rows[..end].parse::<u64>().ok()?))
    };
    let bare: String = stats.split('(').enumerate().fold(String::new(), |bare, (at, part)| {
        let outside = part.split_once(')').map_or("", |(_, rest)| rest);
        bare + if at == 0 { part } else { outside }
    });
    let counts: Vec<_> = bare.split(',').filter_map(count).collect();
    let total = counts.iter().find(|(name, _)| name == "total").map(|(_, rows)| *rows);
    total.or_else(|| {
        let depths = counts.iter().filter(|(name, _)| name.starts_with("depth["));
        depths.map(|(_, rows)| *rows).reduce(u64::saturating_add)
    })
}

/// The members of an Append, by what they do: partitions are many, and their order changes with
/// their sizes, which is no other plan.
fn members(shapes: Vec<String>) -> Vec<String> {
    let mut kinds: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for shape in shapes {
        let kind = shape.rsplit_once(' ').map_or(shape.as_str(), |(kind, _)| kind).to_owned();
        let (count, first) = kinds.entry(kind).or_insert_with(|| (0, shape.clone()));
        *count += 1;
        if shape < *first {
            *first = shape;
        }
    }
    let show = |(kind, (count, first)): (String, (usize, String))| match count {
        1 => first,
        _ => format!("{count} x {kind}"),
    };
    kinds.into_iter().map(show).collect()
}

/// What the provider says of its node, whatever it may be.
fn details(plan: &Map<String, Value>) -> BTreeMap<String, String> {
    let is_core = |key: &str| {
        CORE_KEYS.contains(&key) || CORE_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
    };
    let text = |value: &Value| match value {
        Value::String(text) => text.chars().take(DETAIL_CHARS_MAX).collect(),
        other => other.to_string().chars().take(DETAIL_CHARS_MAX).collect::<String>(),
    };
    let provided = plan.iter().filter(|(key, _)| !is_core(key));
    provided.map(|(key, value)| (key.clone(), text(value))).collect()
}

#[cfg(test)]
mod tests;
