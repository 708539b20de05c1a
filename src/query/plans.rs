//! By which plan did an execution run? Where a session can have auto_explain, the server says so of
//! each one that is long enough not to feel it. Otherwise EXPLAIN is asked on the same session and in
//! the same arm, right behind an execution: before it, it would warm what is to be measured.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::asked::Asked;
use crate::pg::session::Notice;
use crate::pg::{self, Session};
use crate::record::{Ran, RanBy};
use crate::strom::Arm;
use crate::strom::evidence::Evidence;

/// An execution has its plan said if it takes this long. Saying it is within what is measured: 20 to
/// 100 µs for a plan of a few nodes, and on a machine with too much to do a millisecond or two, as the
/// client is woken once more.
const SAID_FROM: Duration = Duration::from_millis(100);
/// And a millisecond for each of so many bytes of the plan.
const BYTES_A_MS: usize = 300;
/// A plan that was asked for stands for the executions of at least so long.
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);
/// And for so many times as long as asking took: looks cost 5 % of the session's time at most.
const LOOK_SHARE: u32 = 20;
/// Texts of plans that are known by heart.
const READ_MAX: usize = 64;

/// Finds out for one session. Empty for a session that nobody has prepared.
#[derive(Default)]
pub(super) struct Plans {
    /// From which duration on the server says the plan; `None` if it does not.
    said_from: Option<Duration>,
    /// Plans that were read, by their text.
    read: HashMap<String, Arc<RanBy>>,
    /// The last plan that was asked for, by query and arm.
    looks: HashMap<(String, String), Look>,
}

struct Look {
    at: Instant,
    took: Duration,
    /// `None` if the server does not explain it.
    plan: Option<Arc<RanBy>>,
}

impl Look {
    fn is_due(&self) -> bool {
        self.at.elapsed() > LOOK_EVERY_MIN.max(self.took * LOOK_SHARE)
    }
}

impl Plans {
    /// Makes a new session say plans, if it may.
    ///
    /// # Errors
    /// When it is lost.
    pub(super) async fn begin(&mut self, session: &mut Session) -> Result<(), pg::Error> {
        self.looks.clear();
        self.said_from = session.log_plans(SAID_FROM).await?.then_some(SAID_FROM);
        Ok(())
    }

    /// The plan of an execution that is just over: said by the server, or asked for.
    ///
    /// # Errors
    /// When the session is lost.
    pub(super) async fn of_last(
        &mut self,
        session: &mut Session,
        asked: Asked<'_>,
        arm: &Arm,
        notices: &[Notice],
    ) -> Result<Option<Ran>, pg::Error> {
        // The last: before it come those of statements within.
        let Some(plan) = notices.iter().rev().find_map(Notice::plan) else {
            return self.look(session, asked, arm).await;
        };
        let by = self.read(plan);
        let key = (asked.query.name.clone(), arm.name.clone());
        let known = self.looks.get(&key).and_then(|look| look.plan.as_ref());
        if known.is_some_and(|known| known.hash != by.hash) {
            self.looks.remove(&key);
        }
        let least = Duration::from_millis((plan.len() / BYTES_A_MS) as u64);
        if self.said_from.is_some_and(|from| from < least) {
            session.log_plans_from(least).await?;
            self.said_from = Some(least);
        }
        Ok(Some(Ran { by, logged: true }))
    }

    /// The plan that a query has in the arm that the session is in; asked for if that was long ago.
    ///
    /// # Errors
    /// When the session is lost.
    async fn look(
        &mut self,
        session: &mut Session,
        asked: Asked<'_>,
        arm: &Arm,
    ) -> Result<Option<Ran>, pg::Error> {
        let key = (asked.query.name.clone(), arm.name.clone());
        if self.looks.get(&key).is_none_or(Look::is_due) {
            let began = Instant::now();
            let plan = match session.plan(&asked.literal()).await {
                Ok(plan) => Some(self.read(&plan)),
                Err(error) if error.is_lost() => return Err(error),
                Err(error) => {
                    tracing::debug!("the plan of `{}` ({arm}): {error}", asked.query.name);
                    None
                }
            };
            let look = Look { at: Instant::now(), took: began.elapsed(), plan };
            self.looks.insert(key.clone(), look);
        }
        let plan = self.looks.get(&key).and_then(|look| look.plan.clone());
        Ok(plan.map(|by| Ran { by, logged: false }))
    }

    fn read(&mut self, plan: &str) -> Arc<RanBy> {
        if let Some(known) = self.read.get(plan) {
            return Arc::clone(known);
        }
        let evidence = Evidence::read(plan);
        let by = Arc::new(RanBy {
            hash: evidence.shape_hash(),
            verdict: evidence.verdict.name(),
            words: evidence.describe(),
            shape: evidence.shape,
        });
        // The same shape comes with other estimates as a table grows.
        if self.read.len() >= READ_MAX {
            self.read.clear();
        }
        self.read.insert(plan.to_owned(), Arc::clone(&by));
        by
    }
}
