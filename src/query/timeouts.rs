//! A query on the GPU that is not answered in time: is it slow, or does the GPU service sleep?

use std::sync::atomic::{AtomicBool, Ordering};

use crate::pg::{self, Address, QUERY_CANCELED};
use crate::strom::{self, Arm, Gpu, GpuService, Roused};

/// Looks at the GPU service after the first timeout on the GPU, for all sessions of a job; and
/// again after the first one since a query was answered there.
#[derive(Debug, Default)]
pub struct Timeouts {
    /// Whether the service was looked at since the last answer.
    looked: AtomicBool,
}

impl Timeouts {
    /// A query was answered in this arm.
    pub fn answered(&self, arm: &Arm) {
        if arm.gpu == Gpu::On {
            self.looked.store(false, Ordering::Relaxed);
        }
    }

    /// A query failed in this arm. If it timed out on the GPU, finds out why, wakes the service if
    /// that sleeps, and says so.
    pub async fn failed(&self, address: &Address, arm: &Arm, error: &pg::Error) {
        let timed_out = error.sqlstate() == Some(QUERY_CANCELED);
        if !timed_out || arm.gpu != Gpu::On || self.looked.swap(true, Ordering::Relaxed) {
            return;
        }
        match strom::rouse(address).await {
            Ok(Roused::Awake(GpuService::Answers)) => tracing::info!(
                "PG-Strom answers a small query on the GPU: the one that timed out takes longer \
                 than its statement timeout"
            ),
            Ok(Roused::Awake(GpuService::Fails(said))) => {
                tracing::warn!("PG-Strom fails a small query on the GPU, too: {said}");
            }
            Ok(Roused::Awake(_)) => {}
            Ok(Roused::Woken) => tracing::warn!("{}", strom::WOKEN),
            Ok(Roused::MayNotWake) => tracing::warn!("{}", strom::StromError::Asleep),
            Ok(Roused::Dead) => tracing::warn!("{}", strom::StromError::Dead),
            Err(error) => tracing::warn!("the GPU service could not be looked at: {error}"),
        }
    }
}
