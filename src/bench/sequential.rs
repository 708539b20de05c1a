//! The biased order: every query in the first arm, then every query in the other, nothing warmed.

use tokio::time::Instant;

use super::{ArmSamples, BenchError, Bencher, Doing, Executed, Limit, Measured};
use crate::result::benchmark::Halted;
use crate::stats::Pair;

impl Bencher {
    /// Measures all of `queries` in the biased order: every query in the first arm, then every
    /// query in the other, nothing warmed.
    ///
    /// # Errors
    /// As for [`Bencher::measure`].
    pub(crate) async fn measure_sequentially(
        &mut self,
        queries: &[usize],
    ) -> Result<Vec<Measured>, BenchError> {
        let began = Instant::now();
        let arms =
            |query: &usize| vec![ArmSamples::default(); self.armed_queries[*query].arms.len()];
        let mut all: Vec<Vec<ArmSamples>> = queries.iter().map(arms).collect();
        let executions = self.plan.pairs_min.min(self.plan.pairs_max) as usize;
        let most = all.iter().map(Vec::len).max().unwrap_or(0);
        for arm in 0..most {
            for (number, (samples, query)) in all.iter_mut().zip(queries).enumerate() {
                let Some(samples) = samples.get_mut(arm) else { continue };
                while samples.times_ns.len() < executions && !samples.given_up && !self.is_over() {
                    let doing = Doing::Measuring { until: None };
                    self.tell(*query, doing, samples.times_ns.len(), began);
                    self.block = (number * executions + samples.times_ns.len()) as u64;
                    let values = samples.times_ns.len() as u64;
                    if let Executed::Answered(ns) =
                        self.execute((*query, arm), values, samples, true, Limit::Fails).await?
                    {
                        samples.times_ns.push(ns);
                    }
                }
            }
        }
        let mut measured = Vec::new();
        for (arms, query) in all.into_iter().zip(queries) {
            // Now: before, it would have warmed what must stay cold.
            let mut examined = self.examine(*query, &arms).await;
            examined.answers.timed = self.timed.compared(*query, 0, 0..arms.len());
            let pairs: Vec<Pair> = match arms.as_slice() {
                [a, b] => {
                    let both = a.times_ns.iter().zip(&b.times_ns);
                    both.map(|(a, b)| Pair { a_ns: *a, b_ns: *b }).collect()
                }
                _ => Vec::new(),
            };
            let failed = arms.iter().any(|arm| arm.given_up);
            measured.push(Measured {
                comparison: self.compared(std::slice::from_ref(&pairs)),
                repeats: vec![pairs],
                began,
                halted: match (self.is_over(), failed) {
                    (true, _) => Halted::Stopped,
                    (_, true) => Halted::ArmFailed,
                    _ => Halted::EnoughPairs,
                },
                arms,
                examined,
                took: began.elapsed(),
            });
        }
        Ok(measured)
    }
}
