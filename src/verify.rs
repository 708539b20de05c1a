//! `verify`: the audit of a saved run, any time later, also of one whose loader was killed.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use serde::Deserialize;
use serde_json::Value;

use crate::ingest::audit::{AuditError, Evidence, audit};
use crate::pg::Address;
use crate::plan::{Delivery, Faults, Overrides, Plan, ProfileSource, StreamJob};
use crate::quantity::format_count;
use crate::record::{Account, PartitionAudit};
use crate::report::differences;
use crate::result::FORMAT_VERSION;

/// A run as its result file tells it, as far as the audit needs it.
#[derive(Debug)]
pub struct SavedRun {
    plan: Plan<StreamJob>,
    origin_us: i64,
    complete: bool,
    partitions: Vec<SavedPartition>,
}

#[derive(Debug, Deserialize)]
struct SavedPartition {
    first_id: i64,
    account: Account,
}

/// What a saved run's audit came to.
#[derive(Debug)]
pub struct Verified {
    /// Each partition.
    pub partitions: Vec<PartitionAudit>,
    /// Whether the table holds what was acknowledged.
    pub right: bool,
    /// For people.
    pub text: String,
}

/// Why a saved run could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SavedRunError {
    /// The file cannot be read.
    #[error(
        "failed to read `{path}`: {source}\n  fix: name the results folder of a run, the one that \
         holds result.json"
    )]
    Read {
        /// The file.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// It is not a result of ours.
    #[error("`{path}` is not a result of strom-load: {fact}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        fact: String,
    },
    /// It was written by another version.
    #[error("`{path}` has format {found}, and this strom-load reads format {FORMAT_VERSION}")]
    Format {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
    },
    /// The plan in it does not resolve.
    #[error("the plan in `{path}` is damaged:\n{faults}")]
    Plan {
        /// The file.
        path: String,
        /// What is wrong with it.
        faults: Faults,
    },
}

impl SavedRun {
    /// Reads a results folder.
    ///
    /// # Errors
    /// When it holds no result, or a damaged one.
    pub fn read(folder: &Path) -> Result<Self, SavedRunError> {
        let file = folder.join("result.json");
        let path = file.display().to_string();
        let text = std::fs::read_to_string(&file)
            .map_err(|source| SavedRunError::Read { path: path.clone(), source })?;
        let malformed = |fact: String| SavedRunError::Malformed { path: path.clone(), fact };
        let result: Value =
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let missing = |key: &str| malformed(format!("it has no `{key}`"));
        match result["format_version"].as_u64() {
            // What the audit reads is the same in both.
            Some(1 | 2) => {}
            Some(found) => return Err(SavedRunError::Format { path: path.clone(), found }),
            None => return Err(missing("format_version")),
        }
        // The plan is saved in the profile's own keys, so it is a profile.
        let profile =
            toml::to_string(&result["plan"]).map_err(|error| malformed(error.to_string()))?;
        let source = ProfileSource { name: path.clone(), text: profile };
        let plan = Plan::resolve(&source, &Overrides::default())
            .map_err(|faults| SavedRunError::Plan { path: path.clone(), faults })?
            .into_stream()
            .ok_or_else(|| malformed("its plan has no stream".to_owned()))?;
        let partitions = serde_json::from_value(result["stream"]["partitions"].clone())
            .map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            plan,
            origin_us: result["origin_us"].as_i64().ok_or_else(|| missing("origin_us"))?,
            complete: result["status"] != "running",
            partitions,
        })
    }

    /// Reads the table back and compares.
    ///
    /// # Errors
    /// When the server does not let it.
    pub async fn verify(&self, address: &Address) -> Result<Verified, AuditError> {
        let stream = &self.plan.job.stream;
        let lanes = (0..).zip(&self.partitions);
        let evidence = Evidence {
            stream,
            seed: self.plan.common.seed,
            origin_us: self.origin_us,
            complete: self.complete,
            partitions: lanes
                .map(|(lane, saved)| (saved.first_id, stream.schedule(lane), saved.account.clone()))
                .collect(),
        };
        let partitions = audit(address, &evidence, &AtomicU64::new(0)).await?;
        let may_double = self.plan.job.recovery.delivery == Delivery::AtLeastOnce;
        let right = partitions.iter().all(|partition| partition.is_right(may_double));
        let text = self.render(&partitions, right);
        Ok(Verified { partitions, right, text })
    }

    fn render(&self, partitions: &[PartitionAudit], right: bool) -> String {
        let sum = |of: fn(&PartitionAudit) -> u64| format_count(partitions.iter().map(of).sum());
        let acknowledged = self.partitions.iter().map(|saved| saved.account.acknowledged.rows());
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "table       {}\nrows        {} acknowledged, {} read back",
            self.plan.job.stream.table,
            format_count(acknowledged.sum()),
            sum(|partition| partition.rows_found)
        );
        if !self.complete {
            let _ = writeln!(
                out,
                "            {} more, sent after the loader last saved its account",
                sum(|partition| partition.unaccounted)
            );
        }
        for (number, partition) in partitions.iter().enumerate() {
            let _ = differences(&mut out, number, partition);
        }
        let verdict = if right {
            "each acknowledged row is there as sent, and no other"
        } else {
            "THE TABLE IS NOT WHAT WAS SENT"
        };
        let _ = writeln!(out, "verdict     {verdict}");
        out
    }
}
