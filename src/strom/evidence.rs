//! What a plan proves about the GPU. `EXPLAIN (FORMAT JSON)` is reduced to a verdict; whatever is
//! not known here is kept as text, so that another version of PG-Strom or PostgreSQL is never an
//! error.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

pub use crate::result::evidence::{Evidence, GpuNode, Verdict};

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

impl Evidence {
    /// Reads `EXPLAIN (FORMAT JSON)`. Never fails: what cannot be read is [`Verdict::Unknown`].
    pub fn read(explain: &str) -> Self {
        let parsed: Option<Value> = serde_json::from_str(explain).ok();
        let plan = parsed.as_ref().and_then(|plan| plan.get(0)?.get("Plan")?.as_object());
        let mut reading = Reading::default();
        let Some(plan) = plan else {
            return reading.into_evidence(Verdict::Unknown, String::new());
        };
        let mut shape = String::new();
        reading.node(plan, false, &mut shape);
        let on_gpu = reading.nodes.iter().any(|node| node.executed != Some(false));
        let verdict = match (on_gpu, reading.cpu_relations.is_empty()) {
            (false, _) => Verdict::Cpu,
            (true, true) => Verdict::Gpu,
            (true, false) => Verdict::Mixed,
        };
        reading.into_evidence(verdict, shape)
    }
}

#[derive(Default)]
struct Reading {
    nodes: Vec<GpuNode>,
    cpu_relations: BTreeSet<String>,
    fallback_rows: Option<u64>,
}

impl Reading {
    /// Notes a node and all below it; `feeds_gpu`: it is the input of a GPU node.
    fn node(&mut self, plan: &Map<String, Value>, feeds_gpu: bool, shape: &mut String) {
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
        let at = self.nodes.len();
        if let Some(kind) = gpu {
            let loops = plan.get("Actual Loops").and_then(Value::as_f64);
            let details = details(plan);
            self.fallback(&details);
            self.nodes.push(GpuNode {
                kind: kind.to_owned(),
                relations: relation.map(str::to_owned).into_iter().collect(),
                executed: loops.map(|loops| loops > 0.0),
                details,
            });
        } else if let Some(relation) = relation
            && !feeds_gpu
        {
            self.cpu_relations.insert(relation.to_owned());
        }
        let children: Vec<_> = plan
            .get("Plans")
            .and_then(Value::as_array)
            .map(|plans| plans.iter().filter_map(Value::as_object).collect())
            .unwrap_or_default();
        if children.is_empty() {
            return;
        }
        let mut shapes = Vec::new();
        for child in children {
            let mut child_shape = String::new();
            self.node(child, feeds_gpu || gpu.is_some(), &mut child_shape);
            shapes.push(child_shape);
            if gpu.is_some()
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

    /// `depth[0]=12, depth[1]=3`: tuples that fell back at each depth of a join.
    fn fallback(&mut self, details: &BTreeMap<String, String>) {
        let Some(stats) = details.get("Fallback-stats") else { return };
        let digits = |part: &str| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..end].parse::<u64>().ok()
        };
        let rows: u64 = stats.split('=').skip(1).filter_map(digits).sum();
        self.fallback_rows = Some(self.fallback_rows.unwrap_or_default() + rows);
    }

    fn into_evidence(self, verdict: Verdict, shape: String) -> Evidence {
        let mut kinds = Vec::new();
        let mut add = |kind: &str| {
            if !kinds.iter().any(|known| known == kind) {
                kinds.push(kind.to_owned());
            }
        };
        for node in &self.nodes {
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
            fallback_rows: self.fallback_rows,
            shape,
        }
    }
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
