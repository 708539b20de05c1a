//! Whether a server has the settings of a sweep, takes their values, and lets us change them:
//! found out before anything is changed, and all that is wrong at once.

use super::SweepError;
use super::value::{canonical, same};
use crate::pg::embedded::is_decided_by_launcher;
use crate::pg::{Session, quote_literal};
use crate::plan::sweep::{Combination, IfAbsent, Mode, Sweep, SweepSetting, combinations};
pub(crate) use crate::result::sweep::{Skipped, Value};
use crate::strom::settings::{self, Applying, KNOWN, Setting};

/// What may be done to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Whether it is ours: started for this, and free to be restarted.
    pub embedded: bool,
    /// Whether the user allows ALTER SYSTEM.
    pub alter_system: bool,
}

/// A sweep that this server takes.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// Its settings.
    pub settings: Vec<Swept>,
    /// Settings that were left out.
    pub skipped: Vec<Skipped>,
    /// Its combinations; no two are the same.
    pub combinations: Vec<Combination>,
}

/// A setting of a sweep on this server.
#[derive(Debug, Clone)]
pub(crate) struct Swept {
    /// Its name.
    pub name: String,
    /// What it is at present.
    pub present: Option<String>,
    /// What a change takes.
    pub applied_by: Applying,
    /// Its values.
    pub values: Vec<Value>,
    /// What the server says about it.
    pub(super) setting: Setting,
}

impl Checked {
    /// The values of a combination, by setting; `None` is what the server has at present.
    pub(crate) fn values(&self, combination: &Combination) -> Vec<(&Swept, Option<&Value>)> {
        let value = |(swept, at): (_, &Option<usize>)| {
            let swept: &Swept = swept;
            (swept, at.and_then(|at| swept.values.get(at)))
        };
        self.settings.iter().zip(combination).map(value).collect()
    }

    /// Whether a setting takes this to change.
    pub(crate) fn any(&self, applying: Applying) -> bool {
        self.settings.iter().any(|swept| swept.applied_by == applying)
    }
}

/// Finds out whether this server takes the sweep. The session must be fresh, and in no
/// transaction.
///
/// # Errors
/// With all that it does not take; or when it does not answer.
pub(crate) async fn check(
    session: &mut Session,
    sweep: &Sweep,
    rights: Rights,
) -> Result<Checked, SweepError> {
    let names: Vec<&str> = sweep.settings.iter().map(|setting| setting.name.as_str()).collect();
    let found = settings::probe(session, &names).await?;
    let (mut faults, mut skipped, mut swept) = (Vec::new(), Vec::new(), Vec::new());
    let mut all = None;
    for (written, setting) in sweep.settings.iter().zip(found) {
        if setting.is_real() {
            match one(session, written, setting, rights).await? {
                Ok(setting) => swept.push(setting),
                Err(wrong) => faults.extend(wrong),
            }
            continue;
        }
        let name = &written.name;
        if all.is_none() {
            all = Some(settings::names(session).await?);
        }
        let is_known = KNOWN.iter().any(|known| known.name.eq_ignore_ascii_case(name));
        if is_known && sweep.if_absent == IfAbsent::Skip {
            let why = "this server has no such setting of PG-Strom".to_owned();
            skipped.push(Skipped { name: name.clone(), why });
            continue;
        }
        let why = settings::explain_absent(name, all.iter().flatten().map(String::as_str));
        faults.push(format!("`{name}`: {why}; fix: correct the name, or leave it out"));
    }
    if swept.iter().any(|swept| swept.applied_by == Applying::Reload) {
        faults.extend(may_reload(session).await?);
    }
    if faults.is_empty() && swept.is_empty() {
        let names: Vec<&str> = skipped.iter().map(|skipped| skipped.name.as_str()).collect();
        let names = names.join(", ");
        faults.push(format!("it has none of {names}; fix: load the module that brings them"));
    }
    if !faults.is_empty() {
        return Err(SweepError::Refused(faults));
    }
    let combinations = distinct(&swept, sweep.mode);
    Ok(Checked { settings: swept, skipped, combinations })
}

/// The combinations without those that set what is there already, one setting at a time.
fn distinct(swept: &[Swept], mode: Mode) -> Vec<Combination> {
    let counts: Vec<usize> = swept.iter().map(|swept| swept.values.len()).collect();
    let mut all = combinations(mode, &counts);
    if mode == Mode::OneAtATime {
        let changes = |(swept, at): (&Swept, &Option<usize>)| {
            at.is_some_and(|at| swept.present.as_ref() != Some(&swept.values[at].shown))
        };
        let first = all.first().cloned();
        all.retain(|one| swept.iter().zip(one).any(changes) || Some(one) == first.as_ref());
    }
    all
}

/// A setting that exists.
async fn one(
    session: &mut Session,
    written: &SweepSetting,
    setting: Setting,
    rights: Rights,
) -> Result<Result<Swept, Vec<String>>, SweepError> {
    let name = &written.name;
    let on_command_line = setting.source.as_deref() == Some("command line");
    let applied_by = match setting.context.map(settings::Context::applying) {
        // A SET would act on the whole server, and nothing would put it back.
        Some(Applying::Set | Applying::PrivilegedSet) if setting.is_shared() => Applying::Reload,
        Some(Applying::Set | Applying::PrivilegedSet) => Applying::Set,
        Some(Applying::Reload) if on_command_line && rights.embedded => Applying::Restart,
        Some(applying) => applying,
        None => Applying::Never,
    };
    let wrong = match applied_by {
        Applying::Set if !setting.may_set => {
            Some("our role may not set it; fix: connect as a superuser, or GRANT SET ON PARAMETER")
        }
        Applying::Reload if on_command_line => Some(
            "it was given on the server's command line, which outweighs ALTER SYSTEM; fix: start \
             the server without it",
        ),
        Applying::Reload if !setting.may_alter_system => Some(
            "our role may not change it; fix: connect as a superuser, or GRANT ALTER SYSTEM ON \
             PARAMETER",
        ),
        Applying::Reload if !rights.alter_system && !rights.embedded => Some(
            "it takes ALTER SYSTEM and a reload, which all sessions of the server see; fix: allow \
             it with --allow-alter-system, or leave the setting out",
        ),
        Applying::Restart if !rights.embedded => Some(
            "it takes a restart, and strom-load restarts only a server that it has started; fix: \
             leave it out, or run without a connection",
        ),
        Applying::Restart if is_decided_by_launcher(name) => {
            Some("strom-load itself decides it for a server that it starts; fix: leave it out")
        }
        Applying::Connect | Applying::PrivilegedConnect => {
            Some("it is fixed when a session begins; fix: leave it out")
        }
        Applying::Never => Some("it cannot be changed; fix: leave it out"),
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Ok(Err(vec![format!("`{name}`: {wrong}")]));
    }
    let (mut values, mut faults): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for value in &written.values {
        let shown = match applied_by {
            Applying::Set => try_out(session, name, value).await?,
            _ => canonical(&setting, value),
        };
        match shown {
            Ok(shown) => {
                let twin = values.iter().find(|other| match applied_by {
                    Applying::Set => other.shown == shown,
                    _ => same(&setting, &other.shown, &shown),
                });
                if let Some(twin) = twin {
                    let twin = &twin.written;
                    faults.push(format!(
                        "`{name}`: `{value}` and `{twin}` are the same value; fix: delete one"
                    ));
                }
                values.push(Value { written: value.clone(), shown });
            }
            Err(why) => faults.push(format!("`{name}` does not take `{value}`; fix: {why}")),
        }
    }
    if !faults.is_empty() {
        return Ok(Err(faults));
    }
    let present = match applied_by {
        Applying::Set => setting.value.clone(),
        _ if setting.hidden => setting.value.clone(),
        _ => setting.raw.clone(),
    };
    Ok(Ok(Swept { name: name.clone(), present, applied_by, values, setting }))
}

/// Sets it in a transaction that is rolled back; the value as the server shows it then.
async fn try_out(
    session: &mut Session,
    name: &str,
    value: &str,
) -> Result<Result<String, String>, SweepError> {
    let act = "try a value of a setting";
    let sql = format!(
        "SELECT pg_catalog.set_config({}, {}, true)",
        quote_literal(name),
        quote_literal(value)
    );
    session.execute(act, "BEGIN").await?;
    let tried = session.text(act, &sql).await;
    session.execute(act, "ROLLBACK").await?;
    match tried {
        Ok(shown) => Ok(Ok(shown.unwrap_or_default())),
        Err(error) if error.is_lost() => Err(error.into()),
        Err(error) => Ok(Err(format!("choose another value; {error}"))),
    }
}

/// What is missing for ALTER SYSTEM, a reload, and putting things back.
async fn may_reload(session: &mut Session) -> Result<Vec<String>, SweepError> {
    let act = "look up our rights";
    let missing = [
        (
            "pg_catalog.has_function_privilege('pg_catalog.pg_reload_conf()', 'EXECUTE')",
            "our role may not reload the configuration; fix: GRANT EXECUTE ON FUNCTION \
             pg_reload_conf() TO it, or connect as a superuser",
        ),
        (
            "pg_catalog.has_table_privilege('pg_catalog.pg_file_settings', 'SELECT') AND \
             pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')",
            "our role may not read pg_file_settings, so nothing could be put back as it was; fix: \
             connect as a superuser, or grant SELECT on it and EXECUTE ON FUNCTION \
             pg_show_all_file_settings()",
        ),
    ];
    let mut faults = Vec::new();
    for (has, fault) in missing {
        if session.text(act, &format!("SELECT {has}")).await?.as_deref() != Some("t") {
            faults.push(fault.to_owned());
        }
    }
    Ok(faults)
}
