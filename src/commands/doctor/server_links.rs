//! Reports links that the gate follows and that the web server refuses by a check of its own, from the
//! server's configuration and the gallery's links.

use std::path::Path;

use super::findings::{Findings, some};
use super::prefixes::without_comments;

const ID: &str = "server-file-symlinks";

/// What the text of a web server's configuration says about links.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// The file is for nginx, and in it nginx compares the owners of link and target.
    nginx: bool,
    /// A line for Apache does the same. The printed files have such a line for `mod_rewrite`, which does
    /// not count.
    apache: bool,
    /// A line for Apache turns the comparison off, as in the printed files. `FollowSymLinks` alone does
    /// not.
    apache_off: bool,
}

impl Said {
    fn read(text: &str) -> Self {
        let text = without_comments(text).to_ascii_lowercase();
        let mut said = Said::default();
        let (mut on, mut off) = (false, false);
        for line in text.lines() {
            let words: Vec<&str> =
                line.split([' ', '\t', ';', '{', '}']).filter(|word| !word.is_empty()).collect();
            for pair in words.windows(2) {
                match pair {
                    ["disable_symlinks", "off"] => off = true,
                    ["disable_symlinks", _] => on = true,
                    ["gate_symlinks", "same-owner"] => said.nginx = true,
                    _ => {}
                }
            }
            if let ["options", options @ ..] = words.as_slice() {
                said.apache_off |= options.contains(&"-symlinksifownermatch");
                said.apache |= *options != ["+symlinksifownermatch"]
                    && options.iter().any(|option| option.trim_start_matches('+') == "symlinksifownermatch");
            }
        }
        // A general line has no effect on the printed file, which has a line of its own in each location.
        said.nginx |= on && !off;
        said
    }
}

/// The links that Apache refuses if the printed file turns the comparison off in the guarded `directories`.
/// For a link in the place of such a directory, Apache uses the options of the directory that contains the
/// link.
fn on_the_way(links: &[String], directories: &[String]) -> Vec<String> {
    let is_on_the_way =
        |link: &&String| directories.iter().any(|directory| Path::new(directory).starts_with(link));
    links.iter().filter(is_on_the_way).cloned().collect()
}

/// Names of links that the gate follows and that a server that compares owners refuses.
#[derive(Clone, Copy)]
pub(super) struct Links<'a> {
    /// Links in the guarded directories and on the way to them.
    pub(super) guarded: &'a [String],
    /// Links on the way to public folders.
    pub(super) public: &'a [String],
    /// The guarded directories.
    pub(super) directories: &'a [String],
}

/// Compares the links with the configuration. `text`: the server's configuration, as far as it is known;
/// `own`: the text of the gallery's `.htaccess` files.
pub(super) fn examine(links: Links<'_>, text: &str, own: &str, findings: &mut Findings) {
    let Links { guarded, public, directories } = links;
    let (said, own) = (Said::read(text), Said::read(own));
    let loosened = said.apache_off || own.apache_off;
    let by_apache = if loosened { on_the_way(guarded, directories) } else { guarded.to_owned() };
    // The file server behind HAProxy has no location of the gate and sends only public files.
    let links = if text.contains("/_gate") || said.apache { guarded } else { public };
    let refuses = |server: &str, links: &[String]| {
        format!(
            "{server} refuses links whose owner is not their target's, and does not send what is behind {}: the gate follows them",
            some(links)
        )
    };
    if said.nginx && !links.is_empty() {
        findings.problem(
            ID,
            refuses("nginx", links),
            "print its file anew, and the gate alone looks: piwigo-gate config KIND … --output FILE, as in its first lines; then \
             reload nginx. Or give the links to their targets' owners (chown -h)",
        );
    } else if said.apache && !by_apache.is_empty() {
        findings.problem(
            ID,
            refuses("Apache (SymLinksIfOwnerMatch)", &by_apache),
            "print the gate's file anew, and the gate alone looks: piwigo-gate config KIND … --output FILE, as in its first lines; a line \
             of your own for Piwigo's directory becomes Options FollowSymLinks; then reload Apache. With .htaccess files: write \
             Options +FollowSymLinks -SymLinksIfOwnerMatch into them, if the host says AllowOverride All. Or give the links to their targets' owners (chown -h)",
        );
    } else if own.apache && !guarded.is_empty() {
        findings.problem(
            ID,
            refuses("Apache (SymLinksIfOwnerMatch in a .htaccess file of the gallery)", guarded),
            "take that line out, if the host allows FollowSymLinks; or put the files into the gallery itself",
        );
    } else if text.is_empty() && !guarded.is_empty() {
        findings.advise(
            ID,
            format!("a link whose owner is not its target's is there, which web servers may refuse: {}", some(guarded)),
            "give the web server's configuration by --server-file. With a file for nginx or Apache that was printed before the link \
             was there: print it anew",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::findings::Level;
    use crate::commands::doctor::findings::Level::{Note, Problem};
    use crate::commands::server_files;
    use crate::commands::server_files::Values;

    fn level(guarded: &[&str], public: &[&str], text: &str, own: &str) -> Option<Level> {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut findings = Findings::default();
        let (guarded, public) = (names(guarded), names(public));
        let links = Links {
            guarded: &guarded,
            public: &public,
            directories: &names(&["upload", "galleries", "_data/i"]),
        };
        examine(links, text, own, &mut findings);
        assert!(findings.0.len() < 2);
        findings.0.first().map(|finding| finding.level)
    }

    /// A printed file is a problem exactly where the same file, printed with the link in place, is another
    /// one.
    #[test]
    fn the_printed_files() {
        let link = Some("galleries/nas".to_owned());
        for kind in server_files::KINDS {
            let strict = Values { gate: kind.example_gate(), ..Values::example() };
            let beyond = (link.clone(), link.clone());
            let loose = Values { links_beyond: beyond.0, public_links_beyond: beyond.1, ..strict.clone() };
            let [strict, loose] = [strict, loose].map(|values| server_files::print(kind, &values).unwrap());
            let expected = (strict != loose).then_some(Problem);
            let (guarded, public): (&[&str], &[&str]) =
                if kind.name == "haproxy-files" { (&[], &["themes"]) } else { (&["galleries/nas"], &[]) };
            assert_eq!(level(guarded, public, &strict, ""), expected, "{}", kind.name);
            assert_eq!(level(guarded, public, &loose, ""), None, "{}", kind.name);
            assert_eq!(level(&[], &[], &strict, ""), None, "{}", kind.name);
        }
        let strict = |kind| {
            server_files::print(server_files::ServerFile::find(kind).unwrap(), &Values::example()).unwrap()
        };
        assert_eq!(level(&["upload"], &[], &strict("haproxy-files"), ""), None, "it sends public files");
        assert_eq!(level(&[], &["themes"], &strict("nginx"), ""), None, "it sends guarded files");
    }

    #[test]
    fn lines_of_a_sites_own() {
        let gate = "location ^~ /_gate { }\n";
        let table = [
            ("disable_symlinks if_not_owner;", Some(Problem)),
            ("server { disable_symlinks on from=/srv; }", Some(Problem)),
            ("disable_symlinks if_not_owner; location /x { disable_symlinks off; }", None),
            ("fastcgi_param GATE_SYMLINKS same-owner;\ndisable_symlinks off;", Some(Problem)),
            ("# disable_symlinks if_not_owner;", None),
            ("Options Indexes SymLinksIfOwnerMatch", Some(Problem)),
            ("options -followsymlinks +symlinksifownermatch", Some(Problem)),
            ("Options +SymLinksIfOwnerMatch", None),
            ("Options -SymLinksIfOwnerMatch", None),
            ("Options FollowSymLinks", None),
            ("Options SymLinksIfOwnerMatch\nOptions +FollowSymLinks", Some(Problem)),
            ("Options SymLinksIfOwnerMatch\nOptions +FollowSymLinks -SymLinksIfOwnerMatch", Some(Problem)),
        ];
        for (line, expected) in table {
            assert_eq!(level(&["upload"], &[], &format!("{gate}{line}"), ""), expected, "{line}");
            assert_eq!(level(&[], &[], &format!("{gate}{line}"), ""), None, "{line}");
        }
        let both = "Options SymLinksIfOwnerMatch\nOptions +FollowSymLinks -SymLinksIfOwnerMatch";
        assert_eq!(level(&["_data"], &[], both, ""), Some(Problem));
        assert_eq!(level(&["upload/a", "galleries/nas/b"], &[], both, ""), None, "the printed file's own");
        assert_eq!(level(&["upload"], &[], "", ""), Some(Note));
        assert_eq!(
            level(&["upload"], &[], "", "Options -FollowSymLinks +SymLinksIfOwnerMatch"),
            Some(Problem)
        );
        assert_eq!(level(&[], &[], "", "Options -FollowSymLinks +SymLinksIfOwnerMatch"), None);
    }
}
