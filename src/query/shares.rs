//! Who has had how much of the readers' time. Queries share it by their weights, and not the turns:
//! else one that takes a minute would leave nothing to one that takes a second. A query of which a
//! pair does not fit into its share of the run is tried once in each arm, and cut there.

use std::cmp::Ordering;
use std::num::NonZeroU32;
use std::time::Duration;

use super::dealer::Dealer;

/// Before that nothing is cut: a query that hangs for a moment, as its session is new or the machine
/// is busy, is not slow.
const TRIAL_MIN: Duration = Duration::from_secs(1);
/// Part of the run for which one query may keep all readers in its arms, however many readers there
/// are: the others want to be compared, too.
const OF_RUN_MAX: f64 = 0.4;
/// Executions that a pair of samples takes: each arm is run once before, and is not warm.
const WITH_WARMING: f64 = 4.0;
/// What is taken for the time of a query that has not run yet, seconds: little, but not nothing, so
/// that two readers do not begin the same one.
const UNKNOWN_S: f64 = 1e-3;

/// A query as it is chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Its part of the readers' time, beside the others.
    pub(super) weight: NonZeroU32,
    /// How many arms it has: one, or two that are compared.
    pub(super) arms: usize,
    /// Whether it has parameters, so that only executions of the same values are compared.
    pub(super) has_parameters: bool,
}

/// How a query's arm was last seen to end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    /// It was not run to any end yet.
    Nothing,
    /// It was answered after so many seconds.
    Answered(f64),
    /// It was given up after so many seconds: it takes at least as long.
    Cut(f64),
}

/// The account of a query, in seconds.
#[derive(Debug)]
struct Account {
    weight: f64,
    /// What it has had.
    used_s: f64,
    /// What those in hand are expected to take.
    in_hand_s: f64,
    /// By arm.
    seen: Vec<Seen>,
    /// What it may take in all, where the run has an end and the query two arms.
    share_s: Option<f64>,
    /// The part of it for which it may keep all readers in an arm, to be tried once.
    trial_s: Option<f64>,
}

impl Account {
    fn expected_s(&self, arm: usize) -> Option<f64> {
        match self.seen[arm] {
            Seen::Nothing => None,
            Seen::Answered(s) | Seen::Cut(s) => Some(s),
        }
    }

    /// What it has had, and is having, for its weight.
    fn level(&self) -> f64 {
        (self.used_s + self.in_hand_s) / self.weight
    }
}

/// The accounts of all queries.
#[derive(Debug)]
pub(super) struct Shares {
    accounts: Vec<Account>,
}

impl Shares {
    /// Shares for these queries of a run that takes so long with so many readers; `None`: it has no
    /// end, so everything fits in.
    pub(super) fn new(candidates: &[Candidate], run: Option<Duration>, readers: u32) -> Self {
        let weights: f64 = candidates.iter().map(|one| f64::from(one.weight.get())).sum();
        let account = |one: &Candidate| {
            let part = f64::from(one.weight.get()) / weights;
            let run_s = run.filter(|_| one.arms == 2).map(|run| run.as_secs_f64());
            let share_s = run_s.map(|run_s| run_s * part * f64::from(readers.max(1)));
            let most_s = run_s.map(|run_s| run_s * part.max(OF_RUN_MAX));
            Account {
                weight: one.weight.get().into(),
                used_s: 0.0,
                in_hand_s: 0.0,
                seen: vec![Seen::Nothing; one.arms],
                share_s,
                trial_s: share_s.zip(most_s).map(|(share_s, most_s)| share_s.min(most_s)),
            }
        };
        Self { accounts: candidates.iter().map(account).collect() }
    }

    /// The run, or a repeat of it, begins anew: nobody has had anything. What queries take stays known.
    pub(super) fn begin_anew(&mut self) {
        self.accounts.iter_mut().for_each(|account| account.used_s = 0.0);
    }

    /// One of these queries is begun.
    pub(super) fn begin(&mut self, query: usize, arm: usize) {
        let account = &mut self.accounts[query];
        account.in_hand_s += account.expected_s(arm).unwrap_or(UNKNOWN_S);
    }

    /// What was begun is over.
    pub(super) fn end(&mut self, query: usize, arm: usize, ended: Ended) {
        let account = &mut self.accounts[query];
        let expected_s = ended.expected.map_or(UNKNOWN_S, |expected| expected.as_secs_f64());
        account.in_hand_s = (account.in_hand_s - expected_s).max(0.0);
        let took_s = ended.took.as_secs_f64();
        match (ended.answered, ended.cut) {
            (true, _) => account.seen[arm] = Seen::Answered(took_s),
            // One that was answered before is slow today, and no other query for it.
            (_, true) if !matches!(account.seen[arm], Seen::Answered(_)) => {
                account.seen[arm] = Seen::Cut(took_s);
            }
            _ => {}
        }
        if let Some(payer) = ended.payer {
            self.accounts[payer].used_s += took_s;
        }
    }

    /// What an execution is expected to take, if it has run there before.
    pub(super) fn expected(&self, query: usize, arm: usize) -> Option<Duration> {
        let expected_s = self.accounts[query].expected_s(arm);
        expected_s.map(Duration::from_secs_f64)
    }

    /// Of these queries one that has had the least for its weight; chance decides between equals.
    pub(super) fn least_used(
        &self,
        queries: impl Iterator<Item = usize>,
        dealer: &mut Dealer,
    ) -> Option<usize> {
        let (mut least, mut equals) = (None, 0);
        for query in queries {
            let level = self.accounts[query].level();
            match least.map(|(_, least): (_, f64)| least.total_cmp(&level)) {
                Some(Ordering::Less) => continue,
                Some(Ordering::Equal) => equals += 1,
                Some(Ordering::Greater) | None => equals = 1,
            }
            // Each of n equals is taken with probability 1 / n.
            if equals == 1 || dealer.one_of(equals) {
                least = Some((query, level));
            }
        }
        least.map(|(query, _)| query)
    }

    /// The query that takes least time in an arm, of these and as far as that is known.
    pub(super) fn cheapest(
        &self,
        queries: impl Iterator<Item = usize>,
        arm_of: impl Fn(usize) -> usize,
    ) -> Option<usize> {
        let known = queries.filter_map(|query| {
            let account = &self.accounts[query];
            match account.seen[arm_of(query)] {
                Seen::Answered(s) => Some((query, s)),
                Seen::Nothing | Seen::Cut(_) => None,
            }
        });
        known.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(query, _)| query)
    }

    /// Whether a query has had no more than its part of what these have had.
    pub(super) fn is_behind(&self, query: usize, of: impl Iterator<Item = usize>) -> bool {
        let (mut used, mut weights) = (0.0, 0.0);
        for other in of {
            let account = &self.accounts[other];
            used += account.used_s + account.in_hand_s;
            weights += account.weight;
        }
        // Sums of the same numbers in another order differ in their last digits.
        self.accounts[query].level() * weights <= used * (1.0 + 1e-9)
    }

    /// Whether another pair of a query fits into its share; not known before it ran in both arms.
    pub(super) fn fits(&self, query: usize) -> bool {
        let account = &self.accounts[query];
        let Some(share_s) = account.share_s else { return true };
        let mut pair_s = 0.0;
        for seen in &account.seen {
            match seen {
                Seen::Nothing => return true,
                Seen::Answered(s) => pair_s += s,
                Seen::Cut(_) => pair_s = f64::INFINITY,
            }
        }
        account.used_s + pair_s <= share_s
    }

    /// Whether a query was given up in one of its arms, and tried in the other.
    pub(super) fn is_given_up(&self, query: usize) -> bool {
        let seen = &self.accounts[query].seen;
        !seen.contains(&Seen::Nothing) && seen.iter().any(|seen| matches!(seen, Seen::Cut(_)))
    }

    /// Whether a query is too slow to be warmed before it is measured: by what is known of its arms,
    /// a warm pair does not fit into its share.
    pub(super) fn is_slow(&self, query: usize) -> bool {
        let account = &self.accounts[query];
        let longest = (0..account.seen.len()).filter_map(|arm| account.expected_s(arm));
        let longest = longest.fold(0.0, f64::max);
        account.trial_s.is_some_and(|trial_s| longest * WITH_WARMING > trial_s)
    }

    /// After how long an execution is cut: at half of the query's share, or at what the other arm has
    /// left of it; `None` once it was seen to end in this arm.
    pub(super) fn limit(&self, query: usize, arm: usize) -> Option<Duration> {
        let account = &self.accounts[query];
        let trial_s = account.trial_s.filter(|_| account.seen[arm] == Seen::Nothing)?;
        let other = (0..account.seen.len()).find(|other| *other != arm);
        let other_s = other.and_then(|other| account.expected_s(other));
        let half_s = trial_s / 2.0;
        let left_s = other_s.map_or(half_s, |other_s| (trial_s - other_s).max(half_s));
        Some(Duration::from_secs_f64(left_s).max(TRIAL_MIN))
    }
}

/// How an execution ended, as far as shares are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// What it was expected to take.
    pub(super) expected: Option<Duration>,
    /// What it took.
    pub(super) took: Duration,
    /// The query for whose sake it was.
    pub(super) payer: Option<usize>,
    /// Whether it was answered.
    pub(super) answered: bool,
    /// Whether it was given up, at a limit of ours or of the server's.
    pub(super) cut: bool,
}
