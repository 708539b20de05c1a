//! The integration tests, one binary so that it links once.

mod docs;
mod embedded;
mod support;
mod tidy;
