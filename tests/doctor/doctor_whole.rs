//! `piwigo-gate doctor --server-file -` reads what nginx and Apache say of their whole configuration, and
//! judges each site in it. Real nginx and Apache print it; real nginx says what it refuses.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::apache;
use crate::support::examined::{Report, Setting, doctor_command};
use crate::support::nginx;
use crate::support::process;
use crate::support::setup::Setup;

const LINES: &str = "server-file-lines";

fn examine(setting: &Setting, input: &str) -> Report {
    let listen = format!("unix:{}", setting.sandbox().gate_socket().display());
    let arguments = ["--server-file", "-", "--listen", &listen, "--json"];
    let mut command = doctor_command(setting.sandbox(), &arguments);
    let mut doctor = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("doctor");
    doctor.stdin.take().expect("piped").write_all(input.as_bytes()).expect("doctor reads all");
    Report::read(&doctor.wait_with_output().expect("its end"))
}

fn nginx_says(sandbox: &Path, argument: &str, conf: &Path) -> Output {
    let log = sandbox.join("log/nginx-error.log");
    let mut command = Command::new(process::find_program(&["nginx"]).expect("nginx"));
    command.arg(argument).arg("-p").arg(sandbox).arg("-e").arg(log).arg("-c").arg(conf);
    command.output().expect("nginx runs")
}

/// nginx's main file, which names the sites by a pattern, and the gate's file below `snippets/`.
fn nginx_conf(setting: &Setting, own: &str, other: &str) -> std::path::PathBuf {
    let sandbox = setting.sandbox();
    let parameters =
        |text: String| text.replace("include fastcgi_params;", "include /etc/nginx/fastcgi_params;");
    sandbox.write("snippets/piwigo-gate.conf", parameters(nginx::fill_in(sandbox, nginx::ACCEL)));
    let gallery = nginx::gallery(sandbox, "include snippets/piwigo-gate.conf;");
    let gallery = parameters(format!("server {{\nlisten unix:BOX/run/a.sock;\n{gallery}\n{own}\n}}\n"));
    sandbox.write("sites/gallery", sandbox.filled(&gallery));
    sandbox.write("sites/other", sandbox.filled(other));
    let main = "pid BOX/run/whole.pid;\nevents { }\nhttp {\ninclude /etc/nginx/mime.types;\naccess_log off;\n\
                client_body_temp_path BOX/tmp/b;\nproxy_temp_path BOX/tmp/p;\nfastcgi_temp_path BOX/tmp/f;\n\
                uwsgi_temp_path BOX/tmp/u;\nscgi_temp_path BOX/tmp/s;\ninclude sites/*;\n}\n";
    sandbox.make_dir("tmp");
    sandbox.write("whole.conf", sandbox.filled(main))
}

#[test]
fn each_site_of_nginx_is_judged() {
    let setting = Setting::new();
    let sandbox = setting.sandbox().path().to_owned();
    for (own, other, level, words) in [
        ("", "", "ok", "no line"),
        ("location ~* \\.(jpg|png)$ { expires 30d; }", "", "ok", "no line"),
        (
            "",
            "server { listen unix:BOX/run/b.sock; root BOX/tmp; location ^~ /upload/2024/ { } }",
            "ok",
            "no line",
        ),
        ("", "server { listen unix:BOX/run/b.sock; server_name _; root ROOT; }", "problem", "server_name _"),
        (
            "",
            "server { listen unix:BOX/run/b.sock; server_name o; root BOX; autoindex on; }",
            "problem",
            "server_name o",
        ),
        (
            "",
            "server { listen unix:BOX/run/b.sock; location /x/ { alias ROOT/upload/; } }",
            "problem",
            "(/x/…)",
        ),
        ("location ^~ /upload/2024/ { }", "", "problem", "/upload/2024/"),
    ] {
        let conf = nginx_conf(&setting, own, other);
        let output = nginx_says(&sandbox, "-T", &conf);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success(), "{own} {other} {}", String::from_utf8_lossy(&output.stderr));
        let report = examine(&setting, &text);
        report.says("server-file", "ok", "mentions everything");
        report.says(LINES, level, words);
        assert_eq!(
            report.all("problem").contains(&LINES),
            level == "problem",
            "{own} {other} {}",
            report.text
        );
        // A file that holds the same is read in the same way.
        let saved = setting.sandbox().write("saved.txt", &text);
        let report = setting.report(&["--server-file", saved.to_str().expect("UTF-8")]);
        report.says(LINES, level, words);
    }
}

/// nginx takes no two locations of one path: the site's own must go. After a failed reload it goes on
/// unguarded.
#[test]
fn a_location_of_the_sites_own_for_a_guarded_path() {
    for own in ["location ^~ /upload/ { }", "location /upload { expires 30d; }", "location ^~ /_data/i/ { }"]
    {
        let setting = Setting::new();
        let conf = nginx_conf(&setting, own, "");
        let output = nginx_says(setting.sandbox().path(), "-t", &conf);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("duplicate location"), "{own}: {said}");
        // nginx -T prints nothing then: the administrator gives the main file.
        let report = setting.report(&["--server-file", conf.to_str().expect("UTF-8")]);
        report.says(LINES, "problem", "nginx refuses this configuration");
        let path = own.split(' ').find(|word| word.starts_with('/')).expect("a path");
        report.says(LINES, "problem", &format!("location {path}"));
        assert!(report.text.contains("take these locations of your own out"), "{}", report.text);
    }
}

#[test]
fn each_host_of_apache_is_judged() {
    let setting = Setting::new();
    let sandbox = setting.sandbox();
    let site = Setup::ApacheXsendfile.apache_site(sandbox, "");
    for (other, level) in [
        ("", "ok"),
        ("<VirtualHost *:81>\nDocumentRoot ROOT/themes\n</VirtualHost>\n", "ok"),
        ("<VirtualHost *:81>\nDocumentRoot ROOT\n</VirtualHost>\n", "problem"),
    ] {
        let other = sandbox.write("apache-sites/other.conf", sandbox.filled(other));
        let outside =
            format!("{}\nIncludeOptional {}/*.conf\n", site.outside, other.parent().expect("one").display());
        let apache = apache::Apache::start_with(sandbox, &outside, &site.host, site.modules);
        let conf = sandbox.path().join(format!("apache-{}.conf", apache.address().port()));
        let mut command = Command::new(process::find_program(&["apache2", "httpd"]).expect("Apache"));
        let output =
            command.args(["-t", "-D", "DUMP_INCLUDES", "-f"]).arg(&conf).output().expect("Apache runs");
        let list = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(list.contains(other.to_str().expect("UTF-8")), "{list}");
        let report = examine(&setting, &list);
        report.says("server-file", "ok", "mentions everything");
        assert_eq!(report.all("problem").contains(&LINES), level == "problem", "{}", report.text);
    }
}

#[test]
fn standard_input_is_one_thing() {
    let setting = Setting::new();
    let output = setting.run(&["--server-file", "-", "--cookie", "-", "--url", "http://127.0.0.1:1/"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("standard input holds either"), "{said}");
}
