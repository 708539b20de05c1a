//! The words that an option takes where it is a choice of a few.

use clap::ValueEnum;

use crate::plan;

/// `--gpu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Gpu {
    Auto,
    On,
    Off,
    Alternate,
}

/// `--delivery`. What is said here is the long help of the option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::enum_variant_names, reason = "they are the words of the option")]
pub(super) enum Delivery {
    /// A batch in doubt is looked up by its transaction id, and by its rows, and sent again only
    /// if it is not there; if that cannot be found out, it is counted as undecided
    ExactlyOnce,
    /// A batch in doubt is sent again; its rows may be doubled
    AtLeastOnce,
    /// A batch in doubt is not sent again; its rows may be missing
    AtMostOnce,
}

/// `--on-fault`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnFault {
    /// Reconnect or wait, as the error asks for, and go on
    Recover,
    /// End the run with exit code 4
    Stop,
}

/// `--audit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Audit {
    /// Read back every row of the run and compare it byte by byte with what was sent
    Full,
    /// Only count the rows
    Count,
    /// Do not look
    Off,
}

impl From<Gpu> for plan::GpuChoice {
    fn from(choice: Gpu) -> Self {
        match choice {
            Gpu::Auto => Self::Auto,
            Gpu::On => Self::On,
            Gpu::Off => Self::Off,
            Gpu::Alternate => Self::Alternate,
        }
    }
}

impl From<Delivery> for plan::Delivery {
    fn from(choice: Delivery) -> Self {
        match choice {
            Delivery::ExactlyOnce => Self::ExactlyOnce,
            Delivery::AtLeastOnce => Self::AtLeastOnce,
            Delivery::AtMostOnce => Self::AtMostOnce,
        }
    }
}

impl From<OnFault> for plan::OnFault {
    fn from(choice: OnFault) -> Self {
        match choice {
            OnFault::Recover => Self::Recover,
            OnFault::Stop => Self::Stop,
        }
    }
}

impl From<Audit> for plan::Audit {
    fn from(choice: Audit) -> Self {
        match choice {
            Audit::Full => Self::Full,
            Audit::Count => Self::Count,
            Audit::Off => Self::Off,
        }
    }
}
