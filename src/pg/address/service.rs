//! Service files: named connections, in sections of pg_service.conf.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::AddressError;
use super::setting::{Origin, Settings, is_known};

/// Where packages keep the file of the whole machine, unless PGSYSCONFDIR says.
const SYSTEM_FOLDERS: [&str; 3] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/etc"];

/// Fills in what the service says that `settings` or PGSERVICE name, if they do.
pub(super) fn fill(
    settings: &mut Settings,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(), AddressError> {
    let given = settings.get("service").map(|value| (value.text.clone(), value.origin.clone()));
    let from_variable = || Some((env("PGSERVICE")?, Origin::Variable("PGSERVICE")));
    let Some((name, origin)) = given.or_else(from_variable) else { return Ok(()) };
    let mut files = Vec::new();
    let own = settings.text("servicefile").map(str::to_owned).or_else(|| env("PGSERVICEFILE"));
    match (own, env("HOME")) {
        (Some(file), _) => files.push((PathBuf::from(file), true)),
        (None, Some(home)) => files.push((Path::new(&home).join(".pg_service.conf"), false)),
        (None, None) => {}
    }
    let folders: Vec<String> = match env("PGSYSCONFDIR") {
        Some(folder) => vec![folder],
        None => SYSTEM_FOLDERS.map(str::to_owned).into(),
    };
    files.extend(folders.iter().map(|folder| (Path::new(folder).join("pg_service.conf"), false)));
    let mut searched = Vec::new();
    for (file, must_exist) in files {
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => continue,
            Err(error) => {
                return Err(AddressError::Refused {
                    place: format!("service file {}", file.display()),
                    fact: format!("cannot be read: {error}"),
                    fix: "name another with PGSERVICEFILE".to_owned(),
                });
            }
        };
        if let Some(pairs) = section(&text, &name, &file)? {
            return settings.fill(pairs);
        }
        searched.push(file.display().to_string());
    }
    let fix = match searched.is_empty() {
        true => "write it into ~/.pg_service.conf, or name a file with PGSERVICEFILE".to_owned(),
        false => format!("write it into {}", searched.join(" or ")),
    };
    let fact = format!("service `{name}` is not defined anywhere");
    Err(AddressError::Refused { place: origin.to_string(), fact, fix })
}

type Given = (String, String, Origin);

/// The pairs of section `name`; `None` where there is no such section. Of a key that is there
/// twice the first counts, as with libpq.
fn section(text: &str, name: &str, file: &Path) -> Result<Option<Vec<Given>>, AddressError> {
    let mut found: Option<Vec<Given>> = None;
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        let refuse = |fact: &str, fix: &str| AddressError::Refused {
            place: format!("{}:{line}", file.display()),
            fact: fact.to_owned(),
            fix: fix.to_owned(),
        };
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if let Some(header) = content.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if header.strip_suffix(']') == Some(name) {
                found = Some(Vec::new());
            }
            continue;
        }
        let Some(pairs) = &mut found else { continue };
        if content.starts_with("ldap") && content.contains("://") {
            return Err(refuse("looks the service up by LDAP", "write its settings out instead"));
        }
        let Some((key, value)) = content.split_once('=') else {
            return Err(refuse("has no `=`", "write key=value"));
        };
        let (key, value) = (key.trim_end(), value.trim_start());
        if key.starts_with("service") {
            return Err(refuse("a service cannot name another", "remove the line"));
        }
        if !is_known(key) {
            return Err(refuse("its key is none that libpq knows", "see docs/connections.md"));
        }
        if !pairs.iter().any(|(earlier, ..)| earlier == key) {
            let origin = Origin::Service { file: file.to_owned(), line };
            pairs.push((key.to_owned(), value.to_owned(), origin));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# services\n[a]\nhost=ha\n\n[ b ]\n[b]\n host = hb \nport=1\nport=2\n\
                        # user=x\n[c]\nhost\n[d]\nservice=a\n[e]\nhots=x\n[f]\nldap://x\n";

    fn read(name: &str) -> String {
        match section(FILE, name, Path::new("f")) {
            Ok(None) => "none".to_owned(),
            Ok(Some(pairs)) => {
                let pairs = pairs.iter().map(|(key, value, at)| format!("{key}=<{value}> {at}"));
                pairs.collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_section_and_its_faults() {
        assert_eq!(read("a"), "host=<ha> f:3");
        assert_eq!(read("b"), "host=<hb> f:7, port=<1> f:8");
        assert_eq!(read("x"), "none");
        for (name, said) in [
            ("c", "f:12: has no `=`"),
            ("d", "f:14: a service cannot name another"),
            ("e", "f:16: its key is none that libpq knows"),
            ("f", "f:18: looks the service up by LDAP"),
        ] {
            assert!(read(name).starts_with(said), "{}", read(name));
        }
    }

    #[test]
    fn the_own_file_comes_before_that_of_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(path(".pg_service.conf"), "[a]\nhost=own\n").unwrap();
        fs::write(path("etc/pg_service.conf"), "[a]\nhost=all\n[b]\nhost=all\n").unwrap();
        let read = |service: &str| {
            let env = |name: &str| match name {
                "HOME" => Some(path("")),
                "PGSYSCONFDIR" => Some(path("etc")),
                "PGSERVICE" => Some(service.to_owned()),
                _ => None,
            };
            let mut settings = Settings::default();
            fill(&mut settings, &env)?;
            Ok::<_, AddressError>(settings.text("host").map(str::to_owned))
        };
        assert_eq!(read("a").unwrap().as_deref(), Some("own"));
        assert_eq!(read("b").unwrap().as_deref(), Some("all"));
        let error = read("c").unwrap_err().to_string();
        assert!(error.contains("PGSERVICE: service `c` is not defined"), "{error}");
        assert!(error.contains("etc/pg_service.conf"), "{error}");
    }
}
