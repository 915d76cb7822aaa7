//! Puts the text of included files into a web server's configuration, as far as these files can be found
//! and read.

use std::path::{Path, PathBuf};

use super::{MAX_SERVER_FILE, read_start};

/// Largest depth of files that include files.
const MAX_DEPTH: usize = 4;

/// Most included files that are read. Debian's Apache includes a hundred small ones.
const MAX_FILES: usize = 512;

/// Most bytes of all files together.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Directories above a file in which its included files are looked for: nginx and Apache start at their own
/// directory (`/etc/nginx`), while the file may be in `/etc/nginx/sites-available`.
const MAX_ABOVE: usize = 3;

/// Patterns match as in the servers: `*` does not match names that begin with a dot.
pub(super) const HIDDEN_STAY_OUT: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Where included files come from.
pub(super) trait Source {
    /// The files whose paths match, in the order in which a server reads them.
    fn matching(&self, pattern: &str) -> Vec<PathBuf>;

    /// The text of a file; `None`: it cannot be read.
    fn text(&self, path: &Path) -> Option<String>;

    /// Whether the source has all files: a line that names none of them then includes nothing.
    fn is_complete(&self) -> bool;
}

/// The files of this machine.
struct Disk;

impl Source for Disk {
    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        let found = glob::glob_with(pattern, HIDDEN_STAY_OUT).into_iter().flatten().flatten();
        found.filter(|path| path.is_file()).take(MAX_FILES).collect()
    }

    fn text(&self, path: &Path) -> Option<String> {
        read_start(path, MAX_SERVER_FILE).ok()
    }

    fn is_complete(&self) -> bool {
        false
    }
}

/// How much may still be read.
struct Left {
    files: usize,
    bytes: usize,
}

/// Replaces each line that includes files (`include`, `Include`, `IncludeOptional`, `import`), by name or
/// by a pattern (`sites-enabled/*`), with the text of these files. A line whose files cannot be read stays.
pub(super) fn with_included(text: &str, file: &Path) -> String {
    with_included_from(&Disk, text, file)
}

/// The same with files from `source`.
pub(super) fn with_included_from(source: &impl Source, text: &str, file: &Path) -> String {
    filled_in(source, text, file, MAX_DEPTH, &mut Left { files: MAX_FILES, bytes: MAX_BYTES })
}

fn filled_in(source: &impl Source, text: &str, file: &Path, depth: usize, left: &mut Left) -> String {
    let mut whole = String::with_capacity(text.len());
    for line in text.lines() {
        let name = included(line).filter(|_| depth > 0);
        let mut is_read = name.is_some() && source.is_complete();
        for path in name.map_or_else(Vec::new, |name| files(source, name, file)) {
            let Some(fewer) = left.files.checked_sub(1) else { break };
            let Some(text) = source.text(&path) else { continue };
            let Some(bytes) = left.bytes.checked_sub(text.len()) else { continue };
            (*left, is_read) = (Left { files: fewer, bytes }, true);
            // nginx resolves names from the directory of its first file.
            let from = if source.is_complete() { file } else { &path };
            whole.push_str(&filled_in(source, &text, from, depth - 1, left));
        }
        if !is_read {
            whole.push_str(line);
        }
        whole.push('\n');
    }
    whole
}

/// The files that a line of `file` names, from the first directory that has any.
fn files(source: &impl Source, name: &str, file: &Path) -> Vec<PathBuf> {
    let mut found = candidates(name, file).into_iter().map(|pattern| source.matching(&pattern));
    found.find(|found| !found.is_empty()).unwrap_or_default()
}

/// The file that a line includes, or the pattern of several.
fn included(line: &str) -> Option<&str> {
    let (word, name) = line.trim().split_once(char::is_whitespace)?;
    let is_include =
        ["include", "includeoptional", "import"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let name = name.trim().trim_end_matches(';').trim_end().trim_matches(['"', '\'']);
    // `glob` would walk through all directories below for two stars; the servers treat them as one.
    let is_plain = !name.is_empty() && !name.contains(['"', '\'', ';', '$', '{']) && !name.contains("**");
    (is_include && is_plain).then_some(name)
}

/// The patterns to look for. Characters of `glob` in the names of the directories above are escaped.
fn candidates(name: &str, file: &Path) -> Vec<String> {
    if Path::new(name).is_absolute() {
        return vec![name.to_owned()];
    }
    let above = file.ancestors().skip(1).take(MAX_ABOVE);
    above.map(|directory| format!("{}/{name}", glob::Pattern::escape(&directory.to_string_lossy()))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_that_include_a_file() {
        for (line, expected) in [
            ("    include snippets/piwigo-gate.conf;", Some("snippets/piwigo-gate.conf")),
            ("Include /etc/apache2/piwigo-gate.conf", Some("/etc/apache2/piwigo-gate.conf")),
            ("IncludeOptional \"a b.conf\"", Some("a b.conf")),
            ("\timport piwigo-gate.caddy", Some("piwigo-gate.caddy")),
            ("include \"conf-enabled/99-piwigo-gate.conf\"", Some("conf-enabled/99-piwigo-gate.conf")),
            ("include /etc/nginx/sites-enabled/*;", Some("/etc/nginx/sites-enabled/*")),
            ("include a; include b;", None),
            ("include /**/*.conf;", None),
            ("# include a;", None),
            ("include_shell \"x\"", None),
            ("include", None),
        ] {
            assert_eq!(included(line), expected, "{line}");
        }
    }

    #[test]
    fn an_included_file_stands_in_the_place_of_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("sites")).unwrap();
        fs::create_dir_all(root.join("snippets")).unwrap();
        fs::write(root.join("snippets/a.conf"), "a;\ninclude snippets/b.conf;\n").unwrap();
        fs::write(root.join("snippets/b.conf"), "b;\n").unwrap();
        let file = root.join("sites/site.conf");
        let text = "server {\n  include snippets/a.conf;\n  include snippets/none.conf;\n}\n";
        let whole = with_included(text, &file);
        let lines: Vec<&str> = whole.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["server {", "a;", "b;", "  include snippets/none.conf;", "}"]);
    }

    #[test]
    fn a_pattern_stands_for_all_of_its_files_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        // A name with letters that mean something else in a pattern.
        let root = directory.path().join("etc [1]");
        for name in ["sites/b.conf", "sites/a.conf", "sites/.hidden.conf", "sites/a.txt", "more/c/x.conf"] {
            let file = root.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{name};\n")).unwrap();
        }
        let read = |line: &str| {
            let whole = with_included(line, &root.join("nginx.conf"));
            whole.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let all = ["sites/a.conf;", "sites/b.conf;"];
        assert_eq!(read("include sites/*.conf;"), all);
        assert_eq!(read("IncludeOptional sites/[ab].conf"), all);
        assert_eq!(read("include more/*/*.conf;"), ["more/c/x.conf;"]);
        assert_eq!(read("include none/*;"), ["include none/*;"]);
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.conf");
        fs::write(&file, "x;\ninclude a.conf;\ninclude a.conf;\n").unwrap();
        let whole = with_included(&fs::read_to_string(&file).unwrap(), &file);
        assert!(whole.matches("x;").count() <= MAX_FILES + 1, "{whole}");
    }
}
