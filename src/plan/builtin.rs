//! Profiles that are compiled in.

use super::ProfileSource;

/// Names and texts of the built-in profiles.
pub const BUILTINS: &[(&str, &str)] = &[("realtime", include_str!("../../profiles/realtime.toml"))];

/// The built-in profile called `name`.
pub fn builtin(name: &str) -> Option<ProfileSource> {
    let (name, text) = BUILTINS.iter().find(|(known, _)| *known == name)?;
    Some(ProfileSource { name: (*name).to_owned(), text: (*text).to_owned() })
}
