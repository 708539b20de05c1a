//! Options of a call that the call has no use for: a flag is a fault, a variable is noted.

use crate::cli::{self, Parsed};
use crate::plan::{Fault, Faults, Origin, Place};

use super::Failure;

/// An option that only some calls have a use for.
pub(super) struct Optional {
    /// As clap knows it.
    id: &'static str,
    flag: &'static str,
    variable: Option<&'static str>,
}

impl Optional {
    pub(super) const fn new(
        id: &'static str,
        flag: &'static str,
        variable: Option<&'static str>,
    ) -> Self {
        Self { id, flag, variable }
    }
}

const DATA_DIR: Optional = Optional::new("data_dir", "--data-dir", Some("STROM_LOAD_DATA_DIR"));
const INSTALL: Optional = Optional::new("install_postgres", "--install-postgres", None);
const PG_SET: Optional = Optional::new("pg_set", "--pg-set", None);
const PG_BINDIR: Optional = Optional::new("pg_bindir", "--pg-bindir", Some("STROM_LOAD_PG_BINDIR"));
/// How a server is started.
pub(super) const STARTING: [Optional; 2] = [INSTALL, PG_SET];
/// About the server that is started.
pub(super) const STARTED: [Optional; 4] = [DATA_DIR, INSTALL, PG_SET, PG_BINDIR];
/// The same for `doctor`, which looks at the binaries in any case.
pub(super) const STARTED_BY_DOCTOR: [Optional; 3] = [DATA_DIR, INSTALL, PG_SET];
pub(super) const ALTER_SYSTEM: Optional =
    Optional::new("allow_alter_system", "--allow-alter-system", None);
pub(super) const READERS_URL: Optional =
    Optional::new("readers_url", "--readers-url", Some("STROM_LOAD_READERS_URL"));
pub(super) const METRICS_LINGER: Optional =
    Optional::new("metrics_linger", "--metrics-linger", Some("STROM_LOAD_METRICS_LINGER"));
pub(super) const COOLDOWN: Optional =
    Optional::new("cooldown", "--cooldown", Some("STROM_LOAD_COOLDOWN"));
pub(super) const FAIL_FAST: Optional = Optional::new("fail_fast", "--fail-fast", None);

/// What is to be said of options that have no meaning `here`; those that were typed are a fault.
pub(super) fn refuse(
    parsed: &Parsed,
    options: &[Optional],
    here: &str,
    fix: &str,
) -> Result<Vec<String>, Failure> {
    let typed = options.iter().filter(|option| parsed.typed(option.id));
    let faults = typed.map(|Optional { flag, .. }| {
        Faults::from(Fault {
            place: Place::Given(Origin::Flag(flag)),
            what: format!("`{flag}` has no meaning {here}"),
            fix: fix.to_owned(),
        })
    });
    match Faults::joined(faults) {
        Some(faults) => Err(faults.into()),
        None => Ok(note(parsed, options, here)),
    }
}

/// What is to be said of options that have no meaning `here`, wherever they were given.
pub(super) fn note(parsed: &Parsed, options: &[Optional], here: &str) -> Vec<String> {
    let given = options.iter().filter(|option| parsed.given(option.id));
    let name = |option: &Optional| match option.variable.filter(|_| !parsed.typed(option.id)) {
        Some(variable) => variable,
        None => option.flag,
    };
    given.map(|option| format!("`{}` has no meaning {here}", name(option))).collect()
}

/// What is to be said of strom-load's variables that are set and that a subcommand has no option
/// for.
pub(super) fn variables_without_use(subcommand: &str) -> Vec<String> {
    let unused = cli::variables_without_use(subcommand, variables());
    unused.into_iter().map(|name| format!("`{name}` has no meaning for {subcommand}")).collect()
}

fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.into_string().unwrap_or_default()))
    })
}

/// What is to be said of variables that are called as strom-load's are and are none.
pub(super) fn unknown_variables() -> Vec<String> {
    let unknown = cli::unknown_variables(variables());
    let said = unknown.into_iter().map(|(name, near)| match near {
        Some(near) => format!("`{name}` is no variable of strom-load; did you mean `{near}`?"),
        None => format!("`{name}` is no variable of strom-load; docs/options.md has them"),
    });
    said.collect()
}
