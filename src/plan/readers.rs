//! The plan of the readers beside a stream.

use std::num::NonZeroU64;
use std::time::Duration;

use super::GpuChoice;
use super::arrival::{QUERIES, peak_factor};
use super::evidence::{ArmPlan, EvidencePlan};
use super::limits::{Limits, REPEATS, STATEMENT_TIMEOUT};
use super::query::{Query, Section};
use super::resolver::{Idle, Resolver, milliseconds};
use crate::pace::{Arrival, Arrivals, Course, Curve, Rate, Schedule};
use crate::profile::{Located, Number, Profile, RateOrMax};

const READERS: Limits = Limits {
    default: 2.0,
    min: 0.0,
    max: 1024.0,
    is_whole: true,
    range: "0 to 1,024",
    fix: "choose a number such as 2; each reader has its own connection",
};
const QUERIES_PER_S: Limits = Limits {
    default: 1.0,
    min: 1e-6,
    max: 1e6,
    is_whole: false,
    range: "0.000001 to 1,000,000",
    fix: "choose queries per second over all readers, or leave it out for a closed loop",
};

const THINK_TIME: Limits = Limits {
    default: 0.0,
    min: 0.0,
    max: 86_400_000.0,
    is_whole: false,
    range: "0 ms to 1 day",
    fix: "choose a pause such as 500 ms, or leave it out",
};

/// For what is about readers where there are none.
const NO_READERS: Idle =
    Idle { here: "without readers", fix: "leave it out, or let there be readers" };

/// For a pause between queries that fall due by a schedule.
const BESIDE_A_RATE: Idle =
    Idle { here: "beside a rate of queries", fix: "leave it out, or let the rate be max" };

/// Who reads beside the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Readers {
    /// Number of readers, each with one connection; 0 for none.
    pub count: u32,
    /// The server that they ask, if the profile names one.
    pub database_url: Option<String>,
    /// Queries per second over all readers; `None`: closed loop.
    pub queries_per_s: Option<f64>,
    /// How the queries follow each other.
    pub arrival: Arrival,
    /// How long a reader pauses behind each answer; zero where there is a rate.
    pub think_time: Duration,
    /// Which GPU arms the queries run in.
    pub gpu: GpuChoice,
    /// The arms of the profile, instead of the GPU's: none, or two.
    pub arms: Vec<ArmPlan>,
    /// Limit of one query on the server.
    pub statement_timeout: Duration,
    /// How often the measurement is made, each time with new sessions of the readers; at least 1.
    pub repeats: u32,
    /// Whether any query may write; the others are read-only.
    pub writes: bool,
    /// How the plans and answers of the arms are looked at.
    pub evidence: EvidencePlan,
    /// The queries; at least one if there are readers.
    pub queries: Vec<Query>,
}

impl Readers {
    /// When the queries of all readers are due; `None` in a closed loop.
    pub fn course(&self, seed: u64) -> Option<Course> {
        // An exact ratio: thousandths of a query in 1000 s.
        let events = NonZeroU64::new((self.queries_per_s? * 1e6).round() as u64)?;
        let rate = Rate::each(events, Duration::from_secs(1_000_000))?;
        let arrivals = Arrivals::new(self.arrival, seed, QUERIES);
        Some(Course { arrivals, curve: Curve::steady(rate) })
    }

    /// The part of a reader in the course.
    pub fn schedule(&self, course: &Course, reader: u32) -> Schedule {
        let readers = NonZeroU64::new(self.count.into()).unwrap_or(NonZeroU64::MIN);
        Schedule::new(course.clone(), reader.into(), readers, NonZeroU64::MIN, Duration::ZERO)
    }

    /// Most queries per second over all readers.
    pub fn peak_per_s(&self) -> Option<f64> {
        self.queries_per_s.map(|rate| rate * peak_factor(self.arrival))
    }
}

/// Whether a connection text holds a password, as far as that can be told without reading it as one:
/// rather too often.
fn holds_password(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_key = |(at, word): (usize, &str)| lower[at + word.len()..].trim_start().starts_with('=');
    // Also the end of `sslpassword`.
    let has_key = lower.match_indices("password").any(is_key);
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    has_key || user.contains(':')
}

impl Resolver<'_> {
    /// The readers' server. A profile is shown, saved and shared, so it has no secrets.
    fn database_url(&mut self, written: Option<&Located<String>>) -> Option<String> {
        let written = written?;
        let text = written.trim();
        if text.is_empty() {
            let fix = "name a server, or delete the key: then they ask the one that is loaded";
            self.fault(Some(written), "`database_url` is empty".to_owned(), fix.to_owned());
            return None;
        }
        if holds_password(text) {
            let fix = "leave it out: put it into STROM_LOAD_READERS_URL, PGPASSWORD or a passfile";
            // Without its place: the line would be shown.
            let what = "`readers.database_url` holds a password".to_owned();
            self.fault(None::<&Located<String>>, what, fix.to_owned());
            return None;
        }
        Some(text.to_owned())
    }

    /// The pause of a closed loop. One in the profile beside a rate contradicts that; one that is given
    /// beside it changes nothing.
    fn think_time(
        &mut self,
        written: &mut Option<Located<Number>>,
        queries_per_s: Option<f64>,
    ) -> Duration {
        // A default is not written into the profile: results of earlier versions have none.
        let Some(pause) = written.clone() else { return Duration::ZERO };
        let think_time = milliseconds(self.number("think_time_ms", written, &THINK_TIME));
        if queries_per_s.is_none() {
            return think_time;
        }
        if self.report.override_at(&pause.span()).is_some() {
            self.note_idle(Some(&pause), BESIDE_A_RATE);
            *written = None;
        } else {
            let what = "`think_time_ms` is a pause between queries that no rate calls for, and there is a rate";
            let fix = "delete it, or `queries_per_s`";
            self.fault(Some(&pause), what.to_owned(), fix.to_owned());
        }
        Duration::ZERO
    }

    pub(super) fn readers(&mut self, profile: &mut Profile) -> Readers {
        let readers = profile.readers.get_or_insert_default();
        let queries = readers.queries.get_or_insert_default();
        let limits = match queries.as_slice() {
            [] => Limits { default: 0.0, ..READERS },
            _ => READERS,
        };
        let count = self.number("count", &mut readers.count, &limits) as u32;
        if let Some(written) = readers.count.as_ref().filter(|_| count > 0)
            && queries.is_empty()
            && !self.report.damaged("readers.queries")
        {
            let (subject, shown) = self.report.words("count", &written.span());
            let what = format!("{subject} is {shown}, but the readers have no query");
            let fix = "add one under `[[readers.queries]]`, or set the number of readers to 0";
            self.fault(Some(written), what, fix.to_owned());
        }
        let rate = &mut readers.queries_per_s;
        rate.get_or_insert_with(|| RateOrMax::Max.into());
        let queries_per_s = self.number_or_word("queries_per_s", rate, &QUERIES_PER_S);
        let arrival = self.arrival(&mut readers.arrival, queries_per_s, "queries_per_s");
        let think_time = self.think_time(&mut readers.think_time_ms, queries_per_s);
        let all_write = *readers.writes.get_or_insert(false);
        let section = Section::of_readers(all_write, profile.arms.is_some());
        let queries = self.queries(queries, &section);
        let all_write = match queries.as_slice() {
            [] => all_write,
            all => all.iter().all(|own| own.writes),
        };
        let evidence = profile.evidence.get_or_insert_default();
        let resolved = Readers {
            count,
            database_url: self.database_url(readers.database_url.as_ref()),
            queries_per_s,
            arrival,
            think_time,
            gpu: self.choice(&mut readers.gpu, GpuChoice::Auto),
            statement_timeout: self.time(
                "statement_timeout_s",
                &mut readers.statement_timeout_s,
                &STATEMENT_TIMEOUT,
            ),
            repeats: self.number("repeats", &mut readers.repeats, &REPEATS) as u32,
            arms: self.arms(profile.arms.as_ref(), all_write, "[readers]"),
            writes: queries.iter().any(|own| own.writes),
            queries,
            evidence: self.evidence(evidence),
        };
        if count == 0 {
            self.note_idle(readers.queries_per_s.as_ref(), NO_READERS);
            self.note_idle(readers.arrival.as_ref(), NO_READERS);
            self.note_idle(readers.think_time_ms.as_ref(), NO_READERS);
            self.note_idle(readers.gpu.as_ref(), NO_READERS);
            self.note_idle(readers.statement_timeout_s.as_ref(), NO_READERS);
            self.note_idle(readers.repeats.as_ref(), NO_READERS);
            self.note_idle(evidence.check_answers.as_ref(), NO_READERS);
        }
        resolved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_wherever_a_connection_text_may_have_one() {
        for text in [
            "postgresql://me:hush@db/x",
            "postgresql://me:p@ss@db/x",
            "postgresql://db/x?user=me&password=hush",
            "host=db password=hush",
            "host=db PASSWORD = 'hush'",
            "postgresql://db/x?sslpassword=hush",
        ] {
            assert!(holds_password(text), "{text}");
        }
        for text in [
            "postgresql://me@db:5432/x",
            "postgresql://db1:5432,db2:5433/x?target_session_attrs=standby",
            "host=/run/postgresql passfile=/run/secrets/passwords dbname=x",
            "service=replica",
        ] {
            assert!(!holds_password(text), "{text}");
        }
    }
}
