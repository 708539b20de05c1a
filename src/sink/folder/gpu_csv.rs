//! `gpu.csv`: a row for each GPU and second, in the columns and units of
//! `nvidia-smi --query-gpu=… --format=csv,nounits`, so that what reads those reads these. Our own
//! columns beside them: maxima, what the row is made of, and PG-Strom's part.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::record::Interval;
use crate::record::gpu::GpuUsage;
use crate::watch::gpu::Gpu;

pub(super) const GPU_CSV: &str = "gpu.csv";

/// A column: its head, and its value in a row.
type Column = (&'static str, fn(&Row<'_>) -> Option<String>);

/// What a row is made of.
struct Row<'a> {
    at: SystemTime,
    gpu: &'a Gpu,
    usage: &'a GpuUsage,
}

const COLUMNS: &[Column] = &[
    ("timestamp", |row| Some(timestamp(row.at))),
    ("index", |row| Some(row.gpu.index.to_string())),
    ("uuid", |row| row.gpu.uuid.clone()),
    ("name", |row| row.gpu.name.as_ref().map(|name| name.replace(',', " "))),
    ("utilization.gpu [%]", |row| percent(row.usage.utilization_ratio.mean())),
    ("utilization.gpu.max [%]", |row| percent(row.usage.utilization_ratio.max())),
    ("utilization.memory [%]", |row| percent(row.usage.memory_utilization_ratio.mean())),
    ("memory.used [MiB]", |row| mib(row.usage.memory_used_bytes.max())),
    ("memory.total [MiB]", |row| {
        let total = row.usage.memory_total_bytes.or(row.gpu.memory_total_bytes);
        mib(total.map(|bytes| bytes as f64))
    }),
    ("temperature.gpu", |row| rounded(row.usage.temperature_celsius.max(), 0)),
    ("power.draw [W]", |row| rounded(row.usage.power_watts.mean(), 2)),
    ("power.draw.max [W]", |row| rounded(row.usage.power_watts.max(), 2)),
    ("energy [J]", |row| rounded(row.usage.energy_joules.get(), 3)),
    ("clocks.sm [MHz]", |row| mhz(row.usage.sm_clock_hertz.mean())),
    ("clocks.mem [MHz]", |row| mhz(row.usage.memory_clock_hertz.mean())),
    ("clocks_event_reasons.active", |row| {
        row.usage.throttled.mask().map(|mask| format!("0x{mask:016x}"))
    }),
    ("pcie.sent [MB/s]", |row| mega(row.usage.pcie_sent_bytes_per_s.mean())),
    ("pcie.received [MB/s]", |row| mega(row.usage.pcie_received_bytes_per_s.mean())),
    ("ecc.errors.corrected", |row| rounded(row.usage.ecc_corrected.get(), 0)),
    ("ecc.errors.uncorrected", |row| rounded(row.usage.ecc_uncorrected.get(), 0)),
    ("pg_strom.memory [MiB]", |row| mib(row.usage.pg_strom_memory_bytes.max())),
    ("pg_strom.sm [%]", |row| percent(row.usage.pg_strom_utilization_ratio.mean())),
    ("samples", |row| Some(row.usage.samples.to_string())),
];

/// Writes the file.
pub(super) struct GpuCsv {
    file: File,
    started_at: SystemTime,
    gpus: Vec<Gpu>,
}

impl GpuCsv {
    /// Creates it in a folder, with its head.
    pub(super) fn create(folder: &Path, started_at: SystemTime, gpus: &[Gpu]) -> io::Result<Self> {
        let mut file = File::create(folder.join(GPU_CSV))?;
        let heads: Vec<_> = COLUMNS.iter().map(|(head, _)| *head).collect();
        file.write_all(format!("{}\n", heads.join(", ")).as_bytes())?;
        Ok(Self { file, started_at, gpus: gpus.to_vec() })
    }

    /// Adds a row for each GPU.
    pub(super) fn write(&mut self, interval: &Interval) -> io::Result<()> {
        let at = self.started_at + interval.start + interval.length;
        let mut text = String::new();
        for (gpu, tally) in self.gpus.iter().zip(&interval.gpus) {
            let row = Row { at, gpu, usage: &tally.usage };
            for (number, (_, value)) in COLUMNS.iter().enumerate() {
                let comma = if number == 0 { "" } else { ", " };
                let value = value(&row).unwrap_or_else(|| "[N/A]".to_owned());
                // Writing to a String cannot fail.
                let _ = write!(text, "{comma}{value}");
            }
            text.push('\n');
        }
        self.file.write_all(text.as_bytes())
    }

    /// Makes it last.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// As nvidia-smi prints it, but in UTC: `2026/11/22 15:43:00.123`.
fn timestamp(at: SystemTime) -> String {
    let at = at.max(SystemTime::UNIX_EPOCH + Duration::from_millis(1));
    let text = humantime::format_rfc3339_millis(at).to_string();
    text.trim_end_matches('Z').replace('-', "/").replace('T', " ")
}

fn rounded(value: Option<f64>, digits: usize) -> Option<String> {
    value.map(|value| format!("{value:.digits$}"))
}

fn percent(ratio: Option<f64>) -> Option<String> {
    rounded(ratio.map(|ratio| ratio * 100.0), 1)
}

fn mib(bytes: Option<f64>) -> Option<String> {
    rounded(bytes.map(|bytes| bytes / 1_048_576.0), 0)
}

fn mhz(hertz: Option<f64>) -> Option<String> {
    rounded(hertz.map(|hertz| hertz / 1e6), 0)
}

fn mega(bytes_per_s: Option<f64>) -> Option<String> {
    rounded(bytes_per_s.map(|bytes| bytes / 1e6), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::gpu::GpuTally;
    use crate::record::{Phase, ReaderTally};

    #[test]
    fn a_row_reads_as_nvidia_smi_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let gpu = Gpu {
            index: 1,
            uuid: Some("GPU-0".to_owned()),
            name: Some("Tesla, T4".to_owned()),
            ..Gpu::default()
        };
        let started_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_826_180_123);
        let mut csv = GpuCsv::create(folder.path(), started_at, &[gpu]).unwrap();
        let mut tally = GpuTally::default();
        let usage = &mut tally.usage;
        usage.samples = 10;
        for ratio in [0.0, 1.0] {
            usage.utilization_ratio.add(ratio, Duration::from_millis(500));
        }
        usage.memory_used_bytes.add(1_782_579_200.0, Duration::from_secs(1));
        usage.throttled.add(0x5, Duration::from_secs(1));
        let interval = |gpus| Interval {
            start: Duration::from_secs(1),
            length: Duration::from_secs(1),
            phase: Phase::Measure,
            target_rows_per_s: None,
            lanes: Vec::new(),
            queries: Vec::new(),
            pairs: Vec::new(),
            queries_due: ReaderTally::default(),
            gpus,
        };
        csv.write(&interval(vec![tally])).unwrap();
        csv.write(&interval(vec![GpuTally::default()])).unwrap();
        let text = std::fs::read_to_string(folder.path().join(GPU_CSV)).unwrap();
        insta::assert_snapshot!(text, @r"
            timestamp, index, uuid, name, utilization.gpu [%], utilization.gpu.max [%], utilization.memory [%], memory.used [MiB], memory.total [MiB], temperature.gpu, power.draw [W], power.draw.max [W], energy [J], clocks.sm [MHz], clocks.mem [MHz], clocks_event_reasons.active, pcie.sent [MB/s], pcie.received [MB/s], ecc.errors.corrected, ecc.errors.uncorrected, pg_strom.memory [MiB], pg_strom.sm [%], samples
            2025/11/22 15:43:02.123, 1, GPU-0, Tesla  T4, 50.0, 100.0, [N/A], 1700, [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], 0x0000000000000005, [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], 10
            2025/11/22 15:43:02.123, 1, GPU-0, Tesla  T4, [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], 0
        ");
    }
}
