//! No two files beside each other use each other, however far around: a circle means that a
//! function lies in the wrong file. A file and what lies under it may, as parts of one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, sources};

/// The path of a module, from the root of the crate.
type Module = Vec<String>;

/// What a file brings into scope: the paths of its `use` statements, and whether each is public.
fn imports(source: &Source) -> Vec<(Vec<String>, bool)> {
    let code: Vec<&str> = source.code().map(|(_, line)| line).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for statement in code.split(';') {
        let Some(at) = statement.rfind("use ").filter(|at| {
            let before = statement[..*at].lines().last().unwrap_or_default().trim();
            before.is_empty() || before.starts_with("pub")
        }) else {
            continue;
        };
        let public = statement[..at].lines().last().is_some_and(|line| line.contains("pub"));
        for path in flatten(statement[at + 4..].trim()) {
            found.push((path, public));
        }
    }
    found
}

/// The paths of a use tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn flatten(tree: &str) -> Vec<Vec<String>> {
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|part| part.trim().to_owned()).collect()];
    };
    let prefix: Vec<String> = tree[..open]
        .split("::")
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    let inner = tree[open + 1..].trim_end();
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    let with_prefix = |rest: Vec<String>| {
        let own = rest.into_iter().filter(|part| part != "self");
        prefix.iter().cloned().chain(own).collect()
    };
    parts.flat_map(flatten).map(with_prefix).collect()
}

fn module_of(source: &Source) -> Option<Module> {
    let path = source.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let module: Module = path.split('/').map(str::to_owned).collect();
    (module != ["lib"] && module != ["main"]).then_some(module)
}

/// The modules of a crate and what each brings into scope.
struct Crate(BTreeMap<Module, Vec<(Vec<String>, bool)>>);

impl Crate {
    fn of(sources: &[Source]) -> Self {
        let own = sources.iter().filter_map(|source| Some((module_of(source)?, imports(source))));
        Self(own.collect())
    }

    /// The module in which a path ends, re-exports followed.
    fn target(&self, from: &Module, path: &[String], hops: usize) -> Option<Module> {
        let mut path = path.iter();
        let mut at: Module = match path.clone().next()?.as_str() {
            "crate" => {
                path.next();
                Vec::new()
            }
            "super" | "self" => from.clone(),
            first => {
                let child: Module = from.iter().cloned().chain([first.to_owned()]).collect();
                self.0.contains_key(&child).then(|| from.clone())?
            }
        };
        for part in path {
            match part.as_str() {
                "self" => {}
                "super" => drop(at.pop()),
                name => {
                    let child: Module = at.iter().cloned().chain([name.to_owned()]).collect();
                    if self.0.contains_key(&child) {
                        at = child;
                        continue;
                    }
                    let given_on = self.0.get(&at).into_iter().flatten().find(|(path, public)| {
                        *public && path.last().is_some_and(|last| last == name)
                    });
                    return match given_on {
                        Some((path, _)) if hops > 0 => {
                            self.target(&at, path, hops - 1).or(Some(at))
                        }
                        _ => Some(at),
                    };
                }
            }
        }
        Some(at)
    }

    /// The files of the same room that each file uses, but for those above and below it.
    fn edges(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of = |(module, imports): (_, &Vec<(Vec<String>, bool)>)| {
            let module: &Module = module;
            let targets = imports.iter().filter_map(|(path, _)| self.target(module, path, 4));
            let beside = targets.filter(|target| {
                target.first() == module.first()
                    && !target.starts_with(module)
                    && !module.starts_with(target)
            });
            (module, beside.collect())
        };
        self.0.iter().map(of).collect()
    }

    /// Circles, each once, as text.
    fn circles(&self) -> BTreeSet<String> {
        let edges = self.edges();
        let mut found = BTreeSet::new();
        for start in edges.keys() {
            // The shortest way back, if there is one.
            let mut ways: Vec<Vec<&Module>> = vec![vec![*start]];
            let mut seen = BTreeSet::new();
            while let Some(way) = (!ways.is_empty()).then(|| ways.remove(0)) {
                let last = way[way.len() - 1];
                for next in edges.get(last).into_iter().flatten() {
                    if next == *start {
                        let mut names: Vec<String> =
                            way.iter().map(|module| module.join("/")).collect();
                        let least = names.iter().enumerate().min_by_key(|(_, name)| *name);
                        let least = least.map_or(0, |(at, _)| at);
                        names.rotate_left(least);
                        found.insert(names.join(" -> "));
                    } else if seen.insert(next)
                        && let Some((next, _)) = edges.get_key_value(next)
                    {
                        ways.push([way.as_slice(), &[*next]].concat());
                    }
                }
            }
        }
        found
    }
}

#[test]
fn no_circle_of_files() {
    let circles = Crate::of(&sources(&["src"])).circles();
    assert_eq!(circles, BTreeSet::new());
}

#[test]
fn a_circle_is_found_also_through_a_name_that_is_given_on() {
    let files = [
        ("src/pg.rs", "mod a;\nmod b;\nmod c;\npub use b::{B, Other as Another};\n"),
        ("src/pg/a.rs", "use super::{B, c::C};\n"),
        ("src/pg/b.rs", "use std::fmt;\nuse crate::pg::c;\n"),
        ("src/pg/c.rs", "use super::a::A;\n"),
        ("src/row.rs", "use crate::pg::a;\n"),
    ];
    let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    let circles = Crate::of(&sources).circles();
    let circles: Vec<_> = circles.into_iter().collect();
    assert_eq!(circles, ["pg/a -> pg/b -> pg/c", "pg/a -> pg/c"]);
}
