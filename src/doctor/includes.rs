//! A web server's configuration with the text of the files that it includes, where these can be found and read.

use std::path::{Path, PathBuf};

use super::{MAX_SERVER_FILE, read_start};

/// Files that one file may include, and those the next, and so on.
const MAX_DEPTH: usize = 4;

/// Included files that are read, at most.
const MAX_FILES: usize = 64;

/// Directories above the file in which an included one is looked for: nginx and Apache look from their own directory
/// (`/etc/nginx`), the file may stand in `/etc/nginx/sites-available`.
const MAX_ABOVE: usize = 3;

/// Puts the text of each included file (`include`, `Include`, `IncludeOptional`, `import`) into the place of the line that names it. A
/// line that names several files by a pattern, or none that can be read, stays as it is.
pub(super) fn with_included(text: &str, file: &Path) -> String {
    let mut left = MAX_FILES;
    filled_in(text, file, MAX_DEPTH, &mut left)
}

fn filled_in(text: &str, file: &Path, depth: usize, left: &mut usize) -> String {
    let mut whole = String::with_capacity(text.len());
    for line in text.lines() {
        let included = included(line).filter(|_| depth > 0).and_then(|name| {
            let path = candidates(name, file).into_iter().find(|path| path.is_file())?;
            *left = left.checked_sub(1)?;
            Some((read_start(&path, MAX_SERVER_FILE).ok()?, path))
        });
        match included {
            Some((text, path)) => whole.push_str(&filled_in(&text, &path, depth - 1, left)),
            None => whole.push_str(line),
        }
        whole.push('\n');
    }
    whole
}

/// The file that a line includes.
fn included(line: &str) -> Option<&str> {
    let (word, name) = line.trim().split_once(char::is_whitespace)?;
    let is_include =
        ["include", "includeoptional", "import"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let name = name.trim().trim_end_matches(';').trim_end().trim_matches(['"', '\'']);
    let is_one = !name.is_empty() && !name.contains(['*', '?', '[', '"', '\'', ';', '$', '{']);
    (is_include && is_one).then_some(name)
}

fn candidates(name: &str, file: &Path) -> Vec<PathBuf> {
    if Path::new(name).is_absolute() {
        return vec![name.into()];
    }
    file.ancestors().skip(1).take(MAX_ABOVE).map(|directory| directory.join(name)).collect()
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
            ("include /etc/nginx/sites-enabled/*;", None),
            ("include a; include b;", None),
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
    fn a_file_that_includes_itself_ends() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.conf");
        fs::write(&file, "x;\ninclude a.conf;\ninclude a.conf;\n").unwrap();
        let whole = with_included(&fs::read_to_string(&file).unwrap(), &file);
        assert!(whole.matches("x;").count() <= MAX_FILES + 1, "{whole}");
    }
}
