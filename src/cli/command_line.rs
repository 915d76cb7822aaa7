//! The words of the command line: verbs, flags and their help. `super` runs the verbs.

use std::path::PathBuf;

use crate::commands::server_files::KINDS;
use crate::settings::Options;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// The end of each verb's help. A test tries each example.
macro_rules! example {
    ($words:literal) => {
        concat!("Example: piwigo-gate ", $words)
    };
}

/// The kinds of server files, for completions and for suggestions after a mistyped name.
fn kinds() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(KINDS.iter().map(|kind| PossibleValue::new(kind.name).help(kind.purpose)))
}

/// Guards the files of a Piwigo photo gallery.
///
/// Started by a web server (a listening socket on file descriptor 0) and without arguments, it serves on that
/// socket.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = false)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl CommandLine {
    /// The parsed command line. Ends the program if that asks for help or cannot be understood.
    pub(super) fn given() -> Self {
        let matches = Self::for_readers().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The command line as help and manual show it. Each verb that examines a gallery takes all settings;
    /// only `serve` lists them.
    pub(super) fn for_readers() -> clap::Command {
        let is_setting = |arg: &clap::Arg| arg.get_help_heading() == Some("Settings");
        Self::command().mut_subcommands(|verb| match verb.get_name() {
            "serve" => verb,
            _ => verb.mut_args(|arg| if is_setting(&arg) { arg.hide(true) } else { arg }),
        })
    }
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Answer the web server's requests
    #[command(after_help = example!("serve --gallery /var/www/piwigo --listen unix:/run/piwigo-gate/gate.sock"))]
    Serve(Box<Serve>),
    /// Say why a visitor may or may not see a file (exit code: 0 all allowed, 1 one denied, 2 no verdict)
    ///
    /// The address of a photo's page stands for those of its files. Asks the same code and database as
    /// `serve`, and changes nothing. Without --user and --cookie it judges a guest. Takes all settings of
    /// `serve`, too.
    #[command(after_help = example!(
        "check --gallery /var/www/piwigo --user alice https://photos.example.org/upload/2026/05/02/20260502074102-5d19ab44.jpg"
    ))]
    Check(Box<Check>),
    /// Say whether the set-up is right, and whether anything leaks (exit code: 0 no problem, 1 a problem, 2
    /// no gallery)
    ///
    /// Looks at gallery, configuration, database, socket, files and, with --url, at what a visitor gets: each
    /// line says ok, note, warning or problem and what to do. It changes nothing and prints no secret. Run it
    /// as the gate's user. Takes all settings of `serve`, too.
    #[command(after_help = example!("doctor --gallery /var/www/piwigo --url https://photos.example.org/"))]
    Doctor(Box<Doctor>),
    /// Make the resized pictures that are missing or stale (exit code: 0 all there, 1 some failed, 2 nothing
    /// possible, 3 some left to Piwigo)
    ///
    /// Fresh pictures are left alone, so the run can be ended at any time and started again. Run it as
    /// PHP's user, or as root: files that root makes get the owner of their directory, so that Piwigo can
    /// delete them. Takes all settings of `serve`, too.
    ///
    /// Images that the gate cannot decode are left to Piwigo's i.php, which makes their sizes at the first
    /// request if the web server can send requests on to it; with lighttpd, apache-proxy and stream they
    /// are 404.
    #[command(after_help = example!("derive --gallery /var/www/piwigo --types th,me --jobs 2"))]
    Derive(Box<Derive>),
    /// Print a web server's file, filled in for this gallery (`--list` names the kinds)
    ///
    /// The directories that are guarded come from Piwigo's settings and the sites that it synchronises with.
    /// What the file and the gate must agree on is written into it; all other settings belong into gate.toml.
    #[command(after_help = example!("config nginx --gallery /var/www/piwigo"))]
    Config(Box<Config>),
    /// Print the completions of a shell
    #[cfg(feature = "manuals")]
    #[command(after_help = example!("completions bash"))]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual, or that of one verb
    #[cfg(feature = "manuals")]
    #[command(after_help = example!("man serve"))]
    Man {
        /// Which verb
        verb: Option<String>,
    },
    /// Show a sample gallery behind a private nginx, as each visitor sees it
    #[cfg(feature = "demo")]
    #[command(after_help = example!("demo --port 8080"))]
    Demo {
        /// Port on 127.0.0.1
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Print who gets what and whether that is right, instead of waiting for visitors (exit code 0 or 1)
        #[arg(long)]
        once: bool,
    },
}

#[derive(Args, Default)]
pub(super) struct Serve {
    /// A gate.toml to read instead of <gallery>/local/config/gate.toml or /etc/piwigo-gate/gate.toml
    #[arg(long, env = "PIWIGO_GATE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Args)]
pub(super) struct Check {
    /// Addresses as in the browser, with or without scheme and host
    #[arg(required = true, value_name = "URL")]
    pub urls: Vec<String>,
    /// Judge as a session of this account would be: its name, or else its number
    #[arg(long, value_name = "NAME|ID", conflicts_with_all = ["cookie", "ip"])]
    pub user: Option<String>,
    /// Judge as a visitor with these cookies: `pwg_id=…`, or - to read them from standard input
    #[arg(long, value_name = "COOKIES", requires = "ip")]
    pub cookie: Option<String>,
    /// The address that the cookies come from, as PHP sees it
    #[arg(long, value_name = "ADDRESS", requires = "cookie")]
    pub ip: Option<std::net::IpAddr>,
    /// Print JSON: a list with one object for each URL
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub serve: Serve,
}

#[derive(Args)]
pub(super) struct Config {
    /// The kind of file
    #[arg(value_parser = kinds())]
    pub kind: Option<String>,
    /// List the kinds
    #[arg(long, exclusive = true)]
    pub list: bool,
    /// Fill in the example, a gallery in /var/www/piwigo; ignores this machine and all options but
    /// --url-prefix
    #[arg(long)]
    pub example: bool,
    /// PHP-FPM's socket, or its ADDRESS:PORT [default: the newest in /run/php or /run/php-fpm]
    #[arg(long, value_name = "PATH")]
    pub php_socket: Option<PathBuf>,
    /// For haproxy and nginx-front: the server behind that holds the files [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub backend: Option<String>,
    /// The gate's program [default: /usr/local/bin/piwigo-gate, or as the file says]
    #[arg(long, value_name = "PATH")]
    pub program: Option<PathBuf>,
    /// The account that PHP runs as [default: www-data]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The web server's group, if it does not run as PHP's user: it may write to the gate's socket
    #[arg(long, value_name = "NAME")]
    pub socket_group: Option<String>,
    /// Write the file there instead of to standard output, only if all values could be filled in
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Piwigo's directory, where its index.php is
    #[arg(long, env = "PIWIGO_GATE_GALLERY", value_name = "DIR")]
    pub gallery: Option<PathBuf>,
    /// A gate.toml to read instead of <gallery>/local/config/gate.toml or /etc/piwigo-gate/gate.toml
    #[arg(long = "config", env = "PIWIGO_GATE_CONFIG", value_name = "FILE")]
    pub settings_file: Option<PathBuf>,
    /// Where the gate listens: unix:PATH, tcp:ADDR:PORT or systemd [default: a socket in /run/piwigo-gate]
    #[arg(long, env = "PIWIGO_GATE_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Allow a tcp: address that other machines can reach; needs --allow-from
    #[arg(long, env = "PIWIGO_GATE_ALLOW_REMOTE", num_args = 0..=1, default_missing_value = "true")]
    pub allow_remote: Option<bool>,
    /// Addresses and networks from which web servers may connect over TCP [default: any]
    #[arg(long, env = "PIWIGO_GATE_ALLOW_FROM", value_name = "ADDR[,ADDR...]")]
    pub allow_from: Option<String>,
    /// Path under which the gallery is mounted, such as /piwigo [default: none]
    #[arg(long, env = "PIWIGO_GATE_URL_PREFIX", value_name = "PATH")]
    pub url_prefix: Option<String>,
    /// Also guard galleries beside Piwigo's directory (sites that begin with ../); needs --url-prefix
    #[arg(long, env = "PIWIGO_GATE_PARENT_SITES", num_args = 0..=1, default_missing_value = "true")]
    pub parent_sites: Option<bool>,
}

#[derive(Args)]
pub(super) struct Doctor {
    /// Look from outside, too, as a guest would: the gallery's address (needs the program curl; makes some
    /// 120 requests)
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// With --url: accept any certificate
    #[arg(long, requires = "url")]
    pub insecure: bool,
    /// With --url: use this address for that name, like curl's option of the same name
    #[arg(long, value_name = "HOST:PORT:ADDRESS", requires = "url")]
    pub resolve: Option<String>,
    /// With --url: also ask as a visitor with these cookies: `pwg_id=…`, or - to read them from standard
    /// input
    ///
    /// Says whether Piwigo and the gate recognise this visitor alike, and whether the account gets what it
    /// may see and nothing else. A session is valid only for the network that it was opened from, and these
    /// requests come from this machine: sign in from here (a browser by ssh -D). The cookies go to no other
    /// host and are never printed.
    #[arg(long, value_name = "COOKIES", requires = "url")]
    pub cookie: Option<String>,
    /// The web server's user [default: the first of www-data, nginx, apache, http, caddy, lighttpd that
    /// exists]
    #[arg(long, value_name = "NAME")]
    pub web_user: Option<String>,
    /// A file of the web server's configuration, to see what it does not guard; may be given again
    ///
    /// Files that it includes are read as well, as far as this user may read them. `-` reads standard input:
    /// for nginx `sudo nginx -T | piwigo-gate doctor --server-file - …` shows all sites of the server, for
    /// Apache `apache2ctl -t -D DUMP_INCLUDES | piwigo-gate doctor --server-file - …`. With --url, a private
    /// picture is asked for below the paths that stand in it (`Alias /other …`, `handle_path /other/*`).
    #[arg(long, value_name = "FILE")]
    pub server_file: Vec<PathBuf>,
    /// Print JSON: an object with a list of findings
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub serve: Serve,
}

#[derive(Args)]
pub(super) struct Derive {
    /// Sizes, by token or name: th,me or thumb,medium [default: every enabled one]
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    pub types: Vec<String>,
    /// Only the pictures of this album: the number in its address
    #[arg(long, value_name = "ID")]
    pub album: Option<u32>,
    /// With --album: also the pictures of the albums in it
    #[arg(long, requires = "album")]
    pub recursive: bool,
    /// Number of pictures made at the same time [default: half the number of processor cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Only count what is missing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub serve: Serve,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of each verb's help.
    fn examples() -> Vec<(String, String)> {
        let verbs = CommandLine::command();
        let of = |verb: &clap::Command| {
            let help = verb.get_after_help().expect("an example").to_string();
            (verb.get_name().to_owned(), help.strip_prefix("Example: ").expect("an example").to_owned())
        };
        verbs.get_subcommands().map(of).collect()
    }

    #[test]
    fn settings_are_listed_once_and_taken_by_all() {
        let mut words = CommandLine::for_readers();
        words.build();
        for (verb, listed) in [("serve", true), ("check", false), ("doctor", false), ("derive", false)] {
            let help = words.find_subcommand_mut(verb).unwrap().render_long_help().to_string();
            assert_eq!(help.contains("--deny-status"), listed, "{verb}");
            assert!(help.contains("--gallery") && help.contains("--config"), "{verb}");
            assert_eq!(help.contains("Takes all"), !listed, "{verb}");
            let rest = if verb == "check" { &["/x"] as &[_] } else { &[] };
            let given = [&["piwigo-gate", verb, "--deny-status", "404"], rest].concat();
            assert!(words.clone().try_get_matches_from(given).is_ok(), "{verb}");
        }
    }

    #[test]
    fn the_example_of_each_verb_is_a_command_line() {
        CommandLine::command().debug_assert();
        let examples = examples();
        assert!(examples.len() >= 5);
        for (verb, example) in examples {
            let words: Vec<_> = example.split(' ').collect();
            assert_eq!(words[1], verb);
            if let Err(error) = CommandLine::try_parse_from(&words) {
                panic!("{example}: {error}");
            }
        }
    }
}
