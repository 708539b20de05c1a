//! Settings of a server as they are: which exist, what they are set to, and what it takes to
//! change one.
//!
//! PostgreSQL takes a SET of any name with a dot in it. So a name that answers is not yet a
//! setting, and a name that is not in `pg_settings` may still be one: modules can hide theirs.

mod known;

pub use known::{KNOWN, Known, NO_SETTINGS, SHARED};

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::pg::{self, Session, quote_literal};
pub use crate::result::sweep::Applying;

/// The prefixes of PG-Strom's settings.
const PREFIXES: [&str; 2] = ["pg_strom.", "arrow_fdw."];
/// Most names that [`nearest`] gives.
const NEAREST_MAX: usize = 3;

/// When the server lets a setting be changed, in the words of `pg_settings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Context {
    /// Never.
    Internal,
    /// At the start of the server.
    Postmaster,
    /// When the configuration is read again.
    Sighup,
    /// At the start of a session, with the privilege.
    SuperuserBackend,
    /// At the start of a session.
    Backend,
    /// Any time, with the privilege.
    Superuser,
    /// Any time, by anyone.
    User,
}

impl Context {
    /// The context that `pg_settings.context` names.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "internal" => Self::Internal,
            "postmaster" => Self::Postmaster,
            "sighup" => Self::Sighup,
            "superuser-backend" => Self::SuperuserBackend,
            "backend" => Self::Backend,
            "superuser" => Self::Superuser,
            "user" => Self::User,
            _ => return None,
        })
    }

    /// Its name in `pg_settings.context`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Postmaster => "postmaster",
            Self::Sighup => "sighup",
            Self::SuperuserBackend => "superuser-backend",
            Self::Backend => "backend",
            Self::Superuser => "superuser",
            Self::User => "user",
        }
    }

    /// What a change takes.
    pub fn applying(self) -> Applying {
        match self {
            Self::Internal => Applying::Never,
            Self::Postmaster => Applying::Restart,
            Self::Sighup => Applying::Reload,
            Self::SuperuserBackend => Applying::PrivilegedConnect,
            Self::Backend => Applying::Connect,
            Self::Superuser => Applying::PrivilegedSet,
            Self::User => Applying::Set,
        }
    }
}

/// Whether a name is a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Existence {
    /// The server does not know the name.
    Absent,
    /// Somebody set it, and no module has claimed it: it holds a text and does nothing.
    Placeholder,
    /// A setting.
    Real,
}

/// What a server says about a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Setting {
    /// The name.
    pub name: String,
    /// Whether it is a setting.
    pub existence: Existence,
    /// As SHOW prints it; `None` if it does not exist, or our role may not see it.
    pub value: Option<String>,
    /// The same as a plain number of `unit`s; `None` where `pg_settings` hides it.
    pub raw: Option<String>,
    /// Unit of `raw`, `min` and `max`, such as `kB` or `ms`; `None` for a number without.
    pub unit: Option<String>,
    /// When it can be changed; of a hidden setting, what our own table says.
    pub context: Option<Context>,
    /// `bool`, `integer`, `real`, `string` or `enum`.
    pub vartype: Option<String>,
    /// Least value, in `unit`s.
    pub min: Option<String>,
    /// Greatest value, in `unit`s.
    pub max: Option<String>,
    /// The values of an enum.
    pub enumvals: Vec<String>,
    /// What it does.
    pub description: Option<String>,
    /// Where the value comes from: `default`, `configuration file`, …
    pub source: Option<String>,
    /// Whether a new value waits for a restart.
    pub pending_restart: bool,
    /// Whether it exists and is not in `pg_settings`.
    pub hidden: bool,
    /// Whether our role may SET it, at its connection at the latest.
    pub may_set: bool,
    /// Whether our role may change it by ALTER SYSTEM.
    pub may_alter_system: bool,
}

impl Setting {
    /// Whether it is [`SHARED`]: no session has it for itself, although one can SET it.
    pub fn is_shared(&self) -> bool {
        self.name.eq_ignore_ascii_case(SHARED)
    }

    /// A name that the server does not know.
    pub fn absent(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            existence: Existence::Absent,
            value: None,
            raw: None,
            unit: None,
            context: None,
            vartype: None,
            min: None,
            max: None,
            enumvals: Vec::new(),
            description: None,
            source: None,
            pending_restart: false,
            hidden: false,
            may_set: false,
            may_alter_system: false,
        }
    }

    /// Whether it is a setting.
    pub fn is_real(&self) -> bool {
        self.existence == Existence::Real
    }

    /// Whether SHOW prints this.
    pub fn is(&self, value: &str) -> bool {
        self.value.as_deref() == Some(value)
    }

    /// The value as a plain number; `None` for what is not one.
    pub fn number(&self) -> Option<f64> {
        self.raw.as_deref()?.parse().ok()
    }

    /// A size in bytes; `None` for what is not a size.
    pub fn bytes(&self) -> Option<u64> {
        let unit = self.unit.as_deref()?;
        let digits = unit.find(|c: char| !c.is_ascii_digit())?;
        let (times, unit) = unit.split_at(digits);
        let scale: u64 = match unit {
            "B" => 1,
            "kB" => 1 << 10,
            "MB" => 1 << 20,
            "GB" => 1 << 30,
            _ => return None,
        };
        let times: u64 = if times.is_empty() { 1 } else { times.parse().ok()? };
        self.raw.as_deref()?.parse::<u64>().ok()?.checked_mul(times)?.checked_mul(scale)
    }
}

/// Looks up names, in their order. It does so in transactions of its own, which it rolls back, so
/// the session must not be in one. Values that other settings of the session have are seen.
///
/// # Errors
/// When the server does not answer.
pub async fn probe(session: &mut Session, names: &[&str]) -> Result<Vec<Setting>, pg::Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // The view leaves out what this role may not see, where current_setting would fail.
    let sql = format!(
        "SELECT n.name, s.name IS NOT NULL, pg_catalog.current_setting(s.name), s.setting, \
         s.unit, s.context, s.vartype, s.min_val, s.max_val, \
         pg_catalog.array_to_json(s.enumvals), s.short_desc, s.source, s.pending_restart, \
         pg_catalog.has_parameter_privilege(n.name, 'SET'), \
         pg_catalog.has_parameter_privilege(n.name, 'ALTER SYSTEM') \
         FROM pg_catalog.unnest({}) WITH ORDINALITY n(name, at) \
         LEFT JOIN pg_catalog.pg_settings s ON pg_catalog.lower(s.name) = pg_catalog.lower(n.name) \
         ORDER BY n.at",
        array(names)
    );
    let rows = session.rows("look up settings", &sql).await?;
    let unseen: Vec<&str> = rows
        .iter()
        .filter(|row| !is_true(row, 1))
        .filter_map(|row| row.first()?.as_deref())
        .collect();
    let unseen = unseen_names(session, &unseen).await?;
    Ok(rows.iter().map(|row| setting(row, &unseen)).collect())
}

/// What could be found out about a name that `pg_settings` does not show.
#[derive(Debug, Deserialize)]
struct Unseen {
    existence: Existence,
    value: Option<String>,
}

/// Names outside of `pg_settings`. A setting refuses a text that makes no sense for it, or the
/// moment, or our role; a placeholder takes everything. That no text fits holds for every hidden
/// setting there is: none of them is free text that anybody may set.
///
/// In one block that catches the refusals: they would fill the server's log.
async fn unseen_names(
    session: &mut Session,
    names: &[&str],
) -> Result<BTreeMap<String, Unseen>, pg::Error> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let act = "look up settings outside of pg_settings";
    let block = format!(
        "DO $strom_load$ \
         DECLARE n text; v text; kind text; found jsonb := '{{}}'; \
         BEGIN \
           FOREACH n IN ARRAY {} LOOP \
             v := NULL; \
             BEGIN \
               v := pg_catalog.current_setting(n, true); \
               kind := 'absent'; \
               IF v IS NOT NULL THEN \
                 kind := 'real'; \
                 PERFORM pg_catalog.set_config(n, 'no value that strom-load knows', true); \
                 kind := 'placeholder'; \
               END IF; \
             EXCEPTION WHEN OTHERS THEN kind := 'real'; \
             END; \
             found := found || pg_catalog.jsonb_build_object(n, \
                 pg_catalog.jsonb_build_object('existence', kind, 'value', v)); \
           END LOOP; \
           PERFORM pg_catalog.set_config('strom_load.found', found::text, true); \
         END $strom_load$",
        array(names)
    );
    session.execute(act, "BEGIN").await?;
    let found = async {
        session.execute(act, &block).await?;
        session.text(act, "SELECT pg_catalog.current_setting('strom_load.found')").await
    }
    .await;
    // Also after an error, which has left the transaction open.
    let rolled_back = session.execute(act, "ROLLBACK").await;
    let found = found?.unwrap_or_default();
    rolled_back?;
    Ok(serde_json::from_str(&found).unwrap_or_default())
}

fn setting(row: &[Option<String>], unseen: &BTreeMap<String, Unseen>) -> Setting {
    let text = |column: usize| row.get(column).cloned().flatten();
    let name = text(0).unwrap_or_default();
    let (may_set, may_alter_system) = (is_true(row, 13), is_true(row, 14));
    if is_true(row, 1) {
        let context = text(5).as_deref().and_then(Context::from_name);
        let enumvals = text(9).and_then(|json| serde_json::from_str(&json).ok());
        return Setting {
            existence: Existence::Real,
            value: text(2),
            raw: text(3),
            unit: text(4),
            context,
            vartype: text(6),
            min: text(7),
            max: text(8),
            enumvals: enumvals.unwrap_or_default(),
            description: text(10),
            source: text(11),
            pending_restart: is_true(row, 12),
            may_set: may_set_in(context, may_set),
            may_alter_system: context != Some(Context::Internal) && may_alter_system,
            ..Setting::absent(&name)
        };
    }
    let absent = Setting::absent(&name);
    let Some(found) = unseen.get(&name) else { return absent };
    let known = KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(&name));
    let known = known.filter(|_| found.existence == Existence::Real);
    let context = known.map(|known| known.context);
    let is_real = found.existence == Existence::Real;
    Setting {
        existence: found.existence,
        value: found.value.clone(),
        context,
        description: known.and_then(|known| known.hidden).map(str::to_owned),
        hidden: is_real,
        may_set: is_real && may_set_in(context, may_set),
        may_alter_system: is_real && may_alter_system,
        ..absent
    }
}

/// Whether SET will do in a context, given the privilege for this setting or not.
fn may_set_in(context: Option<Context>, privileged: bool) -> bool {
    match context.map(Context::applying) {
        Some(Applying::Set | Applying::Connect) => true,
        Some(Applying::PrivilegedSet | Applying::PrivilegedConnect) | None => privileged,
        Some(Applying::Reload | Applying::Restart | Applying::Never) => false,
    }
}

/// Where a setting of PG-Strom is given a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mention {
    /// The name as written there.
    pub name: String,
    /// Such as `/etc/postgresql/15/main/postgresql.conf:12`, or `ALTER ROLE me`.
    pub place: String,
}

/// PG-Strom's settings on a server, whatever became of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Inventory {
    /// Those that exist, hidden ones included, and the placeholders; by name.
    pub settings: Vec<Setting>,
    /// Where they are given values.
    pub mentions: Vec<Mention>,
    /// Whether our role may read the configuration files; if not, `mentions` lacks those.
    pub files_readable: bool,
}

impl Inventory {
    /// The setting of this name, if it is one.
    pub fn real(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.is_real() && setting.name == name)
    }

    /// What is set and does not exist.
    pub fn placeholders(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| setting.existence == Existence::Placeholder)
    }
}

/// Takes the inventory: all names that we know, that the server shows, and that somebody set.
///
/// # Errors
/// When the server does not answer.
pub async fn inventory(session: &mut Session) -> Result<Inventory, pg::Error> {
    let act = "list PG-Strom's settings";
    let ours = |column: &str| {
        let likes = PREFIXES.map(|prefix| format!("starts_with({column}, '{prefix}')"));
        likes.join(" OR ")
    };
    let sql = format!("SELECT name FROM pg_catalog.pg_settings WHERE {}", ours("name"));
    let shown = session.rows(act, &sql).await?;
    let mut names: BTreeSet<String> =
        shown.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    names.extend(KNOWN.iter().map(|known| known.name.to_owned()));
    names.extend(NO_SETTINGS.iter().map(|(name, _)| (*name).to_owned()));
    let readable = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_file_settings', 'SELECT') \
         AND pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')";
    let files_readable = session.text(act, readable).await?.as_deref() == Some("t");
    let mut places = vec![format!(
        "SELECT split_part(c, '=', 1), concat_ws(' ', 'ALTER', 'ROLE ' || r.rolname, \
         CASE WHEN r.oid IS NOT NULL AND d.oid IS NOT NULL THEN 'IN' END, \
         'DATABASE ' || d.datname) \
         FROM pg_catalog.pg_db_role_setting s \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
         LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c \
         WHERE {}",
        ours("c")
    )];
    if files_readable {
        places.push(format!(
            "SELECT name, sourcefile || ':' || sourceline FROM pg_catalog.pg_file_settings \
             WHERE {}",
            ours("name")
        ));
    }
    let sql = places.join(" UNION ALL ") + " ORDER BY 1, 2";
    let mut mentions = Vec::new();
    for row in session.rows(act, &sql).await? {
        if let [Some(name), Some(place)] = row.as_slice() {
            names.insert(name.clone());
            mentions.push(Mention { name: name.clone(), place: place.clone() });
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut settings = probe(session, &names).await?;
    settings.retain(|setting| setting.existence != Existence::Absent);
    Ok(Inventory { settings, mentions, files_readable })
}

/// Every name that the server shows our role, for [`nearest`].
///
/// # Errors
/// When the server does not answer.
pub async fn names(session: &mut Session) -> Result<Vec<String>, pg::Error> {
    let rows = session.rows("list the settings", "SELECT name FROM pg_catalog.pg_settings").await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

/// Of names that exist, those that `wrong` may have meant, best first: few edits away, else with a
/// word in common. What the word does not decide, the edits do.
pub fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let wrong = wrong.to_ascii_lowercase();
    let mut ranked: Vec<(usize, &str)> =
        names.into_iter().map(|name| (strsim::osa_distance(&wrong, name), name)).collect();
    ranked.sort_unstable();
    let near = |&(edits, _): &(usize, &str)| edits <= (wrong.chars().count() / 4).max(1);
    let (mut found, rest): (Vec<_>, Vec<_>) = ranked.into_iter().partition(near);
    if found.is_empty() {
        // The prefix is a word that says nothing.
        let (_, own) = wrong.rsplit_once('.').unwrap_or(("", &wrong));
        let words: Vec<&str> = own.split('_').filter(|word| word.len() > 3).collect();
        let shares = |name: &str| {
            let (_, own) = name.rsplit_once('.').unwrap_or(("", name));
            own.split('_').any(|word| words.contains(&word))
        };
        found = rest.into_iter().filter(|(_, name)| shares(name)).collect();
    }
    found.truncate(NEAREST_MAX);
    found.into_iter().map(|(_, name)| name).collect()
}

/// What is wrong with a name that is no setting, and which ones are near; one line.
pub fn explain_absent<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let instead = NO_SETTINGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(wrong));
    if let Some((_, instead)) = instead {
        return format!("no known release of PG-Strom has it: {instead}");
    }
    match nearest(wrong, names).as_slice() {
        [] => "this server has no setting of that name, and none like it".to_owned(),
        near => format!("this server has no setting of that name; near it: {}", near.join(", ")),
    }
}

fn array(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| quote_literal(name)).collect();
    format!("ARRAY[{}]::text[]", names.join(", "))
}

fn is_true(row: &[Option<String>], column: usize) -> bool {
    row.get(column).and_then(Option::as_deref) == Some("t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_known_settings_is_sorted_and_names_each_once() {
        assert!(KNOWN.is_sorted_by(|a, b| a.name < b.name));
        assert!(KNOWN.iter().all(|known| PREFIXES.iter().any(|p| known.name.starts_with(p))));
        assert!(NO_SETTINGS.iter().all(|(name, _)| KNOWN.iter().all(|known| known.name != *name)));
    }

    #[test]
    fn the_table_agrees_with_what_a_server_printed() {
        let printed = include_str!("../../tests/pgstrom/settings-6.2-dev.psv");
        // The two that a later commit made hidden and postmaster are told by the server.
        let moved = ["max_async_write", "target_usage", "unitsz"];
        for line in printed.lines() {
            let columns: Vec<&str> = line.split('|').collect();
            let known = KNOWN.iter().find(|known| known.name == columns[0]);
            let known = known.unwrap_or_else(|| panic!("{} is not in the table", columns[0]));
            assert_eq!(known.hidden, None, "{line}");
            if !moved.iter().any(|end| columns[0].ends_with(end)) {
                assert_eq!(known.context.name(), columns[3], "{line}");
            }
        }
        assert_eq!(printed.lines().count(), 41);
    }

    #[test]
    fn each_context_has_its_name_and_its_way() {
        let named = [
            "internal",
            "postmaster",
            "sighup",
            "superuser-backend",
            "backend",
            "superuser",
            "user",
        ];
        for name in named {
            let context = Context::from_name(name).unwrap();
            assert_eq!(context.name(), name);
            assert_eq!(serde_json::to_value(context).unwrap(), name);
        }
        assert_eq!(Context::from_name("anybody"), None);
        assert_eq!(Context::Sighup.applying(), Applying::Reload);
        assert!(!may_set_in(Some(Context::Superuser), false));
        assert!(may_set_in(Some(Context::Superuser), true));
        assert!(!may_set_in(Some(Context::Postmaster), true));
    }

    #[test]
    fn sizes_are_in_bytes_whatever_their_unit() {
        let bytes = |raw: &str, unit: &str| {
            let (raw, unit) = (Some(raw.to_owned()), Some(unit.to_owned()));
            Setting { raw, unit, ..Setting::absent("x") }.bytes()
        };
        assert_eq!(bytes("2097152", "kB"), Some(2 << 30));
        assert_eq!(bytes("16384", "8kB"), Some(128 << 20));
        assert_eq!(bytes("1", "MB"), Some(1 << 20));
        assert_eq!(bytes("5", "ms"), None);
        assert_eq!(bytes("-1", "kB"), None);
    }

    #[test]
    fn a_wrong_name_gets_the_near_ones() {
        let names = || KNOWN.iter().map(|known| known.name);
        assert_eq!(nearest("pg_strom.max_async_task", names()), ["pg_strom.max_async_tasks"]);
        assert_eq!(nearest("PG_STROM.Enabled", names())[0], "pg_strom.enabled");
        let near = nearest("pg_strom.mempool_size_of_segment", names());
        assert_eq!((near.len(), near[0]), (3, "pg_strom.gpu_mempool_segment_sz"));
        assert!(near.iter().all(|name| name.contains("mempool")), "{near:?}");
        assert_eq!(nearest("wrk_mem", ["work_mem", "jit", "temp_buffers"]), ["work_mem"]);
        assert_eq!(nearest("xyzzy", names()), [""; 0]);
        assert_eq!(
            explain_absent("pg_strom.chunk_size", names()),
            "no known release of PG-Strom has it: the size of a chunk is fixed when PG-Strom is built"
        );
        assert_eq!(
            explain_absent("wrk_mem", ["work_mem"]),
            "this server has no setting of that name; near it: work_mem"
        );
    }
}
