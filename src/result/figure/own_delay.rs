//! What times of the batches would have come to without the delay that is the loader's own: so a condition on
//! one is held against the loader only where it holds without that.

use super::{Known, NamedFigure, Of, Value};
use crate::result::JobResult;

impl NamedFigure {
    /// What it would have come to without the loader's own delay; `None`: that is no part of it, or not known.
    ///
    /// Of the response that was measured batch by batch. The service without its own part is no longer than
    /// the response without that; of a wait, and of rows, the same is taken away as of the response.
    pub fn without_own(&self, result: &JobResult) -> Option<Value> {
        let Of::Latency((of, percentile)) = self.figure.of else { return None };
        let stream = &result.stream()?.stream;
        let without = stream.histograms.without_own.percentiles()?;
        let own = of(result.stream()?)?;
        let (own_ms, without_ms) = (percentile.ms(&own), percentile.ms(&without));
        let number = match self.figure.name.split('_').next() {
            Some("response") => without_ms,
            Some("service") => own_ms.min(without_ms),
            Some("wait" | "row") => {
                let less_ms = percentile.ms(&stream.response?) - without_ms;
                (own_ms - less_ms.max(0.0)).max(0.0)
            }
            _ => return None,
        };
        let is_bound = own.is_at_least(own_ms) && without.is_at_least(without_ms);
        Some(Value { number, known: if is_bound { Known::AtLeast } else { Known::Exactly } })
    }
}
