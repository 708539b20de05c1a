//! Makes values hold that a session cannot SET: by ALTER SYSTEM and a reload.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::restore::{Record, Touched, alter_system, identity, in_auto_conf, reload};
use super::value::same;
use super::{Checked, SweepError, Swept, Value};
use crate::pg::{Address, Session, quote_literal};
use crate::strom::settings::{self, Applying};

/// A restarted server is there, and a crashed one may have to recover.
const RECONNECT_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Changes the configuration of a server, and puts it back.
pub(crate) struct Applier {
    address: Address,
    session: Session,
    record: Record,
}

impl Applier {
    /// Records what has to be put back, on a session of its own. Nothing is changed yet. `None` if
    /// no setting of the sweep takes a reload.
    ///
    /// # Errors
    /// When the server does not let us.
    pub(crate) async fn begin(
        address: &Address,
        checked: &Checked,
    ) -> Result<Option<Self>, SweepError> {
        let mut settings = Vec::new();
        if !checked.any(Applying::Reload) {
            return Ok(None);
        }
        let mut session = Session::own(address, "strom-load sweep").await?;
        for swept in &checked.settings {
            if swept.applied_by == Applying::Reload {
                let was = in_auto_conf(&mut session, &swept.name).await?;
                let values = swept.values.iter().map(|value| value.written.clone()).collect();
                settings.push(Touched { name: swept.name.clone(), was, swept: values });
            }
        }
        let (pid, began) = identity(&mut session).await?;
        let record = Record { pid, began, settings };
        record.save(&mut session).await?;
        Ok(Some(Self { address: address.clone(), session, record }))
    }

    /// What the server does not take of the hidden settings: ALTER SYSTEM judges a value, and it is
    /// taken out again before anything reads it.
    async fn refused(&mut self, checked: &Checked) -> Result<Vec<String>, SweepError> {
        let mut faults = Vec::new();
        for touched in &self.record.settings {
            let swept = checked.settings.iter().find(|swept| swept.name == touched.name);
            if swept.is_none_or(|swept| !swept.setting.hidden) {
                continue;
            }
            for value in &touched.swept {
                match alter_system(&mut self.session, &touched.name, Some(value)).await {
                    Err(SweepError::Server(error)) if !error.is_lost() => faults.push(format!(
                        "`{}` does not take `{value}`; fix: choose another value; {error}",
                        touched.name
                    )),
                    tried => tried?,
                }
            }
            alter_system(&mut self.session, &touched.name, touched.was.as_deref()).await?;
        }
        Ok(faults)
    }

    /// Makes these values hold for new sessions; `None` is what was there before.
    ///
    /// # Errors
    /// When they do not hold in the end.
    pub(crate) async fn apply(
        &mut self,
        values: &[(&Swept, Option<&Value>)],
    ) -> Result<(), SweepError> {
        for (swept, value) in values {
            let Some(touched) = self.record.settings.iter().find(|one| one.name == swept.name)
            else {
                continue;
            };
            let value = value.map(|value| value.written.as_str()).or(touched.was.as_deref());
            alter_system(&mut self.session, &swept.name, value).await?;
        }
        let mut fresh = reload(&mut self.session, &self.address).await?;
        let names: Vec<&str> = values.iter().map(|(swept, _)| swept.name.as_str()).collect();
        let found = settings::probe(&mut fresh, &names).await?;
        for ((swept, value), found) in values.iter().zip(found) {
            let wanted = value.map(|value| &value.shown).or(swept.present.as_ref());
            let wanted = wanted.cloned().unwrap_or_default();
            let got = if found.hidden { found.value } else { found.raw }.unwrap_or_default();
            // `1024MB` of a hidden setting reads back as `1GB`, and nothing tells its unit.
            let holds = same(&swept.setting, &wanted, &got)
                || (found.hidden && is_applied(&mut fresh, &swept.name).await?);
            if !holds {
                let sql = "SELECT pg_catalog.string_agg(concat_ws(' ', name, error), '; ') \
                           FROM pg_catalog.pg_file_settings WHERE error IS NOT NULL";
                let said = fresh.text("look for errors in the configuration", sql).await?;
                let why =
                    said.map_or_else(String::new, |said| format!("; the server says: {said}"));
                return Err(SweepError::NotApplied { name: swept.name.clone(), wanted, got, why });
            }
        }
        fresh.close().await;
        Ok(())
    }

    /// After a restart or a crash of the server, whose sessions are gone with it.
    ///
    /// # Errors
    /// When it does not come back.
    pub(crate) async fn reconnect(&mut self) -> Result<(), SweepError> {
        let began = Instant::now();
        self.session = loop {
            match Session::own(&self.address, "strom-load sweep").await {
                Ok(session) => break session,
                Err(error) if began.elapsed() > RECONNECT_MAX => return Err(error.into()),
                Err(_) => sleep(POLL * 4).await,
            }
        };
        // The record must name the session that lives.
        let (pid, began) = identity(&mut self.session).await?;
        (self.record.pid, self.record.began) = (pid, began);
        self.record.save(&mut self.session).await
    }

    /// Puts everything back.
    ///
    /// # Errors
    /// When that fails: the record stays, and the next start tries again.
    pub(crate) async fn end(mut self) -> Result<(), SweepError> {
        let first = self.record.restore(&mut self.session, &self.address, None).await;
        if let Err(SweepError::Server(error)) = &first
            && error.is_lost()
        {
            self.reconnect().await?;
            self.record.restore(&mut self.session, &self.address, None).await?;
        } else {
            first?;
        }
        self.session.close().await;
        Ok(())
    }
}

/// Finds out whether the server takes the values of hidden settings, whose type and range it does
/// not tell: by ALTER SYSTEM, without a reload.
///
/// # Errors
/// With all that it does not take; or when it does not answer.
pub(crate) async fn try_hidden(address: &Address, checked: &Checked) -> Result<(), SweepError> {
    let is_hidden = |swept: &Swept| swept.setting.hidden && swept.applied_by == Applying::Reload;
    if !checked.settings.iter().any(is_hidden) {
        return Ok(());
    }
    let Some(mut applier) = Applier::begin(address, checked).await? else { return Ok(()) };
    let refused = applier.refused(checked).await;
    applier.end().await?;
    match refused? {
        faults if faults.is_empty() => Ok(()),
        faults => Err(SweepError::Refused(faults)),
    }
}

/// Whether the server says that what its configuration has for a setting is in force.
async fn is_applied(session: &mut Session, name: &str) -> Result<bool, SweepError> {
    let sql = format!(
        "SELECT applied AND error IS NULL FROM pg_catalog.pg_file_settings \
         WHERE lower(name) = lower({}) ORDER BY seqno DESC LIMIT 1",
        quote_literal(name)
    );
    let applied = session.text("look whether the configuration is in force", &sql).await?;
    Ok(applied.as_deref() == Some("t"))
}
