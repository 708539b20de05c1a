//! Profiles that are compiled in.

use super::ProfileSource;

/// Names and texts of the built-in profiles.
pub const BUILTINS: &[(&str, &str)] = &[
    ("realtime", include_str!("../../profiles/realtime.toml")),
    ("aggregates", include_str!("../../profiles/aggregates.toml")),
    ("arrow-heap", include_str!("../../profiles/arrow-heap.toml")),
    ("basic", include_str!("../../profiles/basic.toml")),
    ("brin", include_str!("../../profiles/brin.toml")),
    ("group-by", include_str!("../../profiles/group-by.toml")),
    ("iot", include_str!("../../profiles/iot.toml")),
    ("memory-limit", include_str!("../../profiles/memory-limit.toml")),
    ("orders", include_str!("../../profiles/orders.toml")),
    ("parallel", include_str!("../../profiles/parallel.toml")),
    ("sizes", include_str!("../../profiles/sizes.toml")),
    ("soak-short", include_str!("../../profiles/soak-short.toml")),
    ("strings-dates", include_str!("../../profiles/strings-dates.toml")),
    ("tuning", include_str!("../../profiles/tuning.toml")),
    ("tuning-cpu", include_str!("../../profiles/tuning-cpu.toml")),
    ("windows", include_str!("../../profiles/windows.toml")),
];

/// The built-in profile called `name`.
pub fn builtin(name: &str) -> Option<ProfileSource> {
    let (name, text) = BUILTINS.iter().find(|(known, _)| *known == name)?;
    Some(ProfileSource::new(*name, *text))
}
