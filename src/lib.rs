//! strom-load: a streaming-ingestion and load generator for PostgreSQL with GPUs.
//!
//! The library holds every room of the program; the binary only turns arguments into a call.
//! ARCHITECTURE.md says which room does what, and what each must never know.

pub mod answer;
pub mod arrow;
pub(crate) mod bench;
pub mod cli;
pub mod command;
pub mod compare;
pub mod dataset;
pub mod doctor;
pub mod draft;
pub mod engine;
pub mod exit;
pub(crate) mod freshness;
pub(crate) mod ingest;
pub mod inject;
pub mod metric;
pub mod pace;
pub mod pg;
pub mod pgbench;
pub mod plan;
pub mod plot;
pub mod profile;
pub mod quantity;
pub(crate) mod query;
mod random;
pub mod record;
pub mod report;
pub mod result;
pub mod row;
pub mod series;
pub mod sink;
pub mod stats;
pub mod strom;
pub(crate) mod sweep;
pub(crate) mod verify;
pub mod watch;

#[cfg(test)]
#[path = "../tests/simulation.rs"]
mod simulation;
