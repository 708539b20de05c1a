//! Samples the outside: this process itself, and the GPUs of this machine.

pub mod clock;
pub mod gpu;
pub(crate) mod machine;
pub mod process;
