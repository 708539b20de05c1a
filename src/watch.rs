//! Samples the outside: for now this process itself.

pub mod process;
