//! The floors of the source tree: nothing imports upward, no two files import each other, and what is pure stays pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Bottom up, as in `src/lib.rs`.
const FLOORS: &[&[&str]] = &[
    &[
        "wire", "clock", "pki", "led", "config", "counters", "files", "state", "log", "slot",
        "system", "access", "pair", "packages",
    ],
    &["cot", "budget"],
    &["route"],
    &["link"],
    &["api"],
    &["console", "supervise", "update", "provision"],
    &["cli"],
];
const PURE: &[&str] = &[
    "wire", "cot", "route", "led", "counters", "budget", "console", "pair",
];
/// Pure files of folders that are not.
const PURE_FILES: &[&str] = &[
    "clock::gps",
    "clock::judge",
    "clock::peers",
    "clock::quality",
    "clock::skew",
    "clock::skew::exchange",
    "clock::skew::source",
    "pki::dates",
    "link::keepalive",
    "link::mesh::beacon",
    "link::mesh::pace",
    "link::mesh::speaker",
    "link::nat::search",
    "link::nat::table",
    "link::federate::plan",
    "link::federate::choice",
    "link::federate::latch",
    "link::fed1::freetakserver",
    "link::courier::listing",
    "link::courier::rules",
    "link::courier::table",
    "packages::details",
    "packages::form",
    "packages::hash",
    "packages::shelf",
];
/// What a pure file never names. `std::task` is no more than a trait and stays allowed.
const IMPURE: &[&str] = &[
    "tokio",
    "std::net",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "std::io::Read",
    "std::os",
    "Instant",
    "SystemTime",
    "async fn",
    "async move",
    ".await",
    "SystemClock",
    "socket2",
    "nix::",
    "rustls::",
];

struct Source {
    path: PathBuf,
    /// The first name of its module path.
    module: String,
    /// Full module path, `route::router`.
    name: String,
    /// Code without comments and without its unit tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found: Vec<Source> = (files_below(&root).into_iter())
        .map(|path| source(&root, path))
        .collect();
    found.retain(|source| !matches!(source.name.as_str(), "lib" | "main"));
    // Unit tests in files of their own may look at anything.
    found.retain(|source| {
        let name = &source.name;
        !name.ends_with("::tests") && !name.ends_with("::testing") && !name.contains("::tests::")
    });
    assert!(found.len() > 10, "the sources are where they were");
    found
}

/// The Rust files of a folder and all below it.
fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn source(root: &Path, path: PathBuf) -> Source {
    let below = path
        .strip_prefix(root)
        .expect("below src")
        .with_extension("");
    let mut names: Vec<&str> = below.iter().filter_map(|part| part.to_str()).collect();
    if names.len() > 1 && names.last() == Some(&"mod") {
        names.pop();
    }
    let text = fs::read_to_string(&path).expect("UTF-8");
    let code = text
        .split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default()
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    Source {
        module: names[0].to_owned(),
        name: names.join("::"),
        code,
        path,
    }
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Every path that the code names from the crate's root, braces resolved at their first level.
fn imports(source: &Source) -> BTreeSet<String> {
    let mut found = paths_behind("crate::", &source.code);
    let mut base = source.name.as_str();
    let mut prefix = "super::".to_owned();
    while let Some((parent, _)) = base.rsplit_once("::") {
        let inner = paths_behind(&prefix, &source.code);
        found.extend(
            inner
                .into_iter()
                .filter(|path| !path.starts_with("super"))
                .map(|path| format!("{parent}::{path}")),
        );
        base = parent;
        prefix += "super::";
    }
    for child in paths_behind("\nmod ", &source.code)
        .into_iter()
        .chain(paths_behind("\npub mod ", &source.code))
    {
        let used = paths_behind(&format!("use {child}::"), &source.code);
        found.extend(
            used.into_iter()
                .map(|path| format!("{}::{child}::{path}", source.name)),
        );
    }
    found
}

fn paths_behind(prefix: &str, code: &str) -> BTreeSet<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with("super::") {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let path: String = rest.chars().take_while(|&c| is_path(c)).collect();
        let group = &rest[path.len()..];
        if !path.ends_with("::") && !path.is_empty() {
            found.insert(path);
        } else if let Some(group) = group.strip_prefix('{') {
            for name in top_level(group) {
                let inner: String = name.chars().take_while(|&c| is_path(c)).collect();
                found.insert(format!("{path}{}", inner.trim_end_matches("::")));
            }
        }
    }
    found
}

/// Which file of its folder a `mod.rs` passes a name on from.
fn passed_on(sources: &[Source]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for source in sources
        .iter()
        .filter(|source| source.path.ends_with("mod.rs"))
    {
        for path in paths_behind("pub use ", &source.code) {
            // `pub use file::{A, B}` gives `file::` and the group; `pub use file::A` the path itself.
            let Some((file, name)) = path.split_once("::") else {
                continue;
            };
            found.insert(
                format!("{}::{name}", source.name),
                format!("{}::{file}", source.name),
            );
        }
    }
    found
}

/// The items of a brace group, up to its end.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut items) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(group[from..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(group[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    items
}

#[test]
fn every_module_has_its_floor() {
    let unplaced: BTreeSet<String> = sources()
        .into_iter()
        .filter(|source| floor(&source.module).is_none())
        .map(|source| source.module)
        .collect();
    assert!(unplaced.is_empty(), "no floor: {unplaced:?}");
}

#[test]
fn nothing_imports_upward() {
    let mut wrong = Vec::new();
    for source in sources() {
        for import in imports(&source) {
            let target = import.split("::").next().unwrap_or_default();
            if floor(target).is_some_and(|theirs| Some(theirs) > floor(&source.module)) {
                wrong.push(format!("{} imports {import}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_two_files_import_each_other() {
    let sources = sources();
    let names: BTreeSet<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let passed_on = passed_on(&sources);
    let mut edges: BTreeSet<(&str, &str)> = BTreeSet::new();
    for source in &sources {
        for import in imports(source) {
            let mut path = passed_on.get(&import).unwrap_or(&import).as_str();
            while !names.contains(path) {
                match path.rsplit_once("::") {
                    Some((parent, _)) => path = parent,
                    None => break,
                }
            }
            edges.extend(
                names
                    .get(path)
                    .map(|target| (source.name.as_str(), *target)),
            );
        }
    }
    let is_map = |name: &str| {
        sources
            .iter()
            .any(|source| source.name == name && source.path.ends_with("mod.rs"))
    };
    let cycles: Vec<String> = edges
        .iter()
        .filter(|(from, to)| from < to && edges.contains(&(to, from)))
        // A mod.rs is the map of its folder: it names every file in it.
        .filter(|(from, to)| !(is_map(from) && to.starts_with(from)))
        .map(|(from, to)| format!("{from} and {to}"))
        .collect();
    assert!(edges.len() > 10, "imports are found");
    assert!(cycles.is_empty(), "{cycles:#?}");
}

#[test]
fn pure_layers_touch_nothing() {
    let mut wrong = Vec::new();
    for source in sources() {
        if PURE.contains(&source.module.as_str()) || PURE_FILES.contains(&source.name.as_str()) {
            for word in IMPURE.iter().filter(|word| source.code.contains(**word)) {
                wrong.push(format!("{} names {word}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for name in PURE_FILES {
        assert!(
            sources().iter().any(|source| source.name == *name),
            "{name}"
        );
    }
}

#[test]
fn files_stay_small_enough_to_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["src", "tests"].map(|folder| files_below(&root.join(folder)));
    let long: Vec<String> = (files.into_iter().flatten())
        .filter_map(|path| {
            let lines = fs::read_to_string(&path).expect("UTF-8").lines().count();
            (lines > 500).then(|| format!("{}: {lines}", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_rules_can_fail() {
    let source = Source {
        path: PathBuf::new(),
        module: "route".into(),
        name: "route::outbox::class".into(),
        code: "use crate::{link::{hub, Port}, route::Router};\nuse super::{lane, lane::Lane};\n\
               use super::super::policy::Rule;\nmod child;\nuse child::Thing;\nfn x() { crate::cli::demo::run() }"
            .into(),
    };
    let expected = [
        "cli::demo::run",
        "link",
        "route::Router",
        "route::outbox::class::child::Thing",
        "route::outbox::lane",
        "route::outbox::lane::Lane",
        "route::policy::Rule",
    ];
    assert_eq!(
        imports(&source),
        expected.iter().map(|&path| path.to_owned()).collect()
    );
    assert!(floor("cli") > floor("link") && floor("link") > floor("wire"));
}
