//! The resolved plan: every value explicit, validated, defaulted. Never touches the network.
//!
//! `Plan::resolve` layers flags over the environment over the file over the defaults, and
//! reports every fault at once.

mod arrival;
pub(crate) mod bench;
mod builtin;
mod caret;
mod column;
mod dropped;
mod evidence;
mod fault;
mod files;
mod given;
mod kind;
mod limits;
mod measured;
mod outline;
mod overrides;
mod parameters;
mod pick;
mod query;
mod query_text;
mod readers;
mod recovery;
mod recreate;
mod references;
mod render;
mod resolve;
mod resolver;
mod setting;
mod shape;
mod source;
mod sql;
mod sql_place;
mod stream;
mod stream_job;
pub(crate) mod sweep;
mod table;
mod table_name;
mod template;
#[cfg(test)]
mod tests;
mod threshold;
mod type_name;
mod unwritten;
mod value_text;
mod values;
mod wanted;
mod watch;

pub(crate) use crate::result::shell_word;
pub use builtin::{BUILTINS, builtin};
pub use caret::Caret;
pub(crate) use column::declaration;
pub use evidence::{ArmPlan, EvidencePlan};
pub use fault::{Fault, Faults, Origin, Place, nearest};
pub use files::{NamedFile, ProfileFiles};
pub use kind::Kind;
pub use outline::{Aggregates, Outline};
pub use overrides::{Override, Overrides};
pub use parameters::Parameters;
pub use query::{AnswerRule, Query};
pub use query_text::Statement;
pub use readers::Readers;
pub use recovery::Recovery;
pub use recreate::Recreate;
pub use references::{KEYS_MAX, Keys, KeysBuilder, KeysFault, Reference};
pub use render::render;
pub(crate) use render::render_profile;
pub use setting::{Form, Given, SETTINGS, Setting};
pub use shape::Shape;
pub use source::ProfileSource;
pub use sql::bare_sql;
pub(crate) use sql::{backslash, blank, first_word, parameter_names, rename_parameters, statement};
pub use sql_place::SqlPlace;
pub use stream::{Stream, StreamRate};
pub use stream_job::StreamJob;
pub use sweep::SweepJob;
pub use table::{Index, Table};
pub use table_name::{IDENTIFIER_BYTES_MAX, TableNameError, quote_identifier};
pub use template::Template;
pub use threshold::{Gate, Threshold, ThresholdOp};
pub(crate) use type_name::parse_type;
pub use unwritten::unwritten;
pub use watch::Watch;

pub use crate::profile::{
    Answers as AnswerCompare, Audit, Delivery, Gpu as GpuChoice, OnFault, Protocol, RowChanges,
};

use crate::profile::Profile;

/// Everything a run does, explicit: what every job has, and the one job. A room that serves one
/// kind of job takes a plan of that kind, such as `Plan<StreamJob>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<J = Job> {
    /// What every job has.
    pub common: Common,
    /// What is done.
    pub job: J,
}

/// What every job has.
#[derive(Debug, Clone, PartialEq)]
pub struct Common {
    /// The profile's name; names the results folder.
    pub name: String,
    /// Seed of all randomness.
    pub seed: u64,
    /// What is watched beside the load.
    pub watch: Watch,
    /// Conditions that the result must meet, checked at the end.
    pub thresholds: Vec<Threshold>,
    /// Tables that are filled with generated rows.
    pub tables: Vec<Table>,
    /// What flags and the environment give and this job has no use for.
    pub left_over: Vec<LeftOver>,
    /// The profile in which every default is written out: it resolves to this plan.
    pub profile: Box<Profile>,
}

/// What a flag or a variable gives and a job has no use for. Of several profiles another may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOver {
    /// Which value of a setting that may be given more than once; `None`: the setting.
    pub value: Option<String>,
    /// What is to be said of it if no profile has a use for it.
    pub fault: Fault,
}

impl LeftOver {
    /// Whether both are of the same flag or variable, and the same value.
    pub fn is_same(&self, other: &Self) -> bool {
        self.value == other.value && self.fault.place == other.fault.place
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Rows are streamed into a table, with readers beside.
    Stream(Box<StreamJob>),
    /// Queries on tables that stand still.
    Benchmark(Box<bench::Bench>),
    /// Settings of the server, compared by the queries of a benchmark.
    Sweep(Box<SweepJob>),
}

impl<J> From<&Plan<J>> for Profile {
    fn from(plan: &Plan<J>) -> Self {
        Self::clone(&plan.common.profile)
    }
}

impl Plan {
    /// The plan of a stream, if that is the job.
    pub fn into_stream(self) -> Option<Plan<StreamJob>> {
        let Self { common, job } = self;
        match job {
            Job::Stream(job) => Some(Plan { common, job: *job }),
            _ => None,
        }
    }
}

/// A table, optionally with its schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// Schema; `None`: by search_path.
    pub schema: Option<String>,
    /// Table.
    pub name: String,
}
