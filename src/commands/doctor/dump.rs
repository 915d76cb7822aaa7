//! Reads what a web server prints about its own configuration and returns the configuration with each
//! included file in its place. `nginx -T` prints all files one after the other, `apache2ctl -t -D
//! DUMP_INCLUDES` prints their names.

use std::path::{Path, PathBuf};

use super::includes::{self, Source};

/// The text before each file (nginx: `ngx_dump_config`).
const NGINX_FILE: &str = "# configuration file ";

/// The text before the list of names (Apache: `core.c`).
const APACHE_LIST: &str = "Included configuration files:";

/// The files in the output of `nginx -T`, in their order. nginx begins with the first one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, String)>);

impl Files {
    /// `None`: the text is no output of `nginx -T`.
    pub(super) fn of_nginx(text: &str) -> Option<Self> {
        let mut files: Vec<(PathBuf, String)> = Vec::new();
        for line in text.lines() {
            let path = line.strip_prefix(NGINX_FILE).and_then(|rest| rest.strip_suffix(':'));
            match (path, files.last_mut()) {
                (Some(path), _) if Path::new(path).is_absolute() => files.push((path.into(), String::new())),
                (_, Some((_, text))) => {
                    text.push_str(line);
                    text.push('\n');
                }
                // nginx first says that the syntax is ok.
                (_, None) => {}
            }
        }
        (!files.is_empty()).then_some(Files(files))
    }

    /// The whole configuration.
    pub(super) fn whole(&self) -> String {
        let Some((path, text)) = self.0.first() else { return String::new() };
        includes::with_included_from(self, text, path)
    }
}

impl Source for Files {
    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        let Ok(pattern) = glob::Pattern::new(pattern) else { return Vec::new() };
        let paths = self.0.iter().map(|(path, _)| path);
        let mut found: Vec<PathBuf> = paths
            .filter(|path| pattern.matches_path_with(path, includes::HIDDEN_STAY_OUT))
            .cloned()
            .collect();
        found.sort();
        found
    }

    fn text(&self, path: &Path) -> Option<String> {
        self.0.iter().find(|(own, _)| own == path).map(|(_, text)| text.clone())
    }

    /// The output of `nginx -T` contains every file that nginx includes.
    fn is_complete(&self) -> bool {
        true
    }
}

/// The file with which Apache begins, taken from the list of its files: `  (*) /etc/apache2/apache2.conf`.
/// `None`: the text is not such a list.
pub(super) fn first_of_apache(text: &str) -> Option<PathBuf> {
    let (_, list) = text.split_once(APACHE_LIST)?;
    list.lines().find_map(|line| line.trim_start().strip_prefix("(*) ")).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n\
        # configuration file /etc/nginx/nginx.conf:\n\
        http {\n    include mime.types;\n    include sites-enabled/*;\n    include none/*.conf;\n}\n\n\
        # configuration file /etc/nginx/mime.types:\ntypes { }\n\n\
        # configuration file /etc/nginx/sites-enabled/b:\nserver { b; }\n\
        # configuration file /etc/nginx/sites-enabled/a:\nserver {\n    include snippets/x.conf;\n}\n\n\
        # configuration file /etc/nginx/snippets/x.conf:\nx;\n# configuration file of mine:\n";

    #[test]
    fn the_files_of_nginx_stand_where_they_are_included() {
        let whole = Files::of_nginx(DUMP).unwrap().whole();
        let lines: Vec<&str> = whole.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let x = ["server {", "x;", "# configuration file of mine:", "}"];
        let expected = [&["http {", "types { }"], &x[..], &["server { b; }", "}"]].concat();
        assert_eq!(lines, expected);
        assert_eq!(Files::of_nginx("server { }\n# configuration file of mine:\n"), None);
    }

    #[test]
    fn apaches_list_names_the_first_file() {
        let list = "Included configuration files:\n  (*) /etc/apache2/apache2.conf\n    (146) /etc/apache2/ports.conf\n";
        assert_eq!(first_of_apache(list), Some("/etc/apache2/apache2.conf".into()));
        assert_eq!(first_of_apache("<VirtualHost *>\n(*) x\n"), None);
    }
}
