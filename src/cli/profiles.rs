//! Profiles as arguments.

use crate::plan::BUILTINS;

/// What a profile may be, with every built-in one.
pub(super) fn help() -> String {
    let names: Vec<_> = BUILTINS.iter().map(|(name, _)| *name).collect();
    format!(
        "Profiles: files (TOML), or built-in ones by name\n\nBuilt in are {}. `strom-load profiles` \
         says what each is for.",
        names.join(", ")
    )
}
