//! The house keeps its order: which room imports which, how long a file or a comment is, and what comments
//! and documents cite.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with its floor and the rooms that it may import. Every import runs to a lower floor.
const ROOMS: [(&str, u8, &[&str]); 15] = [
    ("main", 9, &["cli"]),
    ("cli", 8, &["commands", "database", "gate", "http", "server", "settings"]),
    (
        "commands",
        7,
        &["database", "derivative", "files", "gate", "http", "piwigo", "server", "settings", "verdict"],
    ),
    (
        "gate",
        6,
        &[
            "bounded_map",
            "database",
            "derivative",
            "fastcgi",
            "files",
            "http",
            "piwigo",
            "server",
            "settings",
            "throttle",
            "verdict",
        ],
    ),
    ("settings", 5, &["database", "derivative", "files", "http", "piwigo", "server", "verdict"]),
    ("verdict", 4, &["bounded_map", "database", "http", "piwigo"]),
    ("server", 4, &["fastcgi", "http", "throttle"]),
    ("derivative", 3, &["files", "piwigo"]),
    ("database", 3, &["bounded_map", "piwigo"]),
    ("http", 2, &["fastcgi", "files", "piwigo"]),
    ("piwigo", 1, &[]),
    ("files", 1, &[]),
    ("fastcgi", 1, &[]),
    ("bounded_map", 1, &[]),
    ("throttle", 1, &[]),
];

/// Lines of a file of Rust, at most.
const MAX_LINES: usize = 600;

/// Columns of a line of a comment, at most.
const MAX_COLUMNS: usize = 110;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files below these directories whose names end so, relative to the root.
fn files(directories: &[&str], endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = directories.iter().map(|directory| root().join(directory)).collect();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// A source text without comments and without its tests, which may use what they need.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The first segments behind `crate::` (or the program's `piwigo_gate::`), and those behind `super::` that
/// leave the room of a file at this depth.
fn imported(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for start in ["crate::", "piwigo_gate::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                panic!("a group of several rooms is not read here: {group:.60}");
            }
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.insert(name);
        }
    }
    found
}

#[test]
fn imports_run_downwards_and_are_on_the_list() {
    let floor = |room: &str| ROOMS.iter().find(|(name, ..)| *name == room).map(|(_, floor, _)| *floor);
    for (room, own, allowed) in ROOMS {
        for other in allowed {
            assert!(floor(other).is_some_and(|other| other < own), "{room} lies on no floor above {other}");
        }
    }
    let mut used: BTreeSet<(String, String)> = BTreeSet::new();
    for path in files(&["src"], &[".rs"]) {
        let inside = path.strip_prefix("src").unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let (_, _, allowed) =
            ROOMS.iter().find(|(name, ..)| *name == room).unwrap_or_else(|| panic!("{room} is new"));
        let code = code(&read(&path));
        // `super` leads out of a room only from its first level.
        let depth = inside.components().count() - usize::from(inside.ends_with("mod.rs"));
        let up = "super::".repeat(depth);
        assert!(!code.contains(&up), "{}: {up} leads out of the room", path.display());
        for other in imported(&code) {
            if other != room {
                assert!(allowed.contains(&&*other), "{}: {room} may not import {other}", path.display());
                used.insert((room.clone(), other));
            }
        }
    }
    let listed = ROOMS
        .iter()
        .flat_map(|(room, _, allowed)| allowed.iter().map(|other| ((*room).to_owned(), (*other).to_owned())));
    let unused: Vec<_> = listed.filter(|edge| !used.contains(edge)).collect();
    assert!(unused.is_empty(), "no longer imported, take them off the list: {unused:?}");
}

#[test]
fn no_file_is_long() {
    let mut long = Vec::new();
    for path in files(&["src", "benches", "fuzz/fuzz_targets"], &[".rs"]) {
        let lines = read(&path).lines().count();
        if lines > MAX_LINES {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn no_comment_is_wide() {
    let mut wide = Vec::new();
    for path in files(&["src", "tests", "benches", "fuzz/fuzz_targets"], &[".rs"]) {
        for (index, line) in read(&path).lines().enumerate() {
            let columns = line.chars().count();
            if line.trim_start().starts_with("//") && columns > MAX_COLUMNS {
                wide.push(format!("{}:{}: {columns} columns", path.display(), index + 1));
            }
        }
    }
    assert!(wide.is_empty(), "{wide:#?}");
}

/// The numbers of a document's headings: `§2.3` of `### §2.3 …`.
fn headings(text: &str) -> BTreeSet<String> {
    let number = |line: &str| {
        let rest = line.trim_start_matches('#').trim_start().trim_start_matches('§');
        let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        number.trim_end_matches('.').to_owned()
    };
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(number)
        .filter(|number| !number.is_empty())
        .collect()
}

/// A citation is `docs/spec/NAME.md §N` or `docs/design.md §N`, perhaps over the end of a line.
#[test]
fn what_is_cited_exists() {
    let documents = ["docs/spec/piwigo.md", "docs/spec/servers.md", "docs/design.md"];
    let numbers = documents.map(|document| headings(&read(Path::new(document))));
    assert!(numbers.iter().all(|numbers| numbers.len() > 3), "a specification without numbered headings");
    let mut cited = 0;
    for path in files(&["src", "tests", "benches", "fuzz/fuzz_targets", "docs"], &[".rs", ".md", ".conf"]) {
        if path.ends_with("layout.rs") {
            continue;
        }
        let whole = read(&path);
        let lines = whole.lines().map(|line| line.trim_start_matches([' ', '/', '!', '#']));
        let text = lines.collect::<Vec<_>>().join(" ");
        for (document, numbers) in documents.iter().zip(&numbers) {
            for (at, _) in text.match_indices(document) {
                let rest = text[at + document.len()..].trim_start_matches(['`', ',', ' ', ')', ']']);
                let Some(rest) = rest.strip_prefix('§') else { continue };
                let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
                let number = number.trim_end_matches('.');
                assert!(numbers.contains(number), "{}: {document} has no §{number}", path.display());
                cited += 1;
            }
        }
        for old in ["PIWIGO.md", "SERVERS.md", "DESIGN.md"] {
            assert!(!text.contains(old), "{}: {old} is no document of this repository", path.display());
        }
    }
    assert!(cited > 50, "only {cited} citations were found");
}

/// The files of the repository that comments and documents name by a path.
#[test]
fn what_is_named_exists() {
    let starts = ["src/", "docs/", "tests/", "packaging/", "examples/", "benches/", "fuzz/"];
    let is_of_a_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    for path in files(&["src", "docs", "tests", "benches"], &[".rs", ".md"]) {
        if path.ends_with("layout.rs") {
            continue;
        }
        for line in read(&path).lines() {
            let is_prose =
                path.extension().is_some_and(|ending| ending == "md") || line.trim_start().starts_with("//");
            if !is_prose {
                continue;
            }
            for start in starts {
                for (at, _) in line.match_indices(start) {
                    let begins =
                        !line[..at].ends_with(|c: char| is_of_a_path(c) || c == '{' || c == '$' || c == '~');
                    let named: String = line[at..].chars().take_while(|&c| is_of_a_path(c)).collect();
                    let named = named.trim_end_matches('.');
                    let is_file = Path::new(named).extension().is_some_and(|ending| {
                        ["rs", "md", "sh", "conf", "toml"].iter().any(|known| ending == *known)
                    });
                    if begins && is_file {
                        let beside = path.parent().unwrap().join(named);
                        let exists = root().join(named).exists() || root().join(beside).exists();
                        assert!(exists, "{}: {named} does not exist", path.display());
                    }
                }
            }
        }
    }
}
