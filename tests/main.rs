//! The integration tests, one binary so that it links once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is tests; clippy exempts the test functions only, not what they share"
)]

mod arrays;
mod arrow;
mod bench;
mod blame;
mod capabilities;
mod clean;
mod clock;
mod compare;
mod conditional;
mod dashboards;
mod data_files;
mod datasets;
mod deploy;
mod docs;
mod doctor;
mod elsewhere;
mod embedded;
mod endings;
mod estimates;
mod executions;
mod exits;
mod faults;
mod freshness;
mod from_table;
mod fuzz;
mod gpu_service;
mod gpus;
mod identity;
mod manual;
mod oracle;
mod outputs;
mod pages;
mod parameters;
mod pgbench;
mod plans;
mod planted;
mod poolers;
mod profiles;
mod proxy;
mod read_only;
mod real_server;
mod references;
mod refused;
mod reservation;
mod results;
mod role_limits;
mod runs_compared;
mod signals;
mod silence;
mod starts;
mod statistics;
mod stream;
mod support;
mod sweeps;
mod switchback;
mod synthetic;
mod tables;
mod thresholds;
mod tidy;
mod timed;
mod transactions;
mod untouched;
mod usage;
mod waits;
