//! Prints the manual: the text of `--help` as pages for `man`, with further sections.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::command_line::CommandLine;

const EXIT_STATUS: [(&str, &str); 3] = [
    ("0", "Yes: served until it was asked to end; allowed; all there; no problem found."),
    ("1", "No: a file is denied, a picture could not be made, a problem was found."),
    ("2", "The command line or the set-up is wrong. One sentence on standard error says what to do."),
];

const FILES: [(&str, &str); 4] = [
    (
        "local/config/database.inc.php, local/config/config.inc.php",
        "Piwigo's own settings, in its directory. They are read without PHP.",
    ),
    (
        "local/config/gate.toml",
        "The gate's settings, in Piwigo's directory: the first place where they are looked for.",
    ),
    ("/etc/piwigo-gate/gate.toml", "The second, unless --config names another."),
    ("/run/piwigo-gate/gate.sock", "The socket that the web servers' files name."),
];

const ENVIRONMENT: [(&str, &str); 2] = [
    (
        "PIWIGO_GATE_*",
        "Each setting: PIWIGO_GATE_URL_PREFIX is --url-prefix. A flag wins over it, and it wins over gate.toml.",
    ),
    ("NO_COLOR", "No colours, whatever its value."),
];

/// The page of the program, or that of one of its verbs, as roff; `None` if there is no such verb.
pub(super) fn page(verb: Option<&str>) -> Option<Vec<u8>> {
    let mut program = CommandLine::for_readers();
    program.build();
    let command = match verb {
        None => program.clone(),
        // `help` is clap's own.
        Some(verb) => program.find_subcommand(verb).filter(|_| verb != "help")?.clone(),
    };
    let mut page = Vec::new();
    render(&program, verb.is_none(), command, &mut page).ok()?;
    Some(page)
}

fn render(program: &Command, is_program: bool, command: Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let example = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command.after_help(None::<&str>).after_long_help(None::<&str>)).manual("piwigo-gate");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if is_program {
        man.render_subcommands_section(page)?;
    }
    section("EXIT STATUS", &EXIT_STATUS, page)?;
    section("FILES", &FILES, page)?;
    section("ENVIRONMENT", &ENVIRONMENT, page)?;
    let mut examples = Roff::new();
    examples.control("SH", ["EXAMPLES"]);
    let of = |verb: &Command| verb.get_after_help().map(ToString::to_string);
    let all =
        if is_program { program.get_subcommands().filter_map(of).collect() } else { Vec::from_iter(example) };
    for example in all {
        examples.control("PP", []);
        examples.text([bold(example.trim_start_matches("Example: "))]);
    }
    examples.to_writer(page)
}

/// A section of terms and what they mean.
fn section(title: &str, terms: &[(&str, &str)], page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (term, meaning) in terms {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
    roff.to_writer(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_with_all_that_its_help_names() {
        let mut program = CommandLine::for_readers();
        program.build();
        let verbs: Vec<_> =
            program.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect();
        let text = |verb| String::from_utf8(page(verb).unwrap()).unwrap();
        let whole = text(None);
        for verb in &verbs {
            assert!(
                whole.contains(&format!("piwigo\\-gate\\-{}", verb.replace('-', "\\-"))),
                "{verb}:\n{whole}"
            );
            let own = text(Some(verb));
            for part in ["EXIT STATUS", "FILES", "ENVIRONMENT", "EXAMPLES", "OPTIONS"] {
                assert!(
                    own.contains(&format!(".SH \"{part}\"")) || own.contains(&format!(".SH {part}")),
                    "{verb}: {part}"
                );
            }
            let command = program.find_subcommand(verb).unwrap();
            let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
            for flag in shown.filter_map(clap::Arg::get_long) {
                assert!(own.contains(&flag.replace('-', "\\-")), "{verb}: {flag}");
            }
        }
        assert!(page(Some("nothing")).is_none());
    }
}
