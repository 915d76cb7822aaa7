//! Where PHP is.

use std::path::{Path, PathBuf};

/// PHP-FPM's socket below `run`, the machine's `/run`: Debian's name for the default one, else the newest PHP's, Fedora's or
/// Arch's; without any, Debian's name again, for the administrator to change.
pub(super) fn php_socket_in(run: &Path) -> PathBuf {
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
