//! Passfiles (.pgpass): the first line that fits server, database and user has the password.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::secret::Secret;

/// What a passfile gives: its text, nothing, or the reason why it is not looked at.
pub(super) enum Passfile {
    Text(String),
    Missing,
    Ignored(String),
}

/// Reads a passfile; like libpq, ignores one that others can read.
pub(super) fn read(path: &Path) -> Passfile {
    let ignored = |why: String| Passfile::Ignored(format!("passfile {} {why}", path.display()));
    let file = match fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Passfile::Missing,
        Err(error) => return ignored(format!("is ignored: {error}")),
    };
    if !file.is_file() {
        return ignored("is ignored: it is not a plain file".to_owned());
    }
    if file.mode() & 0o077 != 0 {
        let mode = file.mode() & 0o7777;
        return ignored(format!(
            "is ignored: others can read it (mode {mode:04o}); chmod 600 {}",
            path.display()
        ));
    }
    match fs::read(path) {
        Ok(bytes) => Passfile::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => ignored(format!("is ignored: {error}")),
    }
}

/// The password for these four fields: host, port, database, user.
pub(super) fn find(text: &str, fields: [&str; 4]) -> Option<Secret> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let rest = lines
        .find_map(|line| fields.iter().try_fold(line, |rest, field| after_match(rest, field)))?;
    Some(password(rest)).filter(|password| !password.is_empty()).map(Secret::new)
}

/// What follows the first field of `line`, if that is `*` or `wanted`; a backslash takes the next
/// character as it is.
fn after_match<'l>(line: &'l str, wanted: &str) -> Option<&'l str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut wanted = wanted.chars();
    let mut chars = line.chars();
    loop {
        let (c, literal) = match chars.next()? {
            '\\' => (chars.next()?, true),
            c => (c, false),
        };
        match wanted.next() {
            None if c == ':' && !literal => return Some(chars.as_str()),
            Some(want) if want == c => {}
            _ => return None,
        }
    }
}

/// The rest of a line up to a further `:`, without its escapes.
fn password(rest: &str) -> String {
    let mut password = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' => break,
            '\\' => password.push(chars.next().unwrap_or('\\')),
            c => password.push(c),
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# h:1:d:u:commented\n\nh:1:d:u:first\nh:1:d:u:second\n*:*:d2:*:any\n\
                        ::1:1:d:u:plain\n\\:\\:2:1:d:u:six\r\nlocalhost:*:*:u\\:v:a\\:b\\\\c:rest\n\
                        short:1\nempty:*:*:*:\n*:*:*:last:end";

    fn look(fields: [&str; 4]) -> Option<String> {
        find(TEXT, fields).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn the_first_line_that_fits() {
        assert_eq!(look(["h", "1", "d", "u"]).as_deref(), Some("first"));
        assert_eq!(look(["h", "2", "d", "u"]), None);
        assert_eq!(look(["h2", "1", "d2", "x"]).as_deref(), Some("any"));
        assert_eq!(look(["::1", "1", "d", "u"]).as_deref(), Some("plain"));
        assert_eq!(look(["::2", "1", "d", "u"]).as_deref(), Some("six"));
        assert_eq!(look(["localhost", "9", "x", "u:v"]).as_deref(), Some(r"a:b\c"));
        assert_eq!(look(["hh", "1", "d", "u"]), None);
        assert_eq!(look(["short", "1", "d", "u"]), None);
        assert_eq!(look(["empty", "1", "d", "u"]), None);
        assert_eq!(look(["x", "1", "d", "last"]).as_deref(), Some("end"));
    }

    #[test]
    fn one_that_others_can_read_is_ignored_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgpass");
        assert!(matches!(read(&path), Passfile::Missing));
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let Passfile::Ignored(why) = read(&path) else { panic!() };
        assert!(why.contains("(mode 0640); chmod 600"), "{why}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(read(&path), Passfile::Text(text) if text == "x"));
        assert!(matches!(read(dir.path()), Passfile::Ignored(_)));
    }

    proptest! {
        #[test]
        fn escaped_fields_are_found(fields in prop::array::uniform5("[^\r\n]{1,8}")) {
            let escape = |field: &String| field.replace('\\', r"\\").replace(':', r"\:");
            let line = fields.iter().map(escape).collect::<Vec<_>>().join(":");
            prop_assume!(!line.starts_with('#'));
            let [host, port, database, user, password] = &fields;
            let found = find(&line, [host, port, database, user]);
            prop_assert_eq!(found.map(|found| found.expose().to_owned()), Some(password.clone()));
        }

        #[test]
        fn no_text_is_too_much(text in any::<String>(), field in any::<String>()) {
            let _ = find(&text, [&field; 4]);
        }
    }
}
