//! What a stream and the queries beside it show.

use super::{Advice, Severity, listed};
use crate::quantity::{format_bytes, format_count, format_counted, format_ms, format_seconds};
use crate::record::Percentile;
use crate::result::JobResult;
use crate::result::loader::Bottleneck;
use crate::result::query::QueryReport;
use crate::result::stream::StreamRun;

use Severity::{Critical, Note, Warning};

/// A checkpoint begins when so much of `max_wal_size` is written: the rest is for the checkpoint
/// itself, which by default spreads over nine tenths of the time to the next.
pub(crate) const WAL_SHARE: f64 = 1.0 / 1.9;
/// A query that takes more of the readers' time leaves the others none,
const HOG_SHARE: f64 = 0.8;
/// and one that is measured fewer times than this beside it was starved,
const STARVED_MAX: u64 = 10;
/// if it is so much shorter.
const SHORTER: f64 = 10.0;

pub(super) fn advise(result: &JobResult, run: &StreamRun) -> Vec<Advice> {
    let own = [loader_limited(run), small_wal(result, run), past_shared_buffers(result, run)];
    let rest = [readers_starved(run), clock_set(run)];
    own.into_iter().chain(rest).flatten().collect()
}

fn loader_limited(run: &StreamRun) -> Option<Advice> {
    let loader = &run.loader;
    let missed = loader.bottleneck.is_own();
    let who = if missed { loader.bottleneck } else { loader.late_by };
    if !who.is_own() {
        return None;
    }
    let (own, response) = (loader.own_delay?, run.stream.response?);
    // Rows that wait behind a rate that cannot be kept make the response long whoever is slow.
    let is_known = Percentile::P99.is_known(response.count);
    let fact = match missed || !is_known {
        true => loader.reason.clone(),
        false => format!(
            "{}; its own part of the response is {} at p99, of {}",
            loader.reason,
            format_ms(own.p99_ms),
            format_ms(response.p99_ms)
        ),
    };
    let (severity, why) = match (missed, who) {
        (true, Bottleneck::Machine) => (
            Critical,
            "the rate is that of the loader's machine, which it shares with others, not of a server alone",
        ),
        (true, _) => (Critical, "the rate is the loader's, not the server's"),
        (false, _) => (Warning, "the response times are the loader's, not the server's"),
    };
    let fix = match who {
        Bottleneck::Machine => "stop what else runs on the loader's machine, or use another one",
        _ => {
            "run the loader on another machine than the server; or fewer --partitions, a larger \
             --batch-rows, a lower --rate"
        }
    };
    Some(Advice::new("loader-limited", severity, fact, why, fix))
}

fn small_wal(result: &JobResult, run: &StreamRun) -> Option<Advice> {
    let work = run.server_work.as_ref()?;
    let requested = work.checkpoints_requested.filter(|requested| *requested > 0)?;
    let max = result.server.facts.bytes("max_wal_size")?;
    let timeout_s = result.server.facts.seconds("checkpoint_timeout")?;
    let wal_per_s = work.wal_bytes? as f64 / work.over_s;
    // Somebody asked for it, if the log was not that much.
    if !wal_per_s.is_finite() || work.wal_bytes? as f64 <= max as f64 * WAL_SHARE {
        return None;
    }
    let wanted = (wal_per_s * timeout_s / WAL_SHARE / f64::from(1 << 30)).ceil();
    Some(Advice::new(
        "small-wal",
        Warning,
        format!(
            "{} forced in {}: {} of log, {}/s, with max_wal_size = {}",
            format_counted(requested, "checkpoint was", "checkpoints were"),
            format_seconds(work.over_s),
            format_bytes(work.wal_bytes?),
            format_bytes(wal_per_s as u64),
            format_bytes(max)
        ),
        "after each checkpoint whole pages go to the log again: throughput falls in waves",
        format!("ALTER SYSTEM SET max_wal_size = '{wanted:.0}GB'; SELECT pg_reload_conf()"),
    ))
}

/// Of queries that read the table it matters whether it fits.
fn past_shared_buffers(result: &JobResult, run: &StreamRun) -> Option<Advice> {
    let table = run.server_work.as_ref()?.table_bytes?;
    let buffers = result.server.facts.bytes("shared_buffers")?;
    if table <= buffers || run.queries.is_empty() || run.readers.server.is_some() {
        return None;
    }
    Some(outgrown("the table of the stream", table, buffers))
}

/// A table that does not fit into the buffers.
pub(super) fn outgrown(table: &str, bytes: u64, buffers: u64) -> Advice {
    Advice::new(
        "past-shared-buffers",
        Note,
        format!(
            "{table} has {}, and shared_buffers is {}",
            format_bytes(bytes),
            format_bytes(buffers)
        ),
        "queries read a part of it from the operating system or the disk, each time another one: \
         their times have two levels",
        "compare with a table that fits, or give shared_buffers about a quarter of the memory and \
         restart the server",
    )
}

fn readers_starved(run: &StreamRun) -> Option<Advice> {
    let busy_s = |query: &QueryReport| query.histograms.service.sum_s();
    let all_s: f64 = run.queries.iter().map(busy_s).sum();
    let of_query = |name: &str| -> f64 {
        run.queries.iter().filter(|own| own.query == name).map(busy_s).sum()
    };
    let hog = run
        .queries
        .iter()
        .max_by(|one, other| of_query(&one.query).total_cmp(&of_query(&other.query)))?;
    let share = of_query(&hog.query) / all_s;
    if !share.is_finite() || share < HOG_SHARE {
        return None;
    }
    let long_ms = hog.service?.p50_ms;
    let starved = run.queries.iter().filter(|own| {
        let short = own.service.is_some_and(|service| service.p50_ms * SHORTER < long_ms);
        own.query != hog.query && short && own.histograms.service.count() < STARVED_MAX
    });
    let starved: Vec<&QueryReport> = starved.collect();
    let least = starved.iter().map(|own| own.histograms.service.count()).min()?;
    Some(Advice::new(
        "readers-starved",
        Warning,
        format!(
            "`{}` took {:.0} % of the readers' time; beside it {} ran {} times or little more",
            hog.query,
            share * 100.0,
            listed(starved.iter().map(|own| own.query.as_str())),
            format_count(least)
        ),
        "a reader that is at a long query asks no other: the short ones have few samples, and wait",
        "more --readers, a lower `weight` for the long query, or a run of its own for it",
    ))
}

fn clock_set(run: &StreamRun) -> Option<Advice> {
    let first = run.clock_steps.first()?;
    let more = match run.clock_steps.len() {
        1 => String::new(),
        several => format!(", and {} times more", several - 1),
    };
    Some(Advice::new(
        "clock-set",
        Warning,
        format!("{first}{more}"),
        "no figure is taken from it; but a query over a window of time, such as the last minute, \
         looks at another window than the one that rows fall into",
        "let NTP slew the clock, and repeat the run",
    ))
}
