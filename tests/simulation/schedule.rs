//! What one seed stands for: who loads what, what the server is like, and what befalls them when.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::OnceLock;
use std::time::Duration;

use crate::plan::{
    Delivery, OnFault, Overrides, Plan, ProfileSource, Stream, StreamJob, StreamRate,
};
use crate::row::Values;

use super::dice::Dice;
use super::line::{Cut, How, Quality, Where};

/// Batches of a loader at most.
const BATCHES_MAX: u64 = 50;

const PROFILE: &str = r#"
name = "simulation"
warmup_s = 0
duration_s = 5
[stream]
table = "t"
partitions = 1
rows_per_s = 10
linger_ms = 100
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "part", type = "integer", values = "partition" },
    { name = "amount", type = "bigint", values = { integer = { min = 0, max = 1000000000000 } } },
    { name = "due", type = "timestamptz", values = "due_time" },
]
[readers]
count = 0
"#;

/// A server that does what it must not. The audit has to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A COMMIT whose answer is lost is applied twice.
    AppliesTwice,
    /// It says of transactions that are committed that they were aborted.
    DeniesCommits,
    /// A crash takes commits back that it has confirmed.
    ForgetsCommits,
    /// It stores other rows than were sent.
    AltersRows,
    /// It lets go of the locks of a session that still commits.
    FreesLocks,
}

/// What a server is like. Of what fails, one in so many does; none for 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traits {
    /// Whether what it confirmed outlasts a crash.
    pub(crate) durable: bool,
    /// Whether it may not know of transactions.
    pub(crate) forgets: bool,
    pub(crate) blocks_a_row: u64,
    pub(crate) bug: Option<Bug>,
    /// Connections that are refused, or not answered.
    pub(crate) refuses: u64,
    /// Connections that break.
    pub(crate) cuts: u64,
    /// How many messages, of the loader's, they last at most.
    pub(crate) cut_messages: u64,
    pub(crate) latency_ms: u64,
    pub(crate) late: u64,
    /// Statements that take long.
    pub(crate) slow: u64,
    pub(crate) slow_ms: u64,
    /// How long a flush takes.
    pub(crate) flush_ms: u64,
    /// Batches, and other statements, that fail.
    pub(crate) batches_fail: u64,
    pub(crate) statements_fail: u64,
    /// Whether they may fail for good.
    pub(crate) fails_for_good: bool,
}

impl Traits {
    /// What a new connection is like.
    pub(crate) fn quality(&self, dice: &mut Dice, troubled: bool) -> Quality {
        let cut = (troubled && dice.one_in(self.cuts)).then(|| {
            let at = match dice.one_in(3) {
                true => Where::Byte(dice.below(self.cut_messages * 20 + 1)),
                false => Where::Message(dice.below(self.cut_messages + 1)),
            };
            let how = match dice.below(8) {
                0..3 => How::Reset,
                3..6 => How::Late(dice.time(8_000)),
                6 => How::Hole,
                _ => How::Mute,
            };
            Cut { at, how }
        });
        let late_one_in = if troubled { self.late } else { 0 };
        let dice = dice.fork();
        Quality { cut, latency_ms: self.latency_ms, late_one_in, late_ms: 6_000, dice }
    }
}

/// What befalls the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// It crashes, for so long; or another one takes its place.
    Crash { down: Duration, elsewhere: bool },
    /// It stands still.
    Freeze(Duration),
    /// Somebody locks the table.
    Lock(Duration),
    /// Somebody ends a session.
    Terminate,
}

/// A loader.
#[derive(Debug, Clone)]
pub(crate) struct LoaderPlan {
    pub(crate) starts: Duration,
    /// How often it tries to be admitted.
    pub(crate) tries: u64,
    /// It stands still: when, and for how long.
    pub(crate) stops: Option<(Duration, Duration)>,
    /// It is killed.
    pub(crate) killed: Option<Duration>,
    /// Somebody asks it to end, before its schedule does.
    pub(crate) interrupted: Option<Duration>,
    pub(crate) plan: Plan<StreamJob>,
    /// Its results folder is away: when, and for how long.
    pub(crate) folder_away: Option<(Duration, Duration)>,
    pub(crate) pauses: u64,
}

/// A schedule.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// 0: rows have no key.
    pub(crate) partitions: u32,
    pub(crate) loaders: Vec<LoaderPlan>,
    pub(crate) traits: Traits,
    pub(crate) events: Vec<(Duration, Event)>,
    /// From when on, and until when, connections and statements fail.
    pub(crate) trouble: (Duration, Duration),
    pub(crate) delivery: Delivery,
    /// What the server draws.
    pub(crate) dice: Dice,
}

fn template() -> &'static Plan<StreamJob> {
    static TEMPLATE: OnceLock<Plan<StreamJob>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let source = ProfileSource::new("simulation", PROFILE);
        let plan = Plan::resolve(&source, &Overrides::default())
            .unwrap_or_else(|faults| panic!("{faults}"));
        plan.into_stream().unwrap()
    })
}

impl Schedule {
    pub(crate) fn draw(seed: u64, bug: Option<Bug>) -> Self {
        let mut dice = Dice::new(seed);
        let delivery = match dice.below(8) {
            0 if bug.is_none() => Delivery::AtLeastOnce,
            1 if bug.is_none() => Delivery::AtMostOnce,
            _ => Delivery::ExactlyOnce,
        };
        let partitions = dice.pick(&[0, 1, 1, 2, 3]);
        let lasts_ms = dice.between(500, 8_000);
        let durable = bug.is_some() || !dice.one_in(4);
        // Some kinds of trouble are not there in each schedule: what is always there hides the rest.
        let mut often = |from: u64, to: u64| match dice.one_in(3) {
            true => 0,
            false => dice.between(from, to),
        };
        let traits = Traits {
            durable,
            refuses: often(2, 12),
            cuts: if bug.is_some() { 1 } else { often(1, 4) },
            late: often(20, 400),
            slow: often(20, 400),
            batches_fail: often(4, 40),
            statements_fail: often(40, 400),
            flush_ms: often(1, 50),
            latency_ms: often(1, 20),
            slow_ms: 3_000,
            cut_messages: 0,
            fails_for_good: false,
            forgets: false,
            blocks_a_row: 0,
            bug,
        };
        let traits = Traits {
            cut_messages: dice.pick(&[20, 40, 80, 200]),
            fails_for_good: dice.one_in(40),
            forgets: dice.one_in(16),
            blocks_a_row: dice.pick(&[0, 0, 1, 100, 3_000]),
            ..traits
        };
        let mut events = Vec::new();
        for _ in 0..dice.below(5) {
            let at = Duration::from_millis(dice.below(lasts_ms + 3_000));
            let event = match dice.below(6) {
                0 | 1 => {
                    let down = dice.time(5_000);
                    Event::Crash { down, elsewhere: !durable && dice.one_in(3) }
                }
                2 => Event::Freeze(dice.time(8_000)),
                3 => Event::Lock(dice.time(8_000)),
                _ => Event::Terminate,
            };
            events.push((at, event));
        }
        events.sort_by_key(|(at, _)| *at);
        // Mostly only once the first loader is admitted, and seldom to the very end.
        let from = if dice.one_in(10) { 0 } else { 300 };
        let to = if dice.one_in(4) { 600_000 } else { dice.between(500, lasts_ms + 2_000) };
        let trouble = (Duration::from_millis(from), Duration::from_millis(to));
        let several = if dice.one_in(4) { dice.between(2, 3) } else { 1 };
        let mut loaders = Vec::new();
        for number in 0..several {
            let starts = if number == 0 { 0 } else { dice.between(100, lasts_ms + 6_000) };
            let mut one = |n, most: u64| {
                let at = Duration::from_millis(starts + dice.below(lasts_ms + 1_000));
                dice.one_in(n).then(|| (at, Duration::from_millis(dice.below(most + 1))))
            };
            let stops = if several > 1 && number == 0 { one(1, 40_000) } else { one(12, 8_000) };
            let killed = one(10, 0).map(|(at, _)| at);
            let interrupted = one(10, 0).map(|(at, _)| at);
            let folder_away = one(6, 6_000);
            let plan = plan(&mut dice, number, partitions, lasts_ms, delivery);
            let starts = Duration::from_millis(starts);
            let pauses = dice.draw();
            let tries = if number == 0 { 1 } else { dice.between(1, 20) };
            loaders.push(LoaderPlan {
                starts,
                tries,
                stops,
                killed,
                interrupted,
                plan,
                folder_away,
                pauses,
            });
        }
        let dice = dice.fork();
        Self { partitions, loaders, traits, events, trouble, delivery, dice }
    }
}

/// What a loader loads, and how patient it is.
fn plan(
    dice: &mut Dice,
    number: u64,
    partitions: u32,
    lasts_ms: u64,
    delivery: Delivery,
) -> Plan<StreamJob> {
    let ms = Duration::from_millis;
    let mut plan = template().clone();
    plan.common.seed = number;
    let job = &mut plan.job;
    job.duration = Some(ms(lasts_ms));
    job.drain_timeout = dice.time(20_000);
    let Stream { columns, partitions: all, connections, rate, batch_rows, linger, .. } =
        &mut job.stream;
    let rows = dice.between(1, 4);
    // Most are few, as what happens between two batches is what matters.
    let most = dice.pick(&[4, 8, 16, BATCHES_MAX]);
    let batches = dice.between(1, most);
    *all = NonZeroU32::new(partitions);
    if partitions == 0 {
        columns.retain(|column| column.values != Values::Partition);
    }
    // Some partitions have several lanes, and not all as many.
    let lanes = partitions.max(1) + dice.pick(&[0, 0, 0, 1, 2, 4]);
    *connections = NonZeroU32::new(lanes).unwrap_or(NonZeroU32::MIN);
    *batch_rows = NonZeroU32::new(rows as u32).unwrap_or(NonZeroU32::MIN);
    let per_s = (batches * rows * 1_000 / lasts_ms).max(1);
    *rate = StreamRate::RowsPerSecond(NonZeroU64::new(per_s).unwrap_or(NonZeroU64::MIN));
    *linger = ms(dice.pick(&[10, 100, 1_000]));
    let recovery = &mut job.recovery;
    recovery.delivery = delivery;
    recovery.on_fault = if dice.one_in(16) { OnFault::Stop } else { OnFault::Recover };
    recovery.reconnect_timeout = ms(dice.pick(&[1_000, 6_000, 20_000, 60_000]));
    recovery.batch_timeout = ms(dice.pick(&[200, 1_000, 10_000]));
    recovery.lease = ms(dice.pick(&[1_000, 3_000, 10_000, 60_000]));
    let least = rows * u64::from(lanes);
    let backlog = if dice.one_in(2) { least + dice.below(20) } else { 1_000_000 };
    recovery.backlog_rows = NonZeroU64::new(backlog).unwrap_or(NonZeroU64::MIN);
    recovery.catch_up_factor = dice.pick(&[1.5, 4.0, 100.0]);
    plan
}
