//! The files for containers: nothing reachable from outside, nothing unpinned, no password in them.
//! Whether they are valid at all, `.ci/run` asks docker-compose, hadolint and their like.

use std::fs;
use std::path::Path;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What follows a key in a file, wherever it stands.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let values = lines.filter_map(|line| Some(line.split_once(key)?.1.trim()));
    let values: Vec<_> = values.collect();
    assert!(!values.is_empty(), "no `{key}`");
    values
}

#[test]
fn nothing_is_reachable_from_outside() {
    for ports in values(&file("docker-compose.yml"), "ports:") {
        assert!(ports.starts_with("[\"127.0.0.1:") && !ports.contains(','), "{ports}");
    }
}

#[test]
fn images_are_pinned() {
    let mut images: Vec<String> = Vec::new();
    for (name, key) in [
        ("docker-compose.yml", "image:"),
        ("deploy/kubernetes/job.yaml", "image:"),
        ("Dockerfile", "FROM "),
        ("deploy/pg-strom/Dockerfile", "FROM "),
    ] {
        images.extend(values(&file(name), key).into_iter().map(str::to_owned));
    }
    for image in images {
        let image = image.split(" AS ").next().unwrap();
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        assert!(tag.starts_with(|c: char| c.is_ascii_digit() || c == 'v'), "{image}");
    }
}

#[test]
fn passwords_are_asked_for() {
    for key in ["PASSWORD: ", "PASS: "] {
        for value in values(&file("docker-compose.yml"), key) {
            assert!(value.starts_with("${") && value.contains(":?"), "{key} {value}");
        }
    }
    for line in file(".env.example").lines().filter(|line| line.contains("PASSWORD=")) {
        assert!(line.ends_with('='), "{line}");
    }
}

#[test]
fn images_and_manifests_are_of_this_version() {
    let image = format!("image: strom-load:{}", env!("CARGO_PKG_VERSION"));
    for name in ["docker-compose.yml", "deploy/kubernetes/job.yaml"] {
        assert!(file(name).contains(&image), "{name} lacks `{image}`");
    }
    let rust = format!("FROM rust:{}.0-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(file("Dockerfile").contains(&rust), "Dockerfile lacks `{rust}`");
}
