//! Prints `piwigo-gate config` for a sandbox: the text that an administrator would install.

use std::path::Path;

use super::gate;
use super::sandbox::Sandbox;

/// The file of `kind`, filled in for the sandbox's gallery, its gate's socket and its PHP. `more` holds
/// further options.
///
/// Without Piwigo's settings in the sandbox, the text is the example's with the sandbox's paths in it.
pub fn print(sandbox: &Sandbox, kind: &str, more: &[&str]) -> String {
    if !sandbox.gallery().join("local/config/database.inc.php").exists() {
        assert!(more.is_empty(), "{more:?}: there is no gallery to fill in");
        return in_place_of_the_example(sandbox, &run(sandbox, &[kind, "--example"]));
    }
    print_listening(sandbox, kind, &format!("unix:{}", sandbox.gate_socket().display()), more)
}

/// Does the same for a gate that listens at `listen`.
pub fn print_listening(sandbox: &Sandbox, kind: &str, listen: &str, more: &[&str]) -> String {
    let gallery = sandbox.gallery().display().to_string();
    let php = sandbox.php_socket().display().to_string();
    let mut usual = vec![kind, "--gallery", &gallery, "--php-socket", &php];
    if !more.contains(&"--listen") {
        usual.extend(["--listen", listen]);
    }
    usual.extend(more);
    run(sandbox, &usual)
}

/// Replaces the example's directories and sockets by this sandbox's.
pub fn in_place_of_the_example(sandbox: &Sandbox, example: &str) -> String {
    let replace = |text: String, from: &str, to: &Path| text.replace(from, to.to_str().expect("UTF-8 path"));
    let text = replace(example.to_owned(), "/var/www/piwigo", &sandbox.gallery());
    let text = replace(text, "/run/piwigo-gate/gate.sock", &sandbox.gate_socket());
    let text = replace(text, "/usr/local/lib/piwigo-gate", &sandbox.path().join("bin"));
    replace(text, "/run/php/php-fpm.sock", &sandbox.php_socket())
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let print = || {
        let mut program = std::process::Command::new(gate::program());
        program.arg("config").args(arguments).current_dir(sandbox.path()).env_clear();
        let output = program.output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output, said)
    };
    // A machine that stood still for seconds is no fault of the file.
    let is_in_time = |(_, said): &(_, String)| !said.contains("did not answer within");
    let (output, said) =
        std::iter::repeat_with(print).take(3).find(is_in_time).expect("the database in time");
    // In the tests' galleries, these two sites are Piwigo's own directory by another name. `config` also
    // reports where PHP listens and which account runs it.
    let known = ["\"../gallery/\"", "\"../link/\"", "PHP is", "is taken to run as"];
    let is_right = |line: &str| known.iter().any(|known| line.contains(known));
    assert!(output.status.success() && said.lines().all(is_right), "config {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
