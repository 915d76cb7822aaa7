//! File names that end as a program's does, or that Apache's `mod_mime` could take for one.

/// Whether a name ends as a program's does. No server is told to send such a file.
pub fn names_a_program(file_name: &str) -> bool {
    // Blanks and dots at the end are none of the name on some disks, and no extension for Apache.
    let name = file_name.trim_end_matches(['.', ' ']);
    name.rsplit_once('.').is_some_and(|(_, extension)| is_of_programs(extension))
}

/// Whether any part of the name is an extension of programs. Apache's `mod_mime` (`AddHandler`) looks at
/// every extension, so that `a.php.jpg` counts, and `allegro.pl.jpg`.
pub fn could_be_executed(file_name: &str) -> bool {
    file_name.split('.').skip(1).any(is_of_programs)
}

fn is_of_programs(extension: &str) -> bool {
    let extension = extension.trim_end_matches(' ').to_ascii_lowercase();
    let php = extension.strip_prefix("php").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    php || PROGRAMS.contains(&extension.as_str())
}

/// Extensions of programs besides `php` and `php5`.
pub const PROGRAMS: [&str; 14] =
    ["phtml", "pht", "phar", "phps", "inc", "cgi", "fcgi", "pl", "py", "rb", "sh", "asp", "aspx", "jsp"];
