//! What a flag or an environment variable can give of a profile: one table, that the command line, the
//! layers and the documents are made from.

use clap::ValueEnum;
use clap::builder::PossibleValue;

pub use super::given::Given;
use super::given::{
    count, factor, milliseconds, milliseconds_or_off, rate, recreate, seconds, seconds_or_forever,
    seed, share, switch,
};
use super::kind::Kind;
use crate::profile::{Arrival, Audit, Delivery, Gpu, OnFault, Order, Restart};

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
        help: "Rows per second over all connections, such as 3000, 30k or max [default: 3000]\n\n\
               Split evenly over the connections. Rows fall due by this schedule whatever the server \
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
               it between. All keep the mean, and depend on the seed alone, however many connections there \
               are.",
    },
    Setting {
        flag: "--partitions",
        variable: Some("STROM_LOAD_PARTITIONS"),
        keys: &["stream.partitions"],
        form: Form::Value(count),
        value_name: "PARTITIONS",
        heading: "Stream",
        help: "LIST partitions of a table that strom-load makes [default: 3]",
    },
    Setting {
        flag: "--connections",
        variable: Some("STROM_LOAD_CONNECTIONS"),
        keys: &["stream.connections"],
        form: Form::Value(count),
        value_name: "CONNECTIONS",
        heading: "Stream",
        help: "Producers, each with one connection [default: one a partition; 3 without]\n\n\
               They are dealt to the partitions in turn: with 3 partitions and 12 connections each partition \
               has four, and their ids are unique; at a rate they are without gaps, too. The rows are the same \
               however many there are.",
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
               Created if it is not there, with LIST partitions if a column has the values \"partition\". If it \
               is there, its columns are checked, missing partitions are added and rows are appended; \
               nothing is dropped without --recreate. Without such a column any table that takes COPY is \
               loaded as it is.",
    },
    Setting {
        flag: "--like",
        variable: None,
        keys: &["stream.like"],
        form: Form::Text,
        value_name: "NAME",
        heading: "Stream",
        help: "Make the target table like this one, such as shop.orders, if it is not there\n\n\
               With its columns, defaults, constraints, indexes and partitions; foreign keys, triggers and rights are \
               not copied. The table that is copied is only read. A target table that is there must be one that \
               strom-load made.",
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
        flag: "--think-time",
        variable: Some("STROM_LOAD_THINK_TIME"),
        keys: &["readers.think_time_ms"],
        form: Form::Value(milliseconds),
        value_name: "TIME",
        heading: "Readers",
        help: "Pause of each reader behind an answer, without --query-rate [default: 0s]",
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
        help: "Fewest pairs of a query, of fewer than which there is no interval [default: 30]",
    },
    Setting {
        flag: "--pairs-max",
        variable: Some("STROM_LOAD_PAIRS_MAX"),
        keys: &["bench.pairs_max"],
        form: Form::Value(count),
        value_name: "NUMBER",
        heading: "Benchmark",
        help: "Most pairs of a query, also where that is below the fewest by default [default: 200]",
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
        flag: "--repeats",
        variable: Some("STROM_LOAD_REPEATS"),
        keys: &["readers.repeats", "bench.repeats"],
        form: Form::Value(count),
        value_name: "NUMBER",
        heading: "Run",
        help: "Repeat the measurement so often, each time with new sessions [default: 1]\n\n\
               Each repeat is a whole measurement: beside a stream for --duration, of a query of a \
               benchmark for --query-time at most. So 5 repeats take five times as long. The stream goes \
               on all the time, and its readers connect anew. Intervals and verdicts are then those \
               over the repeats, with what differs from one to the next; without, they are about one \
               run. Five or more tell something.",
    },
    Setting {
        flag: "--repeats-restart",
        variable: Some("STROM_LOAD_REPEATS_RESTART"),
        keys: &["bench.repeats_restart"],
        form: Form::Choice(words::<Restart>),
        value_name: "WHAT",
        heading: "Benchmark",
        help: "What begins anew with a repeat [default: sessions]\n\n\
               The server is restarted only if strom-load has started it.",
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
               with growing pauses. It also bounds how long one batch may take at the server.",
    },
    Setting {
        flag: "--batch-timeout",
        variable: Some("STROM_LOAD_BATCH_TIMEOUT"),
        keys: &["recovery.batch_timeout_s"],
        form: Form::Value(seconds),
        value_name: "TIME",
        heading: "Faults",
        help: "How long a batch waits before the server is asked what became of it [default: 10s]\n\n\
               It is asked in another session. If it is at work on the batch, or the batch waits there for \
               a lock or a standby, the wait goes on, up to --reconnect-timeout. If the answer or the rows \
               are lost, the connection is given up at once.",
    },
    Setting {
        flag: "--lease",
        variable: Some("STROM_LOAD_LEASE"),
        keys: &["recovery.lease_s"],
        form: Form::Value(seconds),
        value_name: "TIME",
        heading: "Faults",
        help: "How long the server waits for a word of this loader before another may load [default: 60s]\n\n\
               The server ends the sessions of a loader that is stopped or cut off, and with them its \
               hold on the partitions. One that lives says a word four times as often, also while it has \
               no rows to send. In the middle of a batch it is --reconnect-timeout, if that is longer.",
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
               result. Over all connections, and at least one batch of each.",
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
    use crate::profile::document::Value;

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
    fn times_are_given_in_the_unit_of_the_key() {
        let read = |flag, text| Setting::of_flag(flag).unwrap().parse(text).unwrap();
        assert_eq!(read("--linger", "100ms").value, Value::Whole(100));
        assert_eq!(read("--linger", "500us").value, Value::Float(0.5));
        assert_eq!(read("--warmup", "1h30m").value, Value::Whole(5_400));
        assert_eq!(read("--warmup", "1h30m").shown, "90 min");
        assert_eq!(read("--gpu-interval", "off").value, Value::Text("off".to_owned()));
    }
}
