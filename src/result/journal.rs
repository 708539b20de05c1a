//! The journal of a stream: what became of its rows, in lines that are added as it becomes known and
//! never changed. It is what a loader that is killed leaves of its last seconds, and a history for
//! whoever wants to check rows without strom-load. docs/result.md describes the format.
//!
//! The last field of each line is the CRC-32 of all lines so far, without these fields. So an end that
//! was torn off is recognised, and so is a line that is missing in the middle.

use std::collections::BTreeMap;
use std::time::Duration;

use crc32fast::Hasher;

use crate::record::{Account, Range, RowFate};

/// File of a stream's journal in its folder.
pub const JOURNAL: &str = "journal.log";

/// How its first line opens: what it is, and the version of its form.
const HEAD: &str = "strom-load-journal 1";
/// What the line of a moment says: all that was known by then stands above.
const KNOWN: &str = "known";

/// Rows of which the same became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When it was known, since the start of the schedule.
    pub at: Duration,
    /// Their partition.
    pub partition: u32,
    /// What became of them.
    pub fate: RowFate,
    /// Their numbers.
    pub rows: Range,
}

/// Makes lines: each is sealed with those before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines {
    sum: u32,
}

impl Lines {
    /// The first line of a stream whose schedule began so many microseconds after the Unix epoch.
    pub fn head(&mut self, text: &mut String, origin_us: i64) {
        self.add(text, &format!("{HEAD} {origin_us}"));
    }

    /// The line of an entry.
    pub fn entry(&mut self, text: &mut String, entry: &Entry) {
        let Entry { at, partition, fate, rows: Range { first, last } } = entry;
        let (s, ms, fate) = (at.as_secs(), at.subsec_millis(), fate.name());
        self.add(text, &format!("{s}.{ms:03} {partition} {fate} {first} {last}"));
    }

    /// The line of a moment, since the start of the schedule: what was known by then stands above.
    pub fn known(&mut self, text: &mut String, at: Duration) {
        self.add(text, &format!("{}.{:03} {KNOWN}", at.as_secs(), at.subsec_millis()));
    }

    /// The lines of all that an account knows.
    pub fn account(&mut self, text: &mut String, at: Duration, partition: u32, account: &Account) {
        for (fate, ranges) in account.fates() {
            for rows in ranges.iter() {
                self.entry(text, &Entry { at, partition, fate, rows });
            }
        }
    }

    fn add(&mut self, text: &mut String, body: &str) {
        let seal = self.seal(body.as_bytes());
        text.extend([body, " ", &seal, "\n"]);
    }

    /// What the line with this body ends with.
    fn seal(&mut self, body: &[u8]) -> String {
        let mut hasher = Hasher::new_with_initial(self.sum);
        hasher.update(body);
        self.sum = hasher.finalize();
        format!("{:08x}", self.sum)
    }
}

/// A journal, as far as it is whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// The start of its schedule, in microseconds since the Unix epoch.
    pub origin_us: i64,
    /// What became of the rows, by partition.
    pub accounts: BTreeMap<u32, Account>,
    /// Until when nothing is missing that was known, since the start of the schedule.
    pub until: Duration,
    /// What is wrong behind that, if it is more than a line that was torn off.
    pub damage: Option<String>,
}

impl Journal {
    /// Reads a journal.
    ///
    /// # Errors
    /// What keeps it from being one, completing "it".
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut lines = Lines::default();
        let mut rest = bytes;
        let head = whole_line(&mut rest, &mut lines).ok_or("has no first line that is whole")?;
        let origin_us = head.strip_prefix(HEAD).and_then(|origin| origin.trim().parse().ok());
        let origin_us =
            origin_us.ok_or_else(|| format!("begins with `{head}`, not with `{HEAD} …`"))?;
        let mut journal =
            Self { origin_us, accounts: BTreeMap::new(), until: Duration::ZERO, damage: None };
        for number in 2_u64.. {
            let Some(line) = whole_line(&mut rest, &mut lines) else {
                let torn = rest.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                // A line that is not whole, and more behind it.
                if torn > 0 && torn < rest.len() {
                    journal.damage = Some(format!("is damaged in line {number}"));
                }
                break;
            };
            if let Some(until) = line.strip_suffix(KNOWN).and_then(|at| moment(at.trim_end())) {
                journal.until = journal.until.max(until);
                continue;
            }
            let Some(entry) = entry(line) else {
                return Err(format!("says in line {number} what is no entry: `{line}`"));
            };
            let account = journal.accounts.entry(entry.partition).or_default();
            let is_new = RowFate::ALL.iter().all(|fate| {
                let Range { first, last } = entry.rows;
                !account.rows(*fate).meets(first, last)
            });
            if !is_new || !account.rows_mut(entry.fate).insert(entry.rows) {
                return Err(format!("says in line {number} what cannot be true: `{line}`"));
            }
        }
        Ok(journal)
    }
}

/// Takes a line that is whole from the front of `rest`; returns its body.
fn whole_line<'a>(rest: &mut &'a [u8], lines: &mut Lines) -> Option<&'a str> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&rest[..end]).ok()?;
    let (body, seal) = line.rsplit_once(' ')?;
    if lines.seal(body.as_bytes()) != seal {
        return None;
    }
    *rest = &rest[end + 1..];
    Some(body)
}

fn moment(at: &str) -> Option<Duration> {
    let (s, ms) = at.split_once('.')?;
    let ms = Duration::from_millis(ms.parse::<u16>().ok()?.into());
    Duration::from_secs(s.parse().ok()?).checked_add(ms)
}

fn entry(line: &str) -> Option<Entry> {
    let [at, partition, fate, first, last] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let at = moment(at)?;
    let fate = RowFate::ALL.into_iter().find(|known| known.name() == fate)?;
    let rows = Range { first: first.parse().ok()?, last: last.parse().ok()? };
    Some(Entry { at, partition: partition.parse().ok()?, fate, rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A journal of some seconds, and what it says after each line.
    fn written(seconds: u64) -> (String, Vec<(usize, Journal)>) {
        let (mut text, mut lines) = (String::new(), Lines::default());
        lines.head(&mut text, 17);
        let (accounts, until, damage) = (BTreeMap::new(), Duration::ZERO, None);
        let mut known = vec![(text.len(), Journal { origin_us: 17, accounts, until, damage })];
        for second in 1..=seconds {
            for partition in 0..2_u32 {
                let fate = RowFate::ALL[(second as usize + partition as usize) % 3];
                let rows = Range { first: second * 100, last: second * 100 + 99 };
                lines.entry(&mut text, &Entry { at: at(second * 1_000), partition, fate, rows });
                let mut journal = known.last().unwrap().1.clone();
                let account = journal.accounts.entry(partition).or_default();
                account.rows_mut(fate).push(rows.first, 100);
                known.push((text.len(), journal));
            }
            lines.known(&mut text, at(second * 1_000));
            let until = at(second * 1_000);
            known.push((text.len(), Journal { until, ..known.last().unwrap().1.clone() }));
        }
        (text, known)
    }

    #[test]
    fn its_lines_are_plain() {
        let (mut text, mut lines) = (String::new(), Lines::default());
        lines.head(&mut text, 1_795_689_120_123_456);
        let mut account = Account::default();
        account.acknowledged.push(0, 1_200);
        account.dropped.push(1_200, 300);
        lines.account(&mut text, at(1_003), 2, &account);
        lines.known(&mut text, at(1_003));
        insta::assert_snapshot!(text, @r"
        strom-load-journal 1 1795689120123456 34cb19d3
        1.003 2 acknowledged 0 1199 9f8422f4
        1.003 2 dropped 1200 1499 0011909f
        1.003 known 6a370d53
        ");
    }

    #[test]
    fn wherever_it_is_torn_the_whole_lines_count() {
        let (text, known) = written(4);
        for end in 0..=text.len() {
            let parsed = Journal::parse(&text.as_bytes()[..end]);
            let whole = known.iter().rev().find(|(length, _)| *length <= end);
            assert_eq!(parsed.ok(), whole.map(|(_, journal)| journal.clone()), "{end}");
        }
    }

    #[test]
    fn a_line_that_is_missing_in_the_middle_ends_it_and_is_said() {
        let (text, known) = written(4);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let without = [&lines[..3], &lines[4..]].concat().concat();
        let journal = Journal::parse(without.as_bytes()).unwrap();
        assert_eq!(journal.damage.as_deref(), Some("is damaged in line 4"));
        assert_eq!(journal.accounts, known[2].1.accounts);
    }

    #[test]
    fn what_cannot_be_true_is_refused() {
        let refused = |bodies: &[&str]| {
            let (mut text, mut lines) = (String::new(), Lines::default());
            bodies.iter().for_each(|body| lines.add(&mut text, body));
            Journal::parse(text.as_bytes()).unwrap_err()
        };
        let head = "strom-load-journal 1 5";
        let first = "1.000 0 acknowledged 0 99";
        for (second, fact) in [
            ("2.000 0 acknowledged 99 120", "cannot be true"),
            ("2.000 0 dropped 50 60", "cannot be true"),
            ("2.000 0 dropped 200 100", "cannot be true"),
            ("2.000 0 dropped 200 18446744073709551615", "cannot be true"),
            ("2.000 0 lost 200 300", "no entry"),
            ("18446744073709551615.1000 0 dropped 200 300", "no entry"),
            ("2.000 0 dropped 200", "no entry"),
        ] {
            let said = refused(&[head, first, second]);
            assert!(said.starts_with("says in line 3 what") && said.contains(fact), "{said}");
        }
        assert!(refused(&["strom-load-journal 2 5"]).starts_with("begins with"), "a later form");
        assert!(Journal::parse(b"").unwrap_err().starts_with("has no first line"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..300) {
            let _ = Journal::parse(&bytes);
            let mut text = written(3).0.into_bytes();
            text.truncate(cut);
            text.extend(bytes);
            let _ = Journal::parse(&text);
        }
    }
}
