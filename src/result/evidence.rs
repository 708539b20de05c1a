//! What the plans of a query prove about the GPU.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::format_count;
use crate::record::Percentiles;

/// Where PG-Strom says of a node how many rows fell back to the CPU.
pub(crate) const FALLBACK: &str = "Fallback-stats";

/// Where a query's rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PlanVerdict")]
pub enum Verdict {
    /// All by GPU nodes.
    Gpu,
    /// Some by GPU nodes; some by the CPU or another server, or handed back to the CPU.
    Mixed,
    /// All by the CPU.
    Cpu,
    /// By another server, as far as this plan tells, and none by GPU nodes of this one.
    Remote,
    /// There is no plan that could be read.
    Unknown,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 5] = [Self::Gpu, Self::Mixed, Self::Cpu, Self::Remote, Self::Unknown];

    /// The verdict of this name.
    pub fn of_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name).unwrap_or(Self::Unknown)
    }

    /// Its name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Mixed => "mixed",
            Self::Cpu => "cpu",
            Self::Remote => "remote",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a plan proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// In a word.
    pub verdict: Verdict,
    /// Kinds of GPU work, such as `GpuPreAgg` and `GPU-Sort`, each once.
    pub kinds: Vec<String>,
    /// The GPU nodes.
    pub nodes: Vec<GpuNode>,
    /// Relations that the CPU reads, other than as the input of a GPU node.
    pub cpu_relations: Vec<String>,
    /// Relations that the CPU joins or aggregates into the input of a GPU node.
    #[serde(default)]
    pub cpu_inputs: Vec<String>,
    /// Relations that another server reads.
    #[serde(default)]
    pub remote_relations: Vec<String>,
    /// Rows that the GPU nodes read, by PG-Strom's count; only ANALYZE tells.
    #[serde(default)]
    pub gpu_rows: Option<u64>,
    /// Rows that went back to the CPU, by PG-Strom's count; only ANALYZE tells.
    pub fallback_rows: Option<u64>,
    /// The plan in a line, for people, and to tell whether it changed.
    pub shape: String,
}

impl Evidence {
    /// Tells shapes apart: FNV-1a, the same in every version. 16 hexadecimal digits where it is
    /// saved.
    pub fn shape_hash(&self) -> u64 {
        hash(&self.shape)
    }

    /// The verdict with what it rests on, for people: `gpu (GpuPreAgg, GPU-Sort)`.
    pub fn describe(&self) -> String {
        let mut parts = vec![self.kinds.join(", ")];
        let mut list = |words: &str, relations: &[String]| {
            if !relations.is_empty() {
                parts.push(format!("{words}: {}", relations.join(", ")));
            }
        };
        list("input made by the CPU from", &self.cpu_inputs);
        list("by the CPU", &self.cpu_relations);
        list("by another server", &self.remote_relations);
        parts.extend(self.share());
        parts.retain(|part| !part.is_empty());
        match self.verdict {
            Verdict::Gpu | Verdict::Mixed | Verdict::Remote => {
                format!("{} ({})", self.verdict, parts.join("; "))
            }
            Verdict::Cpu => "cpu".to_owned(),
            Verdict::Unknown => "no plan could be read".to_owned(),
        }
    }

    /// Whether rows went back to the CPU; PG-Strom speaks of it only then. Only ANALYZE tells.
    pub fn fell_back(&self) -> bool {
        let says = |node: &GpuNode| node.details.contains_key(FALLBACK);
        self.fallback_rows.map_or_else(|| self.nodes.iter().any(says), |rows| rows > 0)
    }

    /// How much of what GPU nodes read stayed on the GPU, in words.
    fn share(&self) -> Option<String> {
        if !self.fell_back() {
            let all = self.verdict == Verdict::Gpu && self.gpu_rows? > 0;
            return all.then(|| "100 % of rows".to_owned());
        }
        Some(match (self.fallback_rows, self.gpu_rows) {
            (Some(rows), Some(read)) if rows <= read => match rows * 100 / read {
                0 => "under 1 % of rows fell back to the CPU".to_owned(),
                percent => format!("{percent} % of rows fell back to the CPU"),
            },
            (Some(rows), _) => format!("{} rows fell back to the CPU", format_count(rows)),
            (None, _) => "rows fell back to the CPU".to_owned(),
        })
    }
}

fn hash(shape: &str) -> u64 {
    shape.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A node that runs on the GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GpuNode {
    /// PG-Strom's name for it.
    pub kind: String,
    /// What it reads, its inputs from the CPU included.
    pub relations: Vec<String>,
    /// Whether ANALYZE saw it run; `None` without ANALYZE.
    pub executed: Option<bool>,
    /// What PG-Strom says of it, as text.
    pub details: BTreeMap<String, String>,
}

/// What was found out about a query in one arm.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PlanHistory {
    /// What the last plan proves; `None` if none could be taken.
    pub evidence: Option<Evidence>,
    /// PG-Strom's own reasons, if it gave any.
    pub reasons: Vec<String>,
    /// What is known to keep such a query on the CPU.
    pub hints: Vec<HintReport>,
    /// Plans taken.
    pub looks: u64,
    /// Time that taking them cost, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub looks_s: f64,
    /// Why the last plan could not be taken, if it could not.
    pub error: Option<String>,
    /// Times that the plan was found changed.
    pub changed: u64,
    /// The first changes.
    pub changes: Vec<PlanChange>,
    /// The first plans that were seen, each once.
    #[serde(default)]
    pub shapes: Vec<PlanShape>,
    /// The measured executions by plan, by when each was first seen.
    #[serde(default)]
    pub executed: Vec<ExecutedPlan>,
    /// Measured executions of which the server itself said the plan.
    #[serde(default)]
    pub logged: u64,
    /// Measured executions whose plan was asked for beside them, on their session.
    #[serde(default)]
    pub looked: u64,
    /// Measured executions whose plan is not known.
    #[serde(default)]
    pub unknown: u64,
}

/// Measured executions that ran by one plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ExecutedPlan {
    /// What stands for it where executions are saved one by one.
    pub hash: String,
    /// What it proves, as it was executed.
    pub verdict: Verdict,
    /// The same with what it rests on.
    pub words: String,
    /// The plan in a line.
    pub shape: String,
    /// Executions.
    pub executions: u64,
    /// When the first of them was sent, in seconds since the start of the schedule.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub first_s: f64,
    /// When the last of them was sent.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub last_s: f64,
    /// Rows that the GPU handed back to the CPU, by the server's messages.
    pub fallback_rows: u64,
    /// From sent to the last row.
    pub service: Option<Percentiles>,
}

/// A plan in a line, and what stands for it where executions are saved one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanShape {
    /// [`Evidence::shape_hash`].
    pub hash: String,
    /// The plan in a line.
    pub shape: String,
}

impl PlanHistory {
    /// What the measured executions prove together, or the last plan if none was measured.
    pub fn verdict(&self) -> Verdict {
        let mut all = self.executed.iter().map(|plan| self.proves(plan).0);
        match all.next() {
            Some(first) if all.all(|verdict| verdict == first) => first,
            Some(_) => Verdict::Mixed,
            None => self.evidence.as_ref().map_or(Verdict::Unknown, |last| last.verdict),
        }
    }

    /// The same with what it rests on, for people; `None` if nothing is known.
    pub fn describe(&self) -> Option<String> {
        let kinds = self.kinds();
        match kinds.as_slice() {
            [] => self.evidence.as_ref().map(Evidence::describe),
            [(words, _)] => Some(words.clone()),
            kinds => {
                let all: u64 = kinds.iter().map(|(_, executions)| executions).sum();
                let share = |(words, executions): &(String, u64)| {
                    let percent = *executions as f64 * 100.0 / all.max(1) as f64;
                    format!("{percent:.0} % {words}")
                };
                let shares: Vec<_> = kinds.iter().map(share).collect();
                Some(format!("mixed plans: {}", shares.join(", ")))
            }
        }
    }

    /// The measured executions by what their plans prove, in words.
    pub fn kinds(&self) -> Vec<(String, u64)> {
        let mut kinds: Vec<(String, u64)> = Vec::new();
        for plan in &self.executed {
            let (_, words) = self.proves(plan);
            match kinds.iter_mut().find(|(known, _)| *known == words) {
                Some((_, executions)) => *executions += plan.executions,
                None => kinds.push((words, plan.executions)),
            }
        }
        kinds
    }

    /// What executions by a plan prove. A look at the same plan may have run it, and then knows
    /// what fell back and what never ran.
    pub fn proves(&self, plan: &ExecutedPlan) -> (Verdict, String) {
        let look = self.evidence.as_ref().filter(|look| look.shape == plan.shape);
        let inner = plan.words.strip_prefix("gpu (").and_then(|words| words.strip_suffix(')'));
        match (plan.fallback_rows, inner, look) {
            // The share is worth more than the number.
            (1.., _, Some(look)) if look.fell_back() => (look.verdict, look.describe()),
            (rows @ 1.., Some(inner), _) => {
                let rows = format_count(rows);
                (Verdict::Mixed, format!("mixed ({inner}; {rows} rows fell back to the CPU)"))
            }
            (_, _, Some(look)) => (look.verdict, look.describe()),
            _ => (plan.verdict, plan.words.clone()),
        }
    }

    /// Notes that this plan was seen, once, as long as there are fewer than `most`.
    pub fn saw(&mut self, evidence: &Evidence, most: usize) {
        let hash = format!("{:016x}", evidence.shape_hash());
        if self.shapes.len() < most && !self.shapes.iter().any(|shape| shape.hash == hash) {
            self.shapes.push(PlanShape { hash, shape: evidence.shape.clone() });
        }
    }
}

/// A known reason, and what can be done about it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HintReport {
    /// What the query does.
    pub cause: String,
    /// What can be done about it.
    pub fix: String,
}

/// A plan that is another one than before.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PlanChange {
    /// When it was seen, in seconds since the start of the schedule.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub at_s: f64,
    /// What the plan proved before.
    pub from: Verdict,
    /// What it proves now.
    pub to: Verdict,
    /// The plan before, in a line.
    pub from_shape: String,
    /// The plan now.
    pub to_shape: String,
}
