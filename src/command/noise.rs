//! `strom-load doctor --noise`: how small a difference can be seen on a server.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{DoctorArgs, Format, Parsed};
use crate::doctor::noise::NoiseReport;
use crate::engine::{self, SameArm, Shutdown};
use crate::exit;
use crate::plan::{Job, Plan};
use crate::sink::terminal::Screen;

use super::{
    Failure, START_PATIENCE, Signals, ended, find_server, log_warnings, print, profiles,
    readers_address, readers_address_of, tell, until_started,
};

const NO_SERVER: &str = "the noise of no server can be measured\n  fix: name one with --database-url, or \
                         --data-dir for a kept one";

pub(super) async fn noise(
    parsed: &Parsed,
    args: &DoctorArgs,
    time: Duration,
) -> Result<u8, Failure> {
    let screen = Screen::new(false);
    log_warnings(&screen);
    let files: Vec<PathBuf> = args.profile.iter().cloned().collect();
    let resolved = profiles::to_run(&files, &args.settings.overrides)?;
    resolved.notes.iter().for_each(|note| tell(&format!("note: {note}")));
    let Some(plan) = resolved.plans.into_iter().next() else {
        return Err(Failure::new(exit::UNEXPECTED, "no profile"));
    };
    if has_no_query(&plan) {
        let why = "the profile has no queries, or no readers that ask them";
        let fix = "name one with readers and queries, or a benchmark";
        return Err(Failure::new(exit::USAGE, format!("{why}\n  fix: {fix}")));
    }
    if time.is_zero() {
        let what = "`--noise` is no time at all\n  fix: choose one such as 10s";
        return Err(Failure::new(exit::USAGE, what));
    }
    let readers = match (&plan.job, readers_address(parsed, &args.readers)?) {
        (Job::Stream(_), Some(given)) => Some(given.address),
        (Job::Stream(job), None) => readers_address_of(job)?,
        (Job::Benchmark(_) | Job::Sweep(_), _) => None,
    };
    let mut signals = Signals::listen()?;
    let shutdown = Shutdown::default();
    let work = async {
        let (loaded, server) = find_server(parsed, &args.server, NO_SERVER, &shutdown).await?;
        if let Some(readers) = &readers {
            until_started(readers, START_PATIENCE, &tell, &shutdown).await?;
        }
        let (address, name) = (readers.unwrap_or(loaded), plan.common.name.clone());
        let measured = engine::noise(plan, &address, time, &shutdown, &tell).await;
        if let Some(server) = server {
            let _ = server.stop().await;
        }
        let of = |own: SameArm| (own.query, own.arm, own.pairs, own.error);
        let measured = measured?.into_iter().map(of).collect();
        Ok::<_, Failure>(NoiseReport::of(name, address.to_string(), time, measured))
    };
    let report = tokio::select! {
        report = work => report?,
        never = signals.handle(&shutdown, &screen) => match never {},
    };
    let printed = match args.format {
        Format::Text => print(&report.text()),
        Format::Json => {
            let json = serde_json::to_string_pretty(&report);
            let json = json.map_err(|error| Failure::new(exit::UNEXPECTED, error))?;
            print(&format!("{json}\n"))
        }
    };
    if shutdown.stop.is_cancelled() {
        return ended(exit::INTERRUPTED, None, printed);
    }
    printed?;
    match report.not_measured() {
        Some(why) => Err(Failure::new(exit::SHORTFALL, why)),
        None => Ok(exit::DONE),
    }
}

fn has_no_query(plan: &Plan) -> bool {
    match &plan.job {
        Job::Stream(job) => job.readers.count == 0 || job.readers.queries.is_empty(),
        Job::Benchmark(_) | Job::Sweep(_) => false,
    }
}
