//! A resolved profile without one of its keys: what the default would be there.

use toml::{Table, Value};

use super::{Overrides, Plan, ProfileSource, render_profile};
use crate::profile::Profile;

/// What a profile, in which every default is written out, resolves to without a key, such as
/// `recovery.backlog_rows`. `None` where it does not resolve, or the key lies in a list.
pub fn unwritten(profile: &Profile, key: &str) -> Option<Profile> {
    let mut table = Table::try_from(profile).ok()?;
    cut(&mut table, key)?;
    let source = ProfileSource::decode("saved", render_profile(&table).into_bytes()).ok()?;
    let plan = Plan::read(&source, &Overrides::default()).ok()?;
    Some(*plan.common.profile)
}

/// Takes a dotted key out, if it is there.
fn cut(table: &mut Table, key: &str) -> Option<()> {
    match key.split_once('.') {
        None => {
            table.remove(key);
            Some(())
        }
        Some((section, rest)) => match table.get_mut(section) {
            None => Some(()),
            Some(Value::Table(section)) => cut(section, rest),
            Some(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(profile: &str) -> Profile {
        let source = ProfileSource::decode("a.toml", profile.as_bytes().to_vec()).unwrap();
        *Plan::resolve(&source, &Overrides::default()).unwrap().common.profile
    }

    #[test]
    fn a_default_that_follows_another_key_is_found() {
        let backlog = |profile: &str| {
            let profile = unwritten(&resolved(profile), "recovery.backlog_rows").unwrap();
            profile.recovery.unwrap().backlog_rows.unwrap().0
        };
        assert_eq!(backlog("stream.rows_per_s = 1000\n"), 60_000);
        assert_eq!(backlog("stream.rows_per_s = 2000\nrecovery.backlog_rows = 5000\n"), 120_000);
        let profile = resolved(
            "stream.rows_per_s = 1000\n[[readers.queries]]\nname = 'q'\nsql = 'SELECT 1'\n",
        );
        assert!(unwritten(&profile, "readers.queries.q.sql").is_none(), "it lies in a list");
        assert!(unwritten(&profile, "nothing.like.it").is_some());
    }
}
