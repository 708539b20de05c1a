//! What a flag or an environment variable can give of a profile: one table, that the command line, the
//! layers and the documents are made from.

use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::Recreate;
use super::kind::Kind;
use crate::profile::document::Value;
use crate::profile::{Arrival, Audit, Delivery, Gpu, OnFault, Order};
use crate::quantity::{
    Cadence, Rate, RunLength, format_duration, parse_cadence, parse_count, parse_duration,
    parse_factor, parse_rate, parse_run_length,
};

/// A setting of a profile that a flag and a variable give too.
#[derive(Debug)]
pub struct Setting {
    /// The flag, such as `--rate`.
    pub flag: &'static str,
    /// The variable, such as `STROM_LOAD_RATE`.
    pub variable: Option<&'static str>,
    /// Keys of the profile that it gives, those of them that the profile's job has. Without a key it
    /// is about all `[[tables]]`.
    pub keys: &'static [&'static str],
    /// How it is written.
    pub form: Form,
    /// What `--help` calls its value.
    pub value_name: &'static str,
    /// Under which heading `--help` has it.
    pub heading: &'static str,
    /// What it says: a line, and after an empty line more.
    pub help: &'static str,
}

/// How a setting is written.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// As a number or the like, that is parsed.
    Value(Parse),
    /// As it is.
    Text,
    /// As one of a few words.
    Choice(fn() -> Vec<PossibleValue>),
    /// As `true` or `false`; the flag alone is `true`.
    Switch,
    /// As a text that is parsed; the flag alone is `true`.
    Optional(Parse),
    /// As a text, and as often as one likes.
    Each,
}

/// Reads a value, or says what is wrong with it.
pub(super) type Parse = fn(&str) -> Result<Given, String>;

/// A value that was given beside the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    pub(crate) value: Value,
    /// The value for people.
    pub(crate) shown: String,
}

impl Given {
    pub(crate) fn text(text: &str) -> Self {
        Self { value: Value::Text(text.to_owned()), shown: text.to_owned() }
    }

    /// A number in the unit of the key.
    fn number(number: f64, shown: String) -> Self {
        let whole = number as i128;
        let is_whole = number.fract() == 0.0 && number.abs() < (1_u64 << 53) as f64;
        Self { value: if is_whole { Value::Whole(whole) } else { Value::Float(number) }, shown }
    }
}

impl Setting {
    /// The kinds of jobs beside `other` that have one of its keys.
    pub(super) fn kinds(&self, other: Kind) -> Vec<String> {
        let kinds = Kind::ALL.into_iter().filter(|kind| *kind != other);
        let kinds = kinds.filter(|kind| self.keys.iter().any(|key| kind.has(key)));
        kinds.map(|kind| kind.to_string()).collect()
    }

    /// The setting that `flag` gives.
    pub fn of_flag(flag: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.flag == flag)
    }

    /// Reads a value as it is written behind the flag or in the variable.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(&self, text: &str) -> Result<Given, String> {
        match self.form {
            Form::Value(parse) | Form::Optional(parse) => parse(text),
            Form::Each | Form::Text => Ok(Given::text(text)),
            Form::Switch => switch(text),
            Form::Choice(words) if words().iter().any(|word| word.get_name() == text) => {
                Ok(Given::text(text))
            }
            Form::Choice(_) => Err(format!("`{text}` is not one of the words")),
        }
    }
}

fn rate(text: &str) -> Result<Given, String> {
    Ok(match parse_rate(text).map_err(|error| error.to_string())? {
        Rate::Max => Given::text("max"),
        Rate::PerSecond(rate) => Given::number(rate, rate.to_string()),
    })
}

fn count(text: &str) -> Result<Given, String> {
    let count = parse_count(text).map_err(|error| error.to_string())?;
    Ok(Given { value: Value::Whole(count.into()), shown: count.to_string() })
}

/// As many digits as there are: a seed is no quantity.
fn seed(text: &str) -> Result<Given, String> {
    let seed: u64 = text
        .trim()
        .parse()
        .map_err(|_| format!("`{text}` is not a seed; write a whole number such as 42"))?;
    Ok(Given { value: Value::Whole(seed.into()), shown: seed.to_string() })
}

fn factor(text: &str) -> Result<Given, String> {
    let factor = parse_factor(text).map_err(|error| error.to_string())?;
    Ok(Given::number(factor, factor.to_string()))
}

/// A share, as `5%` or `0.05`.
fn share(text: &str) -> Result<Given, String> {
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text.trim(), 1.0),
    };
    let number: f64 =
        number.parse().map_err(|_| format!("`{text}` is not a share; write 5% or 0.05"))?;
    let share = number / scale;
    Ok(Given::number(share, share.to_string()))
}

fn in_seconds(time: Duration) -> Given {
    Given::number(time.as_secs_f64(), format_duration(time))
}

fn seconds(text: &str) -> Result<Given, String> {
    parse_duration(text).map(in_seconds).map_err(|error| error.to_string())
}

fn seconds_or_forever(text: &str) -> Result<Given, String> {
    Ok(match parse_run_length(text).map_err(|error| error.to_string())? {
        RunLength::Forever => Given::text("forever"),
        RunLength::For(time) => in_seconds(time),
    })
}

/// From whole nanoseconds: seconds times 1000 would not be exact.
fn in_milliseconds(time: Duration) -> Given {
    Given::number(time.as_nanos() as f64 / 1e6, format_duration(time))
}

fn milliseconds(text: &str) -> Result<Given, String> {
    parse_duration(text).map(in_milliseconds).map_err(|error| error.to_string())
}

fn milliseconds_or_off(text: &str) -> Result<Given, String> {
    Ok(match parse_cadence(text).map_err(|error| error.to_string())? {
        Cadence::Off => Given::text("off"),
        Cadence::Each(time) => in_milliseconds(time),
    })
}

fn switch(text: &str) -> Result<Given, String> {
    match text {
        "true" => Ok(Given { value: Value::Boolean(true), shown: text.to_owned() }),
        "false" => Ok(Given { value: Value::Boolean(false), shown: text.to_owned() }),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

fn recreate(text: &str) -> Result<Given, String> {
    let recreate: Recreate =
        text.parse().map_err(|error: super::TableNameError| error.to_string())?;
    Ok(match recreate {
        Recreate::Named(_) => Given::text(text),
        Recreate::Ours | Recreate::No => switch(text)?,
    })
}

fn words<W: ValueEnum>() -> Vec<PossibleValue> {
    W::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect()
}

/// Every setting, in the order of `--help`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        flag: "--rate",
        variable: Some("STROM_LOAD_RATE"),
        keys: &["stream.rows_per_s"],
        form: Form::Value(rate),
        value_name: "RATE",
        heading: "Stream",
        help: "Rows per second over all partitions, such as 3000, 30k or max [default: 3000]\n\n\
               Split evenly over the partitions. Rows fall due by this schedule whatever the server \
               does; what is late is sent late and counted late. With max there is no schedule: each \
               producer sends its next batch once the last one is committed.",
    },
    Setting {
        flag: "--arrival",
        variable: Some("STROM_LOAD_ARRIVAL"),
        keys: &["stream.arrival"],
        form: Form::Choice(words::<Arrival>),
        value_name: "ARRIVAL",
        heading: "Stream",
        help: "How rows follow each other at the rate [default: constant]\n\n\
               constant: at equal distances. poisson: each by itself, as those of many independent users. \
               burst: at four times the rate for a second of each five, at a random place, and a quarter of \
               it between. All keep the mean, and depend on the seed alone, however many partitions there \
               are.",
    },
    Setting {
        flag: "--partitions",
        variable: Some("STROM_LOAD_PARTITIONS"),
        keys: &["stream.partitions"],
        form: Form::Value(count),
        value_name: "PARTITIONS",
        heading: "Stream",
        help: "Partitions, each with one producer and one connection [default: 3]",
    },
    Setting {
        flag: "--batch-rows",
        variable: Some("STROM_LOAD_BATCH_ROWS"),
        keys: &["stream.batch_rows"],
        form: Form::Value(count),
        value_name: "ROWS",
        heading: "Stream",
        help: "Most rows in one transaction [default: 100; 20000 with --rate max]\n\n\
               A batch is one COPY in one transaction. It is sent when it is full, or when its first \
               row has waited for --linger.",
    },
    Setting {
        flag: "--linger",
        variable: Some("STROM_LOAD_LINGER"),
        keys: &["stream.linger_ms"],
        form: Form::Value(milliseconds),
        value_name: "TIME",
        heading: "Stream",
        help: "Longest wait of a batch's first row for the others [default: 100ms]\n\n\
               Times are written 500ms, 30s, 2m or 1h30m.",
    },
    Setting {
        flag: "--table",
        variable: Some("STROM_LOAD_TABLE"),
        keys: &["stream.table"],
        form: Form::Text,
        value_name: "NAME",
        heading: "Stream",
        help: "Target table, such as sales.events [default: l40s_realtime_stream]\n\n\
               Created if it is not there, with one LIST partition for each producer. If it is there, \
               its columns are checked, missing partitions are added and rows are appended; nothing is \
               dropped without --recreate.",
    },
    Setting {
        flag: "--recreate",
        variable: None,
        keys: &[],
        form: Form::Optional(recreate),
        value_name: "TABLE",
        heading: "Stream",
        help: "Drop the target table, or the profile's tables, and all their rows first, if strom-load \
               made them\n\n\
               What strom-load makes it marks in the table's comment. A table without the mark is \
               dropped only if it is named: --recreate=shop.orders.",
    },
    Setting {
        flag: "--readers",
        variable: Some("STROM_LOAD_READERS"),
        keys: &["readers.count"],
        form: Form::Value(count),
        value_name: "READERS",
        heading: "Readers",
        help: "Readers, each with one connection; 0 for none [default: 2]",
    },
    Setting {
        flag: "--query-rate",
        variable: Some("STROM_LOAD_QUERY_RATE"),
        keys: &["readers.queries_per_s"],
        form: Form::Value(rate),
        value_name: "RATE",
        heading: "Readers",
        help: "Queries per second over all readers, or max [default: max]\n\n\
               With max each reader asks again as soon as it is answered. With a rate, queries fall due \
               by a schedule, as rows do.",
    },
    Setting {
        flag: "--query-arrival",
        variable: Some("STROM_LOAD_QUERY_ARRIVAL"),
        keys: &["readers.arrival"],
        form: Form::Choice(words::<Arrival>),
        value_name: "ARRIVAL",
        heading: "Readers",
        help: "How queries follow each other at --query-rate, as in --arrival [default: constant]",
    },
    Setting {
        flag: "--gpu",
        variable: Some("STROM_LOAD_GPU"),
        keys: &["readers.gpu", "bench.gpu"],
        form: Form::Choice(words::<Gpu>),
        value_name: "GPU",
        heading: "Readers",
        help: "Whether queries use PG-Strom [default: auto]\n\n\
               off and on switch pg_strom.enabled and read it back; alternate gives each query both in \
               turn. auto is alternate where PG-Strom is loaded and plain CPU where it is not. Without \
               PG-Strom, on and alternate are refused.",
    },
    Setting {
        flag: "--check-answers",
        variable: Some("STROM_LOAD_CHECK_ANSWERS"),
        keys: &["evidence.check_answers"],
        form: Form::Switch,
        value_name: "BOOL",
        heading: "Readers",
        help: "Whether the answers of a query's two arms are compared [default: true]\n\n\
               One query a minute while the run lasts, and every query at its end: both arms in one \
               transaction, rows in any order, numbers within a tolerance. A difference exits with 5.",
    },
    Setting {
        flag: "--statement-timeout",
        variable: Some("STROM_LOAD_STATEMENT_TIMEOUT"),
        keys: &["readers.statement_timeout_s", "bench.statement_timeout_s"],
        form: Form::Value(seconds),
        value_name: "TIME",
        heading: "Readers",
        help: "Limit of one query, enforced by the server [default: 60s]",
    },
    Setting {
        flag: "--duration",
        variable: Some("STROM_LOAD_DURATION"),
        keys: &["duration_s"],
        form: Form::Value(seconds_or_forever),
        value_name: "TIME",
        heading: "Run",
        help: "Measured time after the warm-up, or forever [default: 60s]",
    },
    Setting {
        flag: "--warmup",
        variable: Some("STROM_LOAD_WARMUP"),
        keys: &["warmup_s"],
        form: Form::Value(seconds),
        value_name: "TIME",
        heading: "Run",
        help: "Time under load before the measurement begins [default: 2s]",
    },
    Setting {
        flag: "--drain-timeout",
        variable: Some("STROM_LOAD_DRAIN_TIMEOUT"),
        keys: &["drain_timeout_s"],
        form: Form::Value(seconds),
        value_name: "TIME",
        heading: "Run",
        help: "How long overdue batches may still be sent after the end [default: 30s]",
    },
    Setting {
        flag: "--seed",
        variable: Some("STROM_LOAD_SEED"),
        keys: &["seed"],
        form: Form::Value(seed),
        value_name: "NUMBER",
        heading: "Run",
        help: "Seed: the same one gives the same rows [default: 42]",
    },
    Setting {
        flag: "--order",
        variable: Some("STROM_LOAD_ORDER"),
        keys: &["bench.order"],
        form: Form::Choice(words::<Order>),
        value_name: "ORDER",
        heading: "Benchmark",
        help: "How the two arms of a query follow each other [default: interleaved]\n\n\
               interleaved runs them in adjacent pairs, each in random order, after one execution that \
               is not measured. sequential runs all of the first arm, then all of the other, nothing \
               warmed: what biased comparisons do, to see how much it matters.",
    },
    Setting {
        flag: "--precision",
        variable: Some("STROM_LOAD_PRECISION"),
        keys: &["bench.precision"],
        form: Form::Value(share),
        value_name: "SHARE",
        heading: "Benchmark",
        help: "Stop a query when its ratio is known to within this share, such as 5% [default: 5%]",
    },
    Setting {
        flag: "--pairs-min",
        variable: Some("STROM_LOAD_PAIRS_MIN"),
        keys: &["bench.pairs_min"],
        form: Form::Value(count),
        value_name: "NUMBER",
        heading: "Benchmark",
        help: "Fewest pairs of a query [default: 20]",
    },
    Setting {
        flag: "--pairs-max",
        variable: Some("STROM_LOAD_PAIRS_MAX"),
        keys: &["bench.pairs_max"],
        form: Form::Value(count),
        value_name: "NUMBER",
        heading: "Benchmark",
        help: "Most pairs of a query [default: 200]",
    },
    Setting {
        flag: "--query-time",
        variable: Some("STROM_LOAD_QUERY_TIME"),
        keys: &["bench.time_s"],
        form: Form::Value(seconds),
        value_name: "TIME",
        heading: "Benchmark",
        help: "Most time for the pairs of a query [default: 60s]",
    },
    Setting {
        flag: "--threshold",
        variable: None,
        keys: &["thresholds"],
        form: Form::Each,
        value_name: "CONDITION",
        heading: "Run",
        help: "Exit with 99 unless this holds, such as 'response_p99_ms < 50'; repeatable\n\n\
               A figure, one of < <= > >=, and a number; `strom-load thresholds` lists the figures. \
               `abort` behind it ends the run as soon as it does not hold, `abort after 10s` not \
               before that time: 'errors <= 0 abort after 10s'.",
    },
    Setting {
        flag: "--delivery",
        variable: Some("STROM_LOAD_DELIVERY"),
        keys: &["recovery.delivery"],
        form: Form::Choice(words::<Delivery>),
        value_name: "PROMISE",
        heading: "Faults",
        help: "What is promised about each row [default: exactly-once]\n\n\
               A batch is one transaction. It is in doubt if the connection is lost after its COMMIT \
               may have been sent and before the answer came. The promises differ in what becomes of it \
               then; a batch that surely failed is sent again under all three. docs/delivery.md has the \
               details.",
    },
    Setting {
        flag: "--on-fault",
        variable: Some("STROM_LOAD_ON_FAULT"),
        keys: &["recovery.on_fault"],
        form: Form::Choice(words::<OnFault>),
        value_name: "WHAT",
        heading: "Faults",
        help: "What the first fault does [default: recover]",
    },
    Setting {
        flag: "--reconnect-timeout",
        variable: Some("STROM_LOAD_RECONNECT_TIMEOUT"),
        keys: &["recovery.reconnect_timeout_s"],
        form: Form::Value(seconds),
        value_name: "TIME",
        heading: "Faults",
        help: "How long one outage may last before it ends the run [default: 60s]\n\n\
               Counted from the first failure to the next success. Meanwhile new connections are tried \
               with growing pauses. It also bounds how long one batch may take.",
    },
    Setting {
        flag: "--backlog-rows",
        variable: Some("STROM_LOAD_BACKLOG_ROWS"),
        keys: &["recovery.backlog_rows"],
        form: Form::Value(count),
        value_name: "ROWS",
        heading: "Faults",
        help: "Rows that may be overdue before the oldest are dropped [default: 60 s of the rate]\n\n\
               Rows go on falling due while the server is gone. They take no memory, since they are made \
               when they are sent. What exceeds the bound is not sent any more; its ranges are in the \
               result. Over all partitions, and at least one batch of each.",
    },
    Setting {
        flag: "--catch-up",
        variable: Some("STROM_LOAD_CATCH_UP"),
        keys: &["recovery.catch_up_factor"],
        form: Form::Value(factor),
        value_name: "FACTOR",
        heading: "Faults",
        help: "Send overdue rows at most at this multiple of the rate [default: 4]\n\n\
               A server that has just come back is not run over by its backlog. Above 1, or the backlog \
               would never shrink; refused with --rate max, which has no backlog.",
    },
    Setting {
        flag: "--audit",
        variable: Some("STROM_LOAD_AUDIT"),
        keys: &["audit"],
        form: Form::Choice(words::<Audit>),
        value_name: "HOW",
        heading: "Faults",
        help: "How the rows are checked at the end [default: full]",
    },
    Setting {
        flag: "--allow-dropped",
        variable: Some("STROM_LOAD_ALLOW_DROPPED"),
        keys: &["allow_dropped"],
        form: Form::Value(share),
        value_name: "SHARE",
        heading: "Faults",
        help: "Share of the rows due that may be dropped, such as 1% [default: 0%]\n\n\
               Rows are dropped when they exceed --backlog-rows, or are still overdue --drain-timeout \
               after the end. With more than this share the exit code is 6.",
    },
    Setting {
        flag: "--gpu-interval",
        variable: Some("STROM_LOAD_GPU_INTERVAL"),
        keys: &["watch.gpu_interval_ms"],
        form: Form::Value(milliseconds_or_off),
        value_name: "TIME",
        heading: "GPUs",
        help: "Time between two samples of each GPU of this machine, or off [default: 100ms]\n\n\
               Samples are reduced to mean, maximum and integral each second. A GPU query is short: \
               sampled once a second, it is mostly missed. Without an NVIDIA driver nothing is sampled, \
               and the log says so in a line.",
    },
    Setting {
        flag: "--gpu-pcie",
        variable: Some("STROM_LOAD_GPU_PCIE"),
        keys: &["watch.gpu_pcie"],
        form: Form::Switch,
        value_name: "BOOL",
        heading: "GPUs",
        help: "Sample PCIe throughput too; the driver takes some 40 ms a sample and GPU",
    },
    Setting {
        flag: "--rows",
        variable: Some("STROM_LOAD_ROWS"),
        keys: &[],
        form: Form::Value(count),
        value_name: "ROWS",
        heading: "Tables",
        help: "Rows of each of the profile's tables, such as 50M; not of a dimension table",
    },
    Setting {
        flag: "--scale",
        variable: Some("STROM_LOAD_SCALE"),
        keys: &[],
        form: Form::Value(factor),
        value_name: "FACTOR",
        heading: "Tables",
        help: "Multiply the rows of each of the profile's tables by this, such as 0.1; not of a \
               dimension table",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_called_as_its_flag() {
        for setting in SETTINGS {
            let flag = setting.flag.strip_prefix("--").unwrap();
            let variable = format!("STROM_LOAD_{}", flag.to_uppercase().replace('-', "_"));
            assert!(setting.variable.is_none_or(|own| own == variable), "{}", setting.flag);
        }
    }

    #[test]
    fn a_word_reads_as_the_profile_reads_it() {
        for setting in SETTINGS {
            let Form::Choice(words) = setting.form else { continue };
            for word in words() {
                let given = setting.parse(word.get_name()).unwrap();
                assert_eq!(given.value, Value::Text(word.get_name().to_owned()));
            }
            assert!(setting.parse("nonsense").is_err());
        }
    }

    #[test]
    fn a_share_is_written_in_percent_or_not() {
        let read = |text| share(text).map(|given| given.value);
        assert_eq!(read("5%"), Ok(Value::Float(0.05)));
        assert_eq!(read("0.05"), Ok(Value::Float(0.05)));
        assert!(read("five").is_err());
    }

    #[test]
    fn times_are_given_in_the_unit_of_the_key() {
        let read = |flag, text| Setting::of_flag(flag).unwrap().parse(text).unwrap();
        assert_eq!(read("--linger", "100ms").value, Value::Whole(100));
        assert_eq!(read("--linger", "500us").value, Value::Float(0.5));
        assert_eq!(read("--warmup", "1h30m").value, Value::Whole(5_400));
        assert_eq!(read("--warmup", "1h30m").shown, "90 min");
        assert_eq!(read("--gpu-interval", "off").value, Value::Text("off".to_owned()));
    }
}
