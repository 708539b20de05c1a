//! The code map of ARCHITECTURE.md names every file of the sources.

use std::fs;
use std::path::Path;

use super::sources;

/// Whether the map names a file: in a name `{a,b}` stands for each, and `*` for any.
fn names(map: &str, file: &str) -> bool {
    let patterns = map.split('`').filter(|text| text.strip_suffix(".rs").is_some());
    patterns.flat_map(each).any(|pattern| match pattern.split_once('*') {
        Some((before, after)) => {
            let middle = file.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            middle.is_some_and(|name| !name.contains('/'))
        }
        None => pattern == file,
    })
}

/// A name with its braces written out.
fn each(pattern: &str) -> Vec<String> {
    let parts = pattern.split_once('{').and_then(|(before, rest)| {
        let (names, after) = rest.split_once('}')?;
        Some((before, names, after))
    });
    let Some((before, names, after)) = parts else { return vec![pattern.to_owned()] };
    names.split(',').flat_map(|name| each(&format!("{before}{name}{after}"))).collect()
}

#[test]
fn every_file_is_in_the_map() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let map = fs::read_to_string(path).unwrap();
    let map: String = map.lines().filter(|line| line.starts_with("| `")).collect();
    let sources = sources(&["src"]);
    let files = sources.iter().filter_map(|source| source.path.strip_prefix("src/"));
    let missing: Vec<&str> = files.filter(|file| *file != "lib.rs" && !names(&map, file)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "ARCHITECTURE.md does not name these");
}

#[test]
fn a_file_that_nobody_named_would_be_found() {
    let map = "| `a.rs` `a/{b,c}/*.rs` |";
    for (file, named) in [
        ("a.rs", true),
        ("a/b/x.rs", true),
        ("a/c/y.rs", true),
        ("a/b.rs", false),
        ("a/b/c/x.rs", false),
    ] {
        assert_eq!(names(map, file), named, "{file}");
    }
}
