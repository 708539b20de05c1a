//! The integration tests, one binary so that it links once.

mod embedded;
mod oracle;
mod outputs;
mod signals;
mod stream;
mod support;
mod usage;
