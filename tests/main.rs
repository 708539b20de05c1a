//! The integration tests, one binary so that it links once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is tests; clippy exempts the test functions only, not what they share"
)]

mod docs;
mod embedded;
mod faults;
mod oracle;
mod outputs;
mod planted;
mod poolers;
mod proxy;
mod real_server;
mod signals;
mod stream;
mod support;
mod tidy;
mod usage;
