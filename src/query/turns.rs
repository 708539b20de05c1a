//! Which query comes next, in which arm: for all readers of a run together. They share time, see
//! [`Shares`](super::shares::Shares), and are in one arm at a time, see
//! [`Switchback`](super::switchback::Switchback). Pure: the clock is an argument.

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::dealer::Dealer;
use super::numbering::Numbering;
pub(super) use super::shares::Candidate;
use super::shares::{Ended, Shares};
pub(super) use super::switchback::Completed;
use super::switchback::{RanOnce, Switchback};

/// How often the measurement of a run is made, each time with new sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeats {
    /// When the first one begins, since the start.
    pub(crate) from: Duration,
    /// How long each takes; `None`: there is one, without an end.
    pub(crate) each: Option<Duration>,
    /// How many there are.
    pub(crate) count: u32,
}

impl Repeats {
    /// The one that goes on at `now`, from 0 on.
    fn at(&self, now: Duration) -> u32 {
        let Some(each) = self.each.filter(|each| !each.is_zero()) else { return 0 };
        let over = now.saturating_sub(self.from).as_nanos() / each.as_nanos();
        u32::try_from(over).unwrap_or(u32::MAX).min(self.count.saturating_sub(1))
    }
}

/// Chooses the turns of all readers.
#[derive(Debug)]
pub(super) struct Turns {
    candidates: Vec<Candidate>,
    shares: Shares,
    /// `None`: no query has two arms.
    switchback: Option<Switchback>,
    readers: Vec<ReaderState>,
    numbering: Numbering,
    /// For the order of the arms only: it depends on the seed and the round, whatever else happens.
    arms_dealer: Dealer,
    dealer: Dealer,
    repeats: Repeats,
    /// The repeat that goes on.
    repeat: u32,
}

/// What is known of a reader.
#[derive(Debug)]
struct ReaderState {
    /// By query and arm: whether this session has run it. The first execution of a session pays
    /// for caches and for the GPU's context, two or three times its later cost.
    warm: Vec<Vec<bool>>,
    /// The arm in which it last ran a query of two arms.
    arm: Option<usize>,
    in_hand: Option<InHand>,
    /// Executions that it has begun.
    begun: u64,
    /// Whether its session is of the repeat before: nothing that it runs there is warm.
    is_stale: bool,
}

/// An execution that is not over.
#[derive(Debug, Clone, Copy)]
struct InHand {
    query: usize,
    arm: usize,
    /// When it began, since the start.
    began: Duration,
    expected: Option<Duration>,
    /// Whether the query has two arms.
    is_compared: bool,
    role: Role,
    /// The query whose share it is of; `None`: nobody's, as the readers had to get warm.
    payer: Option<usize>,
    /// The round and the arm of its block.
    block: (u64, usize),
    /// The number of its values.
    number: u64,
}

/// What an execution is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// To be a sample, if it is answered.
    Sample,
    /// Its query's own, and no sample.
    Own,
    /// The first of its session after a switch: to get warm in the arm.
    Warming,
    /// To keep the load up until the block's last execution is over.
    Filling,
}

/// A query that was chosen, and the one whose share it is of.
struct Chosen {
    query: usize,
    payer: Option<usize>,
}

/// What runs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) query: usize,
    pub(super) arm: usize,
    /// The round, or the reader's own count where no query has two arms.
    pub(super) block: u64,
    /// Whether this session has not run it yet.
    pub(super) cold: bool,
    /// When it is cut, after it was sent.
    pub(super) limit: Option<Duration>,
    /// The number of the values that it is asked with.
    pub(super) number: u64,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answered after this service time; `measured`: it was due in the measurement.
    Answered { service: Duration, measured: bool },
    /// Given up after so long, at a limit of ours or of the server's.
    Cut(Duration),
    /// The server refused or failed it, or the session was lost.
    Failed,
}

impl Turns {
    /// Turns of so many readers in a run that repeats its measurement like this.
    pub(super) fn new(
        candidates: Vec<Candidate>,
        readers: u32,
        repeats: Repeats,
        seed: u64,
    ) -> Self {
        let warm = || candidates.iter().map(|one| vec![false; one.arms]).collect();
        let reader =
            |_| ReaderState { warm: warm(), arm: None, in_hand: None, begun: 0, is_stale: false };
        let run = repeats.each;
        let (mut arms_dealer, dealer) = (Dealer::new(seed), Dealer::new(!seed));
        let compares = candidates.iter().any(|one| one.arms == 2);
        let matched = candidates.iter().map(|one| one.has_parameters).collect();
        Self {
            shares: Shares::new(&candidates, run, readers),
            switchback: compares.then(|| Switchback::new(matched, run, &mut arms_dealer)),
            numbering: Numbering::new(candidates.len()),
            readers: (0..readers).map(reader).collect(),
            candidates,
            arms_dealer,
            dealer,
            repeats,
            repeat: 0,
        }
    }

    /// Begins the next repeat if it is time: rounds that are not over are let go, and each reader is
    /// to have another session. The number of the one that goes on.
    pub(super) fn begin_repeat(&mut self, now: Duration) -> u32 {
        let wanted = self.repeats.at(now);
        if wanted > self.repeat {
            self.repeat = wanted;
            for reader in 0..self.readers.len() {
                self.session_lost(reader);
                self.readers[reader].is_stale = true;
            }
            self.shares.begin_anew();
            if let Some(switchback) = &mut self.switchback {
                switchback.begin_anew(now, &mut self.arms_dealer);
                self.numbering.next_round();
            }
        }
        self.repeat
    }

    /// Whether a reader is to have another session, which it is taken to have from now on.
    pub(super) fn renews_session(&mut self, reader: usize) -> bool {
        std::mem::take(&mut self.readers[reader].is_stale)
    }

    /// The next turn of a reader, at `now` since the start; `each` is told what came of which query.
    pub(super) fn next(
        &mut self,
        reader: usize,
        now: Duration,
        each: impl FnMut(usize, Completed),
    ) -> Turn {
        // Where nothing is due for a while, no turn ends to end the block.
        self.advance(now, each);
        let (query, arm, block, role, payer) = match &self.switchback {
            None => {
                let chosen = self.shares.least_used(0..self.candidates.len(), &mut self.dealer);
                let query = chosen.unwrap_or_default();
                (query, 0, (0, 0), Role::Own, Some(query))
            }
            Some(switchback) => {
                let block = (switchback.round(), switchback.arm());
                let is_warming = self.readers[reader].arm != Some(block.1);
                let Chosen { query, payer } = self.choose(reader, now, is_warming);
                let arm = self.arm_of(query, block.1);
                (query, arm, block, self.role(reader, query, block.1, is_warming), payer)
            }
        };
        let expected = self.shares.expected(query, arm);
        self.shares.begin(query, arm);
        let is_compared = self.candidates[query].arms == 2;
        let number = match role {
            Role::Sample => self.numbering.sample(query, arm),
            // Of one arm there are no pairs, and every execution counts.
            _ if !is_compared => self.numbering.sample(query, arm),
            _ => self.numbering.other(query, arm),
        };
        let state = &mut self.readers[reader];
        state.begun += 1;
        let began = now;
        state.in_hand =
            Some(InHand { query, arm, began, expected, is_compared, role, payer, block, number });
        if is_compared && !state.is_stale {
            state.arm = Some(arm);
        }
        Turn {
            query,
            arm,
            block: if self.switchback.is_some() { block.0 } else { state.begun },
            cold: !state.warm[query][arm],
            limit: self.shares.limit(query, arm),
            number,
        }
    }

    /// Notes how a reader's turn ended, at `now`; `each` is told what came of which query. Whether the
    /// execution was a sample of its block.
    pub(super) fn end(
        &mut self,
        reader: usize,
        now: Duration,
        outcome: Outcome,
        mut each: impl FnMut(usize, Completed),
    ) -> bool {
        let state = &mut self.readers[reader];
        let Some(in_hand) = state.in_hand.take() else { return false };
        let InHand { query, arm, began, expected, role, payer, number, .. } = in_hand;
        let is_answered = matches!(outcome, Outcome::Answered { .. });
        state.warm[query][arm] = is_answered && !state.is_stale;
        let was_known = self.shares.expected(query, arm).is_some();
        let (took, cut) = match outcome {
            Outcome::Answered { service, .. } => (service, false),
            Outcome::Cut(after) => (after, true),
            Outcome::Failed => (now.saturating_sub(began), false),
        };
        let ended = Ended { expected, took, payer, answered: is_answered, cut };
        self.shares.end(query, arm, ended);
        let Some(switchback) = &mut self.switchback else { return false };
        let is_slow = self.shares.is_slow(query);
        if in_hand.is_compared && !was_known && (is_answered || cut) {
            each(query, Completed::Tried { arm, after: took, cut });
        }
        let of_this_block = in_hand.block == (switchback.round(), switchback.arm());
        let mut is_sample = false;
        if of_this_block && !in_hand.is_compared {
            switchback.had(query);
        } else if of_this_block {
            let ran = match outcome {
                Outcome::Answered { service, measured: true } if role == Role::Sample => {
                    is_sample = true;
                    RanOnce::Sample(service, number)
                }
                Outcome::Answered { .. } if role == Role::Sample => RanOnce::Early,
                Outcome::Answered { .. } if is_slow => RanOnce::Enough,
                Outcome::Answered { .. } => RanOnce::Cold,
                Outcome::Cut(_) => RanOnce::Enough,
                Outcome::Failed => RanOnce::Broken,
            };
            switchback.note(query, &ran);
        }
        self.advance(now, each);
        is_sample
    }

    /// A reader has another session: nothing is warm in it.
    pub(super) fn session_lost(&mut self, reader: usize) {
        let state = &mut self.readers[reader];
        state.warm.iter_mut().flatten().for_each(|warm| *warm = false);
        state.arm = None;
    }

    /// Ends the block once its time is up, it has what it waits for, and all that began in it is over.
    fn advance(&mut self, now: Duration, each: impl FnMut(usize, Completed)) {
        let Some(switchback) = &mut self.switchback else { return };
        switchback.close_if_over(now);
        let block = (switchback.round(), switchback.arm());
        let is_held = |state: &ReaderState| state.in_hand.is_some_and(|one| holds(&one, block));
        if !switchback.is_closing() || self.readers.iter().any(is_held) {
            return;
        }
        let (shares, candidates) = (&self.shares, &self.candidates);
        let goal = |query| {
            is_eligible(shares, candidates, query)
                && shares.is_behind(query, eligible(shares, candidates))
        };
        switchback.switch(now, goal, &mut self.arms_dealer, each);
        if switchback.round() != block.0 {
            self.numbering.next_round();
        }
    }

    fn arm_of(&self, query: usize, arm: usize) -> usize {
        if self.candidates[query].arms == 2 { arm } else { 0 }
    }

    /// What an execution that begins now is for.
    fn role(&self, reader: usize, query: usize, arm: usize, is_warming: bool) -> Role {
        let Some(switchback) = &self.switchback else { return Role::Own };
        if self.candidates[query].arms != 2 {
            return if switchback.is_closing() { Role::Filling } else { Role::Own };
        }
        let overlaps = |state: &ReaderState| {
            state.in_hand.is_some_and(|one| one.is_compared && one.arm != arm)
        };
        if switchback.is_closing() {
            Role::Filling
        } else if self.shares.limit(query, arm).is_some() {
            // Whatever comes of it, it may be all that is ever known of the query there.
            Role::Own
        } else if is_warming {
            Role::Warming
        } else if !self.readers[reader].warm[query][arm] || self.readers.iter().any(overlaps) {
            Role::Own
        } else {
            Role::Sample
        }
    }

    /// The query of a reader's next turn. `is_warming`: it was last in the other arm.
    fn choose(&mut self, reader: usize, now: Duration, is_warming: bool) -> Chosen {
        let own = |query| Chosen { query, payer: Some(query) };
        let Self { candidates, shares, switchback, readers, dealer, .. } = self;
        let Some(switchback) = switchback else { return own(0) };
        let arm = switchback.arm();
        let arm_of = |query: usize| if candidates[query].arms == 2 { arm } else { 0 };
        let all = || eligible(shares, candidates);
        let is_compared = |query: &usize| candidates[*query].arms == 2;
        let in_hand = |query: usize| {
            let others = readers.iter().filter_map(|state| state.in_hand);
            others.filter(|one| one.query == query && one.arm == arm_of(query)).count()
        };
        // A long query stays with a reader that is warm in it, as does one that somebody tries.
        let suits = |query: &usize| {
            let (query, arm) = (*query, arm_of(*query));
            let is_warm = |state: &ReaderState| state.warm[query][arm];
            match shares.expected(query, arm) {
                None => in_hand(query) == 0,
                Some(expected) => {
                    expected < switchback.block_time()
                        || is_warm(&readers[reader])
                        || !readers.iter().any(is_warm)
                }
            }
        };
        if is_warming && !switchback.is_closing() {
            let known = |query: &usize| shares.limit(*query, arm).is_none();
            let cheapest = shares.cheapest(all().filter(is_compared).filter(known), arm_of);
            if let Some(query) = cheapest {
                return Chosen { query, payer: None };
            }
        }
        if !switchback.is_closing() {
            let wanted = || {
                let awaited = |query: usize| {
                    let mut others = readers.iter().filter_map(|state| state.in_hand);
                    others.any(|one| one.query == query && one.role != Role::Warming)
                };
                let wanted = |query: &usize| switchback.wants(*query);
                (0..candidates.len()).filter(wanted).filter(move |query| !awaited(*query))
            };
            if let Some(query) = shares.least_used(wanted().filter(suits), dealer) {
                return own(query);
            }
            if !switchback.is_time_up(now) {
                let of_round =
                    |query: &usize| !is_compared(query) || switchback.is_of_round(*query);
                if let Some(query) = shares.least_used(all().filter(of_round).filter(suits), dealer)
                {
                    return own(query);
                }
            }
        }
        // The block lasts longer for the sake of the one that is over last. What is short enough to be
        // over before it, or else the shortest.
        let left = readers.iter().filter_map(|state| {
            let one = state.in_hand?;
            let left = one.expected?.saturating_sub(now.saturating_sub(one.began));
            Some((left, one.query))
        });
        let last = left.max();
        let left = last.map_or(Duration::ZERO, |(left, _)| left);
        let is_short = |query: &usize| {
            shares.expected(*query, arm_of(*query)).is_some_and(|expected| expected <= left)
        };
        let query = shares
            .least_used(all().filter(is_short), dealer)
            .or_else(|| shares.cheapest(all(), arm_of))
            .or_else(|| shares.least_used(all(), dealer))
            .unwrap_or_default();
        Chosen { query, payer: last.map(|(_, query)| query) }
    }
}

/// Whether the block waits for an execution: nothing that only fills it up.
fn holds(one: &InHand, block: (u64, usize)) -> bool {
    one.is_compared && one.block == block && one.role != Role::Filling
}

/// The queries that may be asked: those that fit into their shares; where none does, those that were
/// not given up; else all.
fn eligible(shares: &Shares, candidates: &[Candidate]) -> impl Iterator<Item = usize> + Clone {
    let all = 0..candidates.len();
    let most = all.clone().map(|query| rank(shares, query)).max().unwrap_or_default();
    all.filter(move |query| rank(shares, *query) == most)
}

fn is_eligible(shares: &Shares, candidates: &[Candidate], query: usize) -> bool {
    eligible(shares, candidates).any(|one| one == query)
}

fn rank(shares: &Shares, query: usize) -> u8 {
    match (shares.fits(query), shares.is_given_up(query)) {
        (true, _) => 2,
        (false, false) => 1,
        (false, true) => 0,
    }
}
