//! The settings of PG-Strom 5.2 to 6.2, and the names that are taken for settings of it.

use super::Context::{self, Internal, Postmaster, Sighup, Superuser, User};

/// A setting that some release of PG-Strom has.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Its full name.
    pub name: &'static str,
    /// Its context in the newest release that has it; the server knows better where it shows it.
    pub context: Context,
    /// The first release that has it; `5.2` is the oldest that was looked at.
    pub since: &'static str,
    /// What it does, for one that is not in `pg_settings` and so has nobody else to say it.
    pub hidden: Option<&'static str>,
}

/// The setting of PG-Strom that a session can SET and no session has for itself. It lies in shared
/// memory: a SET acts on the whole server, stays after the session, and has worker threads started
/// or ended four seconds later.
pub const SHARED: &str = "pg_strom.max_async_tasks";

const fn shown(name: &'static str, context: Context, since: &'static str) -> Known {
    Known { name, context, since, hidden: None }
}

const fn hidden(
    name: &'static str,
    context: Context,
    since: &'static str,
    about: &'static str,
) -> Known {
    Known { name, context, since, hidden: Some(about) }
}

/// All of them but those for DPUs, which went with 6.2.
pub const KNOWN: &[Known] = &[
    shown("arrow_fdw.enabled", User, "5.2"),
    shown("arrow_fdw.metadata_cache_size", Postmaster, "5.2"),
    shown("arrow_fdw.parquet_cache_enabled", User, "6.2"),
    shown("arrow_fdw.parquet_parallel_read_threshold", User, "6.2"),
    shown("arrow_fdw.stats_hint_enabled", User, "5.2"),
    shown("pg_strom.cpu_fallback", User, "5.2"),
    shown("pg_strom.cuda_stack_limit", Postmaster, "5.2"),
    shown("pg_strom.cuda_toolkit_basedir", Postmaster, "5.2"),
    shown("pg_strom.cuda_visible_devices", Postmaster, "5.2"),
    shown("pg_strom.debug_xpujoinpath", User, "5.2"),
    shown("pg_strom.enable_brin", User, "5.2"),
    shown("pg_strom.enable_gpucache", User, "5.2"),
    shown("pg_strom.enable_gpugistindex", Internal, "5.2"),
    shown("pg_strom.enable_gpuhashjoin", User, "5.2"),
    shown("pg_strom.enable_gpujoin", User, "5.2"),
    shown("pg_strom.enable_gpupreagg", User, "5.2"),
    shown("pg_strom.enable_gpuscan", User, "5.2"),
    shown("pg_strom.enable_gpusort", User, "6.0"),
    hidden(
        "pg_strom.enable_numeric_aggfuncs",
        User,
        "5.2",
        "whether aggregates over numeric may run on the GPU",
    ),
    shown("pg_strom.enable_partitionwise_gpujoin", User, "5.2"),
    shown("pg_strom.enable_partitionwise_gpupreagg", User, "5.2"),
    shown("pg_strom.enable_select_into_direct", User, "6.1"),
    shown("pg_strom.enabled", User, "5.2"),
    shown("pg_strom.explain_developer_mode", User, "6.0"),
    shown("pg_strom.extra_ereport_level", Superuser, "6.0"),
    shown("pg_strom.gpu_direct_seq_page_cost", User, "5.2"),
    hidden(
        "pg_strom.gpu_mempool_max_ratio",
        Sighup,
        "5.2",
        "greatest share of the GPU's memory for the pool",
    ),
    hidden(
        "pg_strom.gpu_mempool_min_ratio",
        Sighup,
        "5.2",
        "share of the GPU's memory that the pool keeps when idle",
    ),
    hidden(
        "pg_strom.gpu_mempool_release_delay",
        Sighup,
        "5.2",
        "how long an unused segment of the pool is kept",
    ),
    hidden(
        "pg_strom.gpu_mempool_segment_sz",
        Sighup,
        "5.2",
        "size of one segment of the GPU memory pool",
    ),
    shown("pg_strom.gpu_operator_cost", User, "5.2"),
    shown("pg_strom.gpu_selection_policy", Superuser, "5.2"),
    shown("pg_strom.gpu_setup_cost", User, "5.2"),
    shown("pg_strom.gpu_tuple_cost", User, "5.2"),
    shown("pg_strom.gpucache_log_buffer_size", Postmaster, "6.2"),
    hidden(
        "pg_strom.gpucache_max_relation_entries",
        Postmaster,
        "6.2",
        "how many tables can have a GPU cache",
    ),
    hidden(
        "pg_strom.gpucache_sync_interval",
        Postmaster,
        "6.2",
        "longest time until the GPU cache takes over its log",
    ),
    hidden(
        "pg_strom.gpucache_sync_threshold",
        Postmaster,
        "6.2",
        "size of its log at which the GPU cache takes it over",
    ),
    shown("pg_strom.gpudirect_driver", Postmaster, "5.2"),
    shown("pg_strom.gpudirect_enabled", User, "5.2"),
    shown("pg_strom.gpudirect_threshold", Superuser, "5.2"),
    shown("pg_strom.manual_optimal_gpus", Postmaster, "5.2"),
    shown(SHARED, Superuser, "5.2"),
    hidden(
        "pg_strom.parquet_cache_eviction_bonus",
        Postmaster,
        "6.2",
        "how much a hit counts against eviction from the Parquet cache",
    ),
    hidden(
        "pg_strom.parquet_cache_eviction_max_seconds",
        Postmaster,
        "6.2",
        "greatest age in the Parquet cache",
    ),
    hidden(
        "pg_strom.parquet_cache_eviction_min_seconds",
        Postmaster,
        "6.2",
        "least age before eviction from the Parquet cache",
    ),
    shown("pg_strom.parquet_cache_max_async_write", Postmaster, "6.2"),
    shown("pg_strom.parquet_cache_path", Postmaster, "6.2"),
    shown("pg_strom.parquet_cache_size", Postmaster, "6.2"),
    shown("pg_strom.parquet_cache_target_usage", Postmaster, "6.2"),
    shown("pg_strom.parquet_cache_unitsz", Postmaster, "6.2"),
    hidden(
        "pg_strom.pinned_inner_buffer_partition_size",
        Superuser,
        "6.0",
        "size of one part of a pinned inner buffer of GpuJoin",
    ),
    shown("pg_strom.pinned_inner_buffer_threshold", Superuser, "5.2"),
    hidden(
        "pg_strom.regression_test_mode",
        User,
        "5.2",
        "leaves out of EXPLAIN what differs between machines",
    ),
];

/// Names that are copied from manual to manual, and what is there in their place. The server takes
/// a SET of them without a word, and nothing changes.
pub const NO_SETTINGS: &[(&str, &str)] = &[
    ("pg_strom.chunk_size", "the size of a chunk is fixed when PG-Strom is built"),
    (
        "pg_strom.gpu_cache_size",
        "a GPU cache is sized by the arguments of its trigger, one table at a time",
    ),
    (
        "pg_strom.enable_numeric_type",
        "it went long ago; the nearest is pg_strom.enable_numeric_aggfuncs",
    ),
];
