//! `executions.csv`: a line for each execution of a query. Where they are too many for one file, an
//! even sample of them; each line says how many it stands for.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::record::{Execution, QueryTally, stays};
use crate::report::csv_field;

pub(super) const EXECUTIONS: &str = "executions.csv";
const THINNED: &str = "executions.csv.new";

/// Lines that are kept. When there are more, half of all blocks go.
const LINES_MAX: u64 = 200_000;

/// The first columns, in this order, are what thinning reads and writes.
const HEAD: &str = "weight,reader,block,start_s,service_ns,measured,cold,sample,sqlstate,rows,\
                    answer_age_ms,freshness_ms,plan,query,arm\n";

/// Writes the file.
pub(super) struct ExecutionsCsv {
    folder: PathBuf,
    file: File,
    /// The names of each query and arm.
    arms: Vec<(String, String)>,
    lines: u64,
    weight: u64,
}

impl ExecutionsCsv {
    /// Creates it in a folder, with its head.
    pub(super) fn create<'a>(
        folder: &Path,
        query_arms: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> io::Result<Self> {
        let mut file = File::create(folder.join(EXECUTIONS))?;
        file.write_all(HEAD.as_bytes())?;
        let arms = query_arms.map(|(query, arm)| (csv_field(query), csv_field(arm)));
        Ok(Self { folder: folder.to_owned(), file, arms: arms.collect(), lines: 0, weight: 1 })
    }

    /// Adds what was executed in a tick: by query and arm.
    pub(super) fn write(&mut self, queries: &[QueryTally]) -> io::Result<()> {
        let weights = queries.iter().map(|tally| tally.one_by_one.weight());
        let weight = weights.max().unwrap_or(1);
        if weight > self.weight {
            self.thin(weight)?;
        }
        let mut text = String::new();
        for ((query, arm), tally) in self.arms.iter().zip(queries) {
            for execution in tally.one_by_one.kept() {
                if stays(execution.reader, execution.block, self.weight) {
                    self.lines += 1;
                    line(&mut text, self.weight, execution, query, arm);
                }
            }
        }
        self.file.write_all(text.as_bytes())?;
        while self.lines > LINES_MAX && self.weight < 1 << 62 {
            self.thin(self.weight * 2)?;
        }
        Ok(())
    }

    /// Makes it last.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Leaves one block of `weight`. The new file takes the old one's place in one step.
    fn thin(&mut self, weight: u64) -> io::Result<()> {
        self.weight = weight;
        if self.lines == 0 {
            return Ok(());
        }
        let old = BufReader::new(File::open(self.folder.join(EXECUTIONS))?);
        let mut new = BufWriter::new(File::create(self.folder.join(THINNED))?);
        new.write_all(HEAD.as_bytes())?;
        self.lines = 0;
        for line in old.lines().skip(1) {
            let line = line?;
            let fields: Vec<&str> = line.splitn(4, ',').collect();
            let [_, reader, block, rest] = fields.as_slice() else { continue };
            let (Ok(reader), Ok(block)) = (reader.parse(), block.parse()) else { continue };
            if stays(reader, block, weight) {
                self.lines += 1;
                writeln!(new, "{weight},{reader},{block},{rest}")?;
            }
        }
        let new = new.into_inner()?;
        new.sync_all()?;
        fs::rename(self.folder.join(THINNED), self.folder.join(EXECUTIONS))?;
        self.file = new;
        Ok(())
    }
}

fn line(text: &mut String, weight: u64, execution: &Execution, query: &str, arm: &str) {
    let Execution { start, service, reader, block, rows, .. } = execution;
    let Execution { plan, answer_age, freshness, measured, cold, sample, error, .. } = execution;
    let or_empty = |value: Option<String>| value.unwrap_or_default();
    let ms = |time: Option<Duration>| {
        or_empty(time.map(|time| format!("{:.3}", time.as_secs_f64() * 1e3)))
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{weight},{reader},{block},{:.6},{},{},{},{},{},{},{},{},{},{query},{arm}",
        start.as_secs_f64(),
        service.as_nanos(),
        u8::from(*measured),
        u8::from(*cold),
        u8::from(*sample),
        error.as_deref().unwrap_or_default(),
        or_empty(rows.map(|rows| rows.to_string())),
        ms(*answer_age),
        ms(*freshness),
        or_empty(plan.map(|plan| format!("{plan:016x}"))),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path) -> Vec<Vec<String>> {
        let text = fs::read_to_string(folder.join(EXECUTIONS)).unwrap();
        let fields = |line: &str| line.split(',').map(ToOwned::to_owned).collect();
        assert!(text.starts_with(HEAD));
        text.lines().skip(1).map(fields).collect()
    }

    fn tally(executions: impl IntoIterator<Item = Execution>) -> QueryTally {
        let mut tally = QueryTally::default();
        executions.into_iter().for_each(|execution| tally.one_by_one.push(execution));
        tally
    }

    #[test]
    fn a_line_says_all_that_is_known_of_an_execution() {
        let folder = tempfile::tempdir().unwrap();
        let arms = [("top10", "off"), ("top10", "on")];
        let mut csv = ExecutionsCsv::create(folder.path(), arms.into_iter()).unwrap();
        let answered = Execution {
            start: Duration::from_micros(1_250_001),
            service: Duration::from_nanos(4_200_017),
            reader: 2,
            block: 7,
            rows: Some(31_000),
            answer_age: Some(Duration::from_micros(150_250)),
            freshness: Some(Duration::ZERO),
            measured: true,
            sample: true,
            ..Execution::default()
        };
        let failed = Execution { cold: true, error: Some("57014".to_owned()), ..answered.clone() };
        let failed = Execution {
            answer_age: None,
            freshness: None,
            rows: None,
            measured: false,
            sample: false,
            ..failed
        };
        csv.write(&[tally([answered.clone()]), tally([])]).unwrap();
        let with_plan = Execution { plan: Some(0xab), ..answered.clone() };
        csv.write(&[tally([with_plan]), tally([failed])]).unwrap();
        csv.write(&[tally([answered]), tally([])]).unwrap();
        let text = fs::read_to_string(folder.path().join(EXECUTIONS)).unwrap();
        insta::assert_snapshot!(text, @r"
        weight,reader,block,start_s,service_ns,measured,cold,sample,sqlstate,rows,answer_age_ms,freshness_ms,plan,query,arm
        1,2,7,1.250001,4200017,1,0,1,,31000,150.250,0.000,,top10,off
        1,2,7,1.250001,4200017,1,0,1,,31000,150.250,0.000,00000000000000ab,top10,off
        1,2,7,1.250001,4200017,0,1,0,57014,,,,,top10,on
        1,2,7,1.250001,4200017,1,0,1,,31000,150.250,0.000,,top10,off
        ");
    }

    #[test]
    fn too_many_lines_are_thinned_by_pairs_and_the_weights_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let arms = [("top10", "off"), ("top10", "on"), ("sum", "cpu")];
        let mut csv = ExecutionsCsv::create(folder.path(), arms.into_iter()).unwrap();
        let (ticks, pairs) = (300, 250);
        for tick in 0..ticks {
            let execution =
                |reader: u32, block: u64| Execution { reader, block, ..Execution::default() };
            let pair = |n: u64| [0, 1, 2].map(|reader| execution(reader, 2 * (tick * pairs + n)));
            let alone =
                |n: u64| [0, 1, 2].map(|reader| execution(reader, 2 * (tick * pairs + n) + 1));
            let all = |of: &dyn Fn(u64) -> [Execution; 3]| tally((0..pairs).flat_map(of));
            csv.write(&[all(&pair), all(&pair), all(&alone)]).unwrap();
            assert!(csv.lines <= LINES_MAX, "{}", csv.lines);
        }
        csv.sync().unwrap();
        let lines = read(folder.path());
        assert_eq!(lines.len() as u64, csv.lines);
        assert!(csv.lines > LINES_MAX / 2, "{}", csv.lines);
        let weights: u64 = lines.iter().map(|line| line[0].parse::<u64>().unwrap()).sum();
        let all = ticks * pairs * 9;
        assert!(weights.abs_diff(all) < all / 50, "{weights} of {all}");
        let of = |arm: &str| {
            let own = lines.iter().filter(|line| line[14] == arm);
            own.map(|line| (line[1].clone(), line[2].clone())).collect::<Vec<_>>()
        };
        assert_eq!(of("off"), of("on"), "whole pairs");
        let (off, alone) = (of("off").len(), of("cpu").len());
        assert!(off.abs_diff(alone) < off / 50, "each query keeps its share: {off}, {alone}");
        assert!(!folder.path().join(THINNED).exists());
    }

    #[test]
    fn a_name_is_one_field() {
        assert_eq!(csv_field("top10"), "top10");
        assert_eq!(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
