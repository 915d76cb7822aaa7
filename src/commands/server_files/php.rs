//! Finds PHP-FPM's socket: from the site's configuration, or else by the names that distributions give it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Most files of a web server's configuration that are read, and most bytes of each.
const MAX_FILES: usize = 200;
const MAX_BYTES: u64 = 256 * 1024;

/// Where sites are configured, below `/etc`: a file, or a directory of files.
const PLACES: [&str; 5] =
    ["nginx/sites-enabled", "nginx/conf.d", "nginx/nginx.conf", "caddy/Caddyfile", "caddy/conf.d"];

/// Words of nginx and Caddy before the place of PHP.
const WORDS: [&str; 2] = ["fastcgi_pass", "php_fastcgi"];

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FoundPool {
    /// PHP-FPM's socket, or `host:port`.
    pub(super) place: String,
    /// How the program found it, and the alternatives: a sentence for the administrator.
    pub(super) told: String,
}

impl FoundPool {
    /// The place that the administrator named.
    pub(super) fn given(place: String) -> Self {
        FoundPool { place, told: String::new() }
    }
}

/// Finds the PHP that serves the gallery in `root`. `gate`: where the gate listens, which is not PHP. `etc`,
/// `run`: the machine's `/etc` and `/run`.
pub(super) fn find(root: &Path, gate: &str, etc: &Path, run: &Path) -> FoundPool {
    let texts = texts(etc);
    let mut named: Vec<(bool, String, &Path)> = Vec::new();
    for (file, text) in &texts {
        let at = mention(text, root);
        let mut places = places(text, &texts);
        // In a file with several sites, the right place comes after the line that names the gallery.
        let before = places.iter().take_while(|(start, _)| at.is_some_and(|at| *start < at)).count();
        places.rotate_left(before);
        for (_, place) in places {
            if place != gate && !named.iter().any(|(_, known, _)| *known == place) {
                named.push((at.is_some(), place, file));
            }
        }
    }
    // The sort is stable; places from a site of this gallery come first.
    named.sort_by_key(|(is_ours, ..)| !is_ours);
    let Some((is_ours, place, file)) = named.first() else {
        let place = php_socket_in(run).to_string_lossy().into_owned();
        let told = format!(
            "no site of the web server says where PHP is; {place} is taken. If it is elsewhere, say --php-socket"
        );
        return FoundPool { place, told };
    };
    let others: Vec<String> =
        named.iter().skip(1).map(|(_, place, file)| format!("{place} ({})", file.display())).collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!("; there is also {}: if the gallery's is that one, say --php-socket", others.join(", "))
    };
    let by = if *is_ours { "the gallery's site" } else { "another site" };
    FoundPool {
        place: place.clone(),
        told: format!("PHP is taken to be at {place}, by {by} in {}{others}", file.display()),
    }
}

/// The files below `etc` in which sites are configured, without those that the gate has printed.
fn texts(etc: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for place in PLACES.map(|place| etc.join(place)) {
        match std::fs::read_dir(&place) {
            Ok(entries) => {
                let mut below: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                below.sort();
                files.extend(below);
            }
            Err(_) => files.push(place),
        }
    }
    files.truncate(MAX_FILES);
    let read = |file: PathBuf| {
        let text = start_of(&file)?;
        (!text.contains("GATE_DELIVER")).then_some((file, text))
    };
    files.into_iter().filter_map(read).collect()
}

/// The beginning of a regular file, without comments. Reading a device or a pipe may not end.
fn start_of(file: &Path) -> Option<String> {
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| if line.trim_start().starts_with('#') { "" } else { line });
    Some(lines.map(|line| line.split(" #").next().unwrap_or_default()).collect::<Vec<_>>().join("\n"))
}

/// Words of a configuration, each with the byte at which it begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_apart = |letter: char| letter.is_whitespace() || "\"';{}".contains(letter);
    text.split(is_apart)
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
        .filter(|(_, word)| !word.is_empty())
}

/// Where the text names the gallery, or a directory above it that could be the site's root.
fn mention(text: &str, root: &Path) -> Option<usize> {
    let leads_to_it = |word: &str| {
        let path = Path::new(word);
        path.is_absolute() && path.components().count() > 1 && root.starts_with(path)
    };
    words(text).find(|(_, word)| leads_to_it(word)).map(|(at, _)| at)
}

/// The places of PHP that the text names, in order. The name of an nginx `upstream` stands for its first
/// server.
fn places(text: &str, all: &[(PathBuf, String)]) -> Vec<(usize, String)> {
    let words: Vec<_> = words(text).collect();
    let behind = words.windows(2).filter(|pair| WORDS.contains(&pair[0].1));
    behind
        .filter_map(|pair| {
            let (at, word) = pair[1];
            let place = place(word).or_else(|| all.iter().find_map(|(_, text)| upstream(text, word)))?;
            Some((at, place))
        })
        .collect()
}

fn upstream(text: &str, name: &str) -> Option<String> {
    let words: Vec<&str> = words(text).map(|(_, word)| word).collect();
    let at = words.windows(3).position(|three| three[..2] == ["upstream", name] && three[2] == "server")?;
    place(words.get(at + 3)?)
}

/// `unix:/run/php.sock` (nginx), `unix//run/php.sock` (Caddy) or `127.0.0.1:9000`, as `--php-socket` takes
/// it.
fn place(word: &str) -> Option<String> {
    let socket =
        word.strip_prefix("unix:").or(word.strip_prefix("unix/")).map(|path| path.trim_end_matches(':'));
    if let Some(socket) = socket {
        return socket.starts_with('/').then(|| socket.to_owned());
    }
    let (host, port) = word.rsplit_once(':')?;
    (!host.is_empty() && !host.contains(['$', '/']) && port.parse::<u16>().is_ok()).then(|| word.to_owned())
}

/// PHP-FPM's socket below `run`, the machine's `/run`: Debian's name for the default one, else the newest
/// PHP's, Fedora's or Arch's; without any, Debian's name again, for the administrator to change.
fn php_socket_in(run: &Path) -> PathBuf {
    let usual = run.join("php/php-fpm.sock");
    if usual.exists() {
        return usual;
    }
    let entries = ["php", "php-fpm"].iter().filter_map(|name| std::fs::read_dir(run.join(name)).ok());
    let sockets = entries.flatten().flatten().map(|entry| entry.path());
    // `php8.4-fpm.sock` before `php8.3-fpm.sock`, and that before some other site's own.
    let rank = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let numbers = name.strip_prefix("php").map(|rest| {
            let numbers = rest.split(|c: char| !c.is_ascii_digit()).take(2);
            numbers.map(|number| number.parse().unwrap_or(0)).collect::<Vec<u32>>()
        });
        (numbers, name.ends_with("-fpm.sock"), name)
    };
    sockets.filter(|path| path.extension().is_some_and(|end| end == "sock")).max_by_key(rank).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> (String, String) {
        let machine = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = machine.path().join("etc").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let (etc, run) = (machine.path().join("etc"), machine.path().join("run"));
        let found = find(Path::new("/var/www/piwigo"), "/run/piwigo-gate/gate.sock", &etc, &run);
        let plain = |text: String| text.replace(&machine.path().display().to_string(), "");
        (plain(found.place), plain(found.told))
    }

    #[test]
    fn the_php_of_the_gallerys_own_site_is_found() {
        let site = |root: &str, pass: &str| {
            format!("server {{ root {root};\n  location ~ \\.php$ {{ include x; fastcgi_pass {pass}; }} }}\n")
        };
        let (ours, other) =
            (site("/var/www/piwigo", "unix:/run/php/photos.sock"), site("/srv/blog", "127.0.0.1:9000"));
        for (files, place, words) in [
            (
                &[("nginx/sites-enabled/a", &*other), ("nginx/sites-enabled/photos", &ours)][..],
                "/run/php/photos.sock",
                "by the gallery's site in /etc/nginx/sites-enabled/photos; there is also 127.0.0.1:9000 (/etc/nginx/sites-enabled/a)",
            ),
            (
                &[("nginx/nginx.conf", &*format!("{other}{ours}"))],
                "/run/php/photos.sock",
                "there is also 127.0.0.1:9000",
            ),
            (
                &[("nginx/nginx.conf", &*format!("{ours}{other}"))],
                "/run/php/photos.sock",
                "there is also 127.0.0.1:9000",
            ),
            (
                &[
                    ("nginx/conf.d/x.conf", &site("\"/var/www\"", "php")),
                    ("nginx/conf.d/up.conf", "upstream php { server unix:/run/php/up.sock weight=1; }"),
                ],
                "/run/php/up.sock",
                "by the gallery's site",
            ),
            (
                &[("nginx/conf.d/x.conf", &*other)],
                "127.0.0.1:9000",
                "by another site in /etc/nginx/conf.d/x.conf",
            ),
            (
                &[("nginx/conf.d/x.conf", &site("/var/www/piwigo2", "[::1]:9001"))],
                "[::1]:9001",
                "by another site",
            ),
            (
                &[(
                    "caddy/Caddyfile",
                    "photos.example.org {\n  root * /var/www/piwigo\n  php_fastcgi unix//run/php/caddy.sock\n}",
                )],
                "/run/php/caddy.sock",
                "by the gallery's site in /etc/caddy/Caddyfile",
            ),
            // Comments, variables, the gate itself, and a file that the gate has printed say nothing.
            (
                &[
                    (
                        "nginx/conf.d/x.conf",
                        "# fastcgi_pass unix:/a;\nfastcgi_pass $php; fastcgi_pass unix:/run/piwigo-gate/gate.sock; fastcgi_pass nobody;",
                    ),
                    (
                        "nginx/conf.d/gate.conf",
                        "fastcgi_param GATE_DELIVER x-accel-redirect; fastcgi_pass unix:/run/php/old.sock;",
                    ),
                ],
                "/run/php/php-fpm.sock",
                "no site of the web server says where PHP is; /run/php/php-fpm.sock is taken",
            ),
            (&[], "/run/php/php-fpm.sock", "no site of the web server"),
        ] {
            let (found, told) = found(files);
            assert_eq!(found, place, "{files:?}");
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn the_socket_of_the_newest_php_is_found() {
        let table: [(&[&str], &str); 7] = [
            (&[], "php/php-fpm.sock"),
            (&["php/php8.2-fpm.sock", "php/php-fpm.sock"], "php/php-fpm.sock"),
            (&["php/php8.9-fpm.sock", "php/php8.10-fpm.sock", "php/php7.4-fpm.sock"], "php/php8.10-fpm.sock"),
            (&["php/zoo.sock", "php/php8.2-fpm.sock", "php/php8.4-fpm.pid"], "php/php8.2-fpm.sock"),
            (
                &["php/php8.2-fpm-zoo.sock", "php/php8.2-zoo.sock", "php/php8.2-fpm.sock"],
                "php/php8.2-fpm.sock",
            ),
            (&["php-fpm/www.sock"], "php-fpm/www.sock"),
            (&["php-fpm/php-fpm.sock", "php-fpm/other.sock"], "php-fpm/php-fpm.sock"),
        ];
        for (names, expected) in table {
            let run = tempfile::tempdir().unwrap();
            for name in names {
                std::fs::create_dir_all(run.path().join(name).parent().unwrap()).unwrap();
                std::fs::write(run.path().join(name), "").unwrap();
            }
            assert_eq!(php_socket_in(run.path()), run.path().join(expected), "{names:?}");
        }
    }
}
