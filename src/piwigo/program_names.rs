//! Recognises file names that end like a program's, or that Apache's `mod_mime` could treat as a program.

/// Whether a name ends like a program's. The gate tells no server to send such a file.
pub fn names_a_program(file_name: &str) -> bool {
    // Some file systems drop blanks and dots at the end of a name, and Apache sees no extension there.
    let name = file_name.trim_end_matches(['.', ' ']);
    name.rsplit_once('.').is_some_and(|(_, extension)| is_of_programs(extension))
}

/// Whether any part of the name is a program's extension. Apache's `mod_mime` (`AddHandler`) looks at every
/// extension, so `a.php.jpg` and `allegro.pl.jpg` count.
pub fn could_be_executed(file_name: &str) -> bool {
    file_name.split('.').skip(1).any(is_of_programs)
}

fn is_of_programs(extension: &str) -> bool {
    let extension = extension.trim_end_matches(' ').to_ascii_lowercase();
    let php = extension.strip_prefix("php").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    php || PROGRAMS.contains(&extension.as_str())
}

/// Extensions of programs besides `php` and `php` followed by digits.
pub const PROGRAMS: [&str; 14] =
    ["phtml", "pht", "phar", "phps", "inc", "cgi", "fcgi", "pl", "py", "rb", "sh", "asp", "aspx", "jsp"];
