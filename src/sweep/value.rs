//! Whether a setting takes a value, by what `pg_settings` says of it: for settings that a session
//! cannot try out with SET.

use crate::strom::settings::Setting;

const BYTES: [(&str, f64); 5] = [
    ("B", 1.0),
    ("kB", 1024.0),
    ("MB", 1_048_576.0),
    ("GB", 1_073_741_824.0),
    ("TB", 1_099_511_627_776.0),
];
const MICROSECONDS: [(&str, f64); 6] =
    [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("min", 6e7), ("h", 3.6e9), ("d", 8.64e10)];

/// The value as `pg_settings.setting` will show it, or why the setting does not take it.
pub(super) fn canonical(setting: &Setting, written: &str) -> Result<String, String> {
    match setting.vartype.as_deref() {
        Some("bool") => boolean(written).map(|on| if on { "on" } else { "off" }.to_owned()),
        Some("enum") => {
            let known = &setting.enumvals;
            let found = known.iter().find(|known| known.eq_ignore_ascii_case(written));
            found.cloned().ok_or_else(|| format!("write one of {}", known.join(", ")))
        }
        Some("integer") => number(setting, written).map(|value| value.round().to_string()),
        Some("real") => number(setting, written).map(|value| value.to_string()),
        _ => Ok(written.to_owned()),
    }
}

/// Whether two values of `pg_settings.setting` are the same.
pub(super) fn same(setting: &Setting, one: &str, other: &str) -> bool {
    match (setting.vartype.as_deref(), one.parse::<f64>(), other.parse::<f64>()) {
        // Of a hidden setting nothing is known: what looks like a number is one.
        (Some("integer" | "real") | None, Ok(one), Ok(other)) => {
            (one - other).abs() <= 1e-6 * one.abs().max(other.abs())
        }
        _ => one == other,
    }
}

fn boolean(written: &str) -> Result<bool, String> {
    let text = written.trim().to_ascii_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if text == "1" || begins("true", 1) || begins("yes", 1) || text == "on" {
        Ok(true)
    } else if text == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2) {
        Ok(false)
    } else {
        Err("write on or off".to_owned())
    }
}

fn number(setting: &Setting, written: &str) -> Result<f64, String> {
    let text = written.trim();
    // Exponents have no place in a value with a unit: `1e3`, but never `1e3kB`.
    let (number, unit) = match text.parse::<f64>() {
        Ok(number) => (number, ""),
        Err(_) => {
            let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
            let (number, unit) = text.split_at(end);
            let number = number.trim().parse();
            (number.map_err(|_| "write a number".to_owned())?, unit.trim())
        }
    };
    let own = setting.unit.as_deref().unwrap_or("");
    let value = if unit.is_empty() { number } else { number * scale(unit, own)? };
    let shown = |limit: &Option<String>| format!("{}{own}", limit.as_deref().unwrap_or("?"));
    let limit = |limit: &Option<String>| limit.as_deref().and_then(|limit| limit.parse().ok());
    let (min, max): (Option<f64>, Option<f64>) = (limit(&setting.min), limit(&setting.max));
    let is_inside = value.is_finite()
        && min.is_none_or(|min| value >= min)
        && max.is_none_or(|max| value <= max);
    if !is_inside {
        return Err(format!("write {} to {}", shown(&setting.min), shown(&setting.max)));
    }
    Ok(value)
}

/// How many of `own`, such as `8kB`, are in one of `unit`.
fn scale(unit: &str, own: &str) -> Result<f64, String> {
    let digits = own.find(|c: char| !c.is_ascii_digit()).unwrap_or(own.len());
    let (times, base) = own.split_at(digits);
    let times: f64 = times.parse().unwrap_or(1.0);
    for family in [&BYTES[..], &MICROSECONDS[..]] {
        let size = |name: &str| family.iter().find(|known| known.0 == name).map(|known| known.1);
        if let Some(base) = size(base) {
            let names: Vec<&str> = family.iter().map(|known| known.0).collect();
            let unit = size(unit).ok_or_else(|| format!("units are {}", names.join(", ")))?;
            return Ok(unit / (base * times));
        }
    }
    Err("it has no unit".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(vartype: &str, unit: &str, min: &str, max: &str) -> Setting {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Setting {
            vartype: some(vartype),
            unit: some(unit),
            min: some(min),
            max: some(max),
            enumvals: vec!["minimal".to_owned(), "replica".to_owned()],
            ..Setting::absent("x")
        }
    }

    #[test]
    fn values_are_read_in_the_units_of_the_setting() {
        let buffers = setting("integer", "8kB", "16", "1073741823");
        assert_eq!(canonical(&buffers, "128MB"), Ok("16384".to_owned()));
        assert_eq!(canonical(&buffers, "64"), Ok("64".to_owned()));
        assert_eq!(canonical(&buffers, "8kB"), Err("write 168kB to 10737418238kB".to_owned()));
        assert_eq!(canonical(&buffers, "1m"), Err("units are B, kB, MB, GB, TB".to_owned()));
        let naptime = setting("integer", "s", "1", "2147483");
        assert_eq!(canonical(&naptime, "2min"), Ok("120".to_owned()));
        assert_eq!(canonical(&naptime, "soon"), Err("write a number".to_owned()));
        let target = setting("real", "", "0", "1");
        assert_eq!(canonical(&target, "0.5"), Ok("0.5".to_owned()));
        assert!(canonical(&target, "1.5").is_err());
        assert!(canonical(&target, "nan").is_err());
        assert_eq!(canonical(&target, "1s"), Err("it has no unit".to_owned()));
    }

    #[test]
    fn words_are_read_as_the_server_reads_them() {
        let flag = setting("bool", "", "", "");
        for (written, value) in [("TRUE", "on"), ("y", "on"), ("of", "off"), ("0", "off")] {
            assert_eq!(canonical(&flag, written).as_deref(), Ok(value), "{written}");
        }
        assert!(canonical(&flag, "o").is_err(), "on or off?");
        let level = setting("enum", "", "", "");
        assert_eq!(canonical(&level, "Replica").as_deref(), Ok("replica"));
        assert_eq!(canonical(&level, "max").unwrap_err(), "write one of minimal, replica");
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        let target = setting("real", "", "0", "1");
        assert!(same(&target, "0.90", "0.9"));
        assert!(!same(&target, "0.9", "0.8"));
        assert!(same(&setting("string", "", "", ""), "a", "a"));
    }
}
