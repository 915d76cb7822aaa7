//! The setting `symlinks = "same-owner"` with links of every owner, in every set-up: links of root and of the
//! owner of the gallery's directory are followed, also in the place of `upload`, `galleries` and `_data`
//! themselves, as packages and images for containers make them; links of a third user are not. Only root can
//! make such links, so these tests do nothing for other testers.

#![allow(clippy::expect_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::apache::{self, Apache};
use crate::support::config;
use crate::support::examined::{Report, doctor};
use crate::support::http;
use crate::support::patience::PATIENCE;
use crate::support::php;
use crate::support::sandbox::Sandbox;
use crate::support::scene::Scene;
use crate::support::setup::{Own, Setup};

/// Who a link is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Root,
    /// The owner of the gallery's directory.
    Gallery,
    Third,
}

fn is_root(sandbox: &Sandbox) -> bool {
    sandbox.account().is_some()
}

fn link(sandbox: &Sandbox, target: impl AsRef<Path>, path: &Path, owner: Owner) {
    symlink(target, path).expect("a link");
    match owner {
        Owner::Root => {}
        Owner::Gallery => sandbox.hand_over_link(path),
        Owner::Third => assert!(sandbox.give_link_to_a_third_user(path)),
    }
}

/// Moves a directory of the gallery to a disk of its own, and puts a link in its place.
fn move_away(sandbox: &Sandbox, directory: &str, owner: Owner) -> PathBuf {
    let (place, disk) = (sandbox.gallery().join(directory), sandbox.path().join(format!("disk-{directory}")));
    fs::rename(&place, &disk).expect("moved");
    link(sandbox, &disk, &place, owner);
    disk
}

/// Links in `upload/test`: whose each is, what it leads to (absolute: below the sandbox), and whether it is
/// followed.
const LINKS: [(&str, Owner, &str, bool); 12] = [
    ("owners.jpg", Owner::Gallery, "plain.jpg", true),
    ("roots.jpg", Owner::Root, "plain.jpg", true),
    ("roots-out.jpg", Owner::Root, "/elsewhere/photo.jpg", true),
    ("roots-directory", Owner::Root, "/elsewhere", true),
    ("owners-to-roots.jpg", Owner::Gallery, "/roots.jpg", true),
    ("owners-to-nothing.jpg", Owner::Gallery, "none.jpg", false),
    ("roots-to-nothing.jpg", Owner::Root, "none.jpg", false),
    ("thirds.jpg", Owner::Third, "plain.jpg", false),
    ("thirds-out.jpg", Owner::Third, "/elsewhere/photo.jpg", false),
    ("thirds-directory", Owner::Third, "/elsewhere", false),
    ("roots-to-thirds.jpg", Owner::Root, "thirds.jpg", false),
    ("thirds-to-roots.jpg", Owner::Third, "roots.jpg", false),
];

/// Makes these links, each with a row in a public album.
fn make_links(scene: &Scene) {
    let sandbox = &scene.sandbox;
    for name in ["gallery/upload/test/plain.jpg", "elsewhere/photo.jpg", "roots.jpg"] {
        let file = sandbox.write(name, "bytes\n");
        if name != "roots.jpg" {
            sandbox.hand_over(&file);
            sandbox.hand_over(file.parent().expect("a directory"));
        }
    }
    for (id, (name, owner, target, _)) in (901..).zip(LINKS) {
        let path = sandbox.gallery().join("upload/test").join(name);
        let target = match target.strip_prefix('/') {
            Some(below) => sandbox.path().join(below),
            None => target.into(),
        };
        link(sandbox, target, &path, owner);
        scene.database.sql(&format!(
            "INSERT INTO piwigo_images (id, file, path) VALUES ({id}, 'x.jpg', './upload/test/{}');
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, 1);",
            file_behind(name)
        ));
    }
}

/// A link to a directory is asked for by a file below it.
fn file_behind(name: &str) -> String {
    if name.ends_with("directory") { format!("{name}/photo.jpg") } else { name.to_owned() }
}

/// The guarded directories themselves are links, and there are others deeper; the server's file was printed
/// with them there.
fn links_are_followed_by_their_owners(setup: Setup) {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    if !is_root(sandbox) {
        return;
    }
    make_links(&scene);
    move_away(sandbox, "upload", Owner::Root);
    // What it leads to belongs to another user.
    let disk = move_away(sandbox, "galleries", Owner::Gallery);
    chown(disk, Some(4_000_003), None).expect("root may");
    move_away(sandbox, "_data", Owner::Root);
    let server = setup.start(&scene, &[]);
    let cases: Vec<_> = scene.world.cases().into_iter().step_by(11).collect();
    let of = |begin: &str| cases.iter().filter(|case| case.allowed && case.path.starts_with(begin)).count();
    assert!(["upload/", "galleries/", "_data/i/"].iter().all(|begin| of(begin) > 1));
    for case in cases {
        let answer =
            scene.request(server.address(), "GET", &http::url(&case.path), case.cookie_of.as_deref(), &[]);
        let shown = (answer.status, answer.text() == case.text);
        let right = if case.allowed { (200, true) } else { (setup.refusal(), false) };
        assert_eq!(shown, right, "{setup:?}: {:?} asks for {}", case.cookie_of, case.path);
    }
    for (name, _, _, is_followed) in LINKS {
        let url = http::url(&format!("upload/test/{}", file_behind(name)));
        let answer = http::get(server.address(), &url);
        assert_eq!(
            (answer.status == 200, answer.text() == "bytes\n"),
            (is_followed, is_followed),
            "{setup:?} {name}"
        );
        assert!(is_followed || (400..405).contains(&answer.status), "{setup:?} {name} {}", answer.status);
    }
    // The public folder behind the same link.
    let style = http::get(server.address(), "/_data/combined/a1.css");
    assert_eq!((style.status, style.text().as_str()), (200, "combined style\n"), "{setup:?}");
}

crate::for_every_setup!(links_are_followed_by_their_owners);

/// A user who may write to the gallery's directory puts a link in the place of `upload`.
fn a_third_users_link_opens_nothing(setup: Setup) {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    if !is_root(sandbox) {
        return;
    }
    // With a link of root's, too: the server's file leaves the look to the gate.
    for with_roots in [false, true] {
        if with_roots {
            move_away(sandbox, "galleries", Owner::Root);
            fs::remove_file(sandbox.gallery().join("upload")).expect("a link");
            fs::rename(sandbox.path().join("disk-upload"), sandbox.gallery().join("upload"))
                .expect("moved back");
        }
        let server = setup.start(&scene, &[]);
        let original = http::url(scene.world.image(1).original());
        assert_eq!(http::get(server.address(), &original).status, 200, "{setup:?}");
        move_away(sandbox, "upload", Owner::Third);
        let started = Instant::now();
        let answer = loop {
            let answer = http::get(server.address(), &original);
            // Where decisions are kept, the gate is not asked again before the end of the next second.
            if answer.status != 200 || setup != Setup::NginxAuthCache || started.elapsed() > PATIENCE {
                break answer;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!([401, 403, 404].contains(&answer.status), "{setup:?} {with_roots} {}", answer.status);
    }
}

crate::for_every_setup!(a_third_users_link_opens_nothing);

/// A file that was printed before root made the link: nginx and Apache refuse it by a check of their own, and
/// `doctor` says so.
#[test]
fn doctor_finds_a_file_whose_server_refuses_the_link() {
    for (setup, name) in [
        (Setup::Nginx, "nginx"),
        (Setup::NginxAuthRequest, "nginx"),
        (Setup::ApacheProxy, "Apache"),
        (Setup::ApacheAccessChecker, "Apache"),
        (Setup::ApacheAuthnz, "Apache"),
    ] {
        let scene = Scene::start();
        let sandbox = &scene.sandbox;
        if !is_root(sandbox) {
            return;
        }
        let listen: &[&str] =
            if setup == Setup::ApacheAuthnz { &["--listen", "tcp:127.0.0.1:9800"] } else { &[] };
        let examine = |file: &str| {
            let file = sandbox.write("server.conf", file);
            Report::read(&doctor(sandbox, &["--json", "--server-file", file.to_str().expect("UTF-8")]))
        };
        let before = config::print(sandbox, setup.kind(), listen);
        assert!(!examine(&before).text.contains("server-file-symlinks"), "{setup:?}");
        let server = setup.start(&scene, &[]);
        make_links(&scene);
        let url = "/upload/test/roots.jpg";
        assert!([401, 403, 404].contains(&http::get(server.address(), url).status), "{setup:?}");
        let report = examine(&before);
        report.says("server-file-symlinks", "problem", name);
        report.says("server-file-symlinks", "problem", "upload/test/");
        drop(server);
        let after = config::print(sandbox, setup.kind(), listen);
        assert!(after.contains("would refuse `upload/test/"), "{setup:?}");
        assert!(!examine(&after).text.contains("server-file-symlinks"), "{setup:?}");
        let server = setup.start(&scene, &[]);
        assert_eq!(http::get(server.address(), url).status, 200, "{setup:?}");
    }
}

/// On shared hosting the host has a say about links, and so has a line of a `.htaccess` file. What Apache
/// allows there depends on `AllowOverride`: a plain `Options` does not cover `SymLinksIfOwnerMatch`.
#[test]
fn a_host_that_compares_owners_refuses_roots_links() {
    const PROPOSED: &str = "Options -FollowSymLinks +SymLinksIfOwnerMatch";
    const LOOSE: &str = "Options +FollowSymLinks -SymLinksIfOwnerMatch";
    const SOME: &str = "FileInfo Options Indexes";
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    if !is_root(sandbox) {
        return;
    }
    make_links(&scene);
    php::write_scripts(sandbox);
    apache::write_htaccess(sandbox, "", true);
    let file = sandbox.gallery().join("upload/.htaccess");
    let printed = fs::read_to_string(&file).expect("the printed file");
    assert!(printed.contains(&format!("#{PROPOSED}")));
    // The host's options and what it allows; the line in `upload/.htaccess`; the answers to a link of the
    // target's owner and to one of root's; whether `doctor` reports the host's configuration, and the file.
    for (options, allowed, line, answers, in_host, in_file) in [
        ("FollowSymLinks", SOME, "", (200, 200), false, false),
        ("FollowSymLinks", "All", PROPOSED, (200, 403), false, true),
        ("FollowSymLinks", SOME, PROPOSED, (500, 500), false, true),
        ("SymLinksIfOwnerMatch", SOME, "", (200, 403), true, false),
        ("SymLinksIfOwnerMatch", SOME, LOOSE, (500, 500), true, false),
        ("SymLinksIfOwnerMatch", "All", "Options +FollowSymLinks", (200, 403), true, false),
        ("SymLinksIfOwnerMatch", "All", LOOSE, (200, 200), true, false),
    ] {
        fs::write(&file, printed.replace(&format!("#{PROPOSED}"), line)).expect("written");
        let host = apache::shared_host(sandbox, "");
        let host =
            host.replace(SOME, allowed).replace("Options FollowSymLinks", &format!("Options {options}"));
        let apache = Apache::start(sandbox, &host, &["fcgid", "rewrite", "actions", "headers"]);
        let status = |name: &str| http::get(apache.address(), format!("/upload/test/{name}")).status;
        assert_eq!((status("owners.jpg"), status("roots.jpg")), answers, "{options} {allowed} {line}");
        let report = Report::read(&doctor(sandbox, &["--json"]));
        assert_eq!(report.all("problem").contains(&"server-file-symlinks"), in_file, "{}", report.text);
        let config = sandbox.write("host.conf", &host);
        let report =
            Report::read(&doctor(sandbox, &["--json", "--server-file", config.to_str().expect("UTF-8")]));
        let is_told = report.all("problem").contains(&"server-file-symlinks");
        assert_eq!(is_told, in_file || (in_host && line != LOOSE), "{}", report.text);
    }
}

/// The same in Apache's own configuration: a link in the place of a guarded directory is judged by the
/// options of the directory that it lies in, and the site has the last word about these.
#[test]
fn a_site_that_compares_owners_refuses_root_the_guarded_directory_itself() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    if !is_root(sandbox) {
        return;
    }
    make_links(&scene);
    let site = "<Directory ROOT>\nOptions SymLinksIfOwnerMatch\n</Directory>\n";
    for (is_moved, status) in [(false, 200), (true, 403)] {
        if is_moved {
            move_away(sandbox, "upload", Owner::Root);
        }
        let server = Setup::ApacheProxy.start_with(&scene, &[], &Own { site, ..Own::default() });
        assert_eq!(http::get(server.address(), "/upload/test/roots.jpg").status, status);
        let text = config::print(sandbox, "apache-proxy", &[]) + site;
        let file = sandbox.write("server.conf", text);
        let report =
            Report::read(&doctor(sandbox, &["--json", "--server-file", file.to_str().expect("UTF-8")]));
        assert_eq!(report.all("problem").contains(&"server-file-symlinks"), is_moved, "{}", report.text);
    }
}

/// As images and packages have it: the guarded directory itself is a link, of whichever owner.
#[test]
fn doctor_names_the_line_for_a_guarded_directory_that_cannot_be_entered() {
    let scene = Scene::start();
    let sandbox = &scene.sandbox;
    if !is_root(sandbox) {
        return;
    }
    let photos = move_away(sandbox, "upload", Owner::Root);
    let upload = sandbox.gallery().join("upload");
    let report = Report::read(&doctor(sandbox, &["--json"]));
    assert!(report.all("problem").is_empty(), "{}", report.text);
    report.says("server-file-symlinks", "note", "upload");

    assert!(sandbox.give_link_to_a_third_user(&upload));
    let report = Report::read(&doctor(sandbox, &["--json"]));
    report.says("symlinks", "problem", "upload is a link of 4000002's");
    assert!(!report.all("warning").contains(&"symlinks"), "one finding: {}", report.text);
    let line = format!("symlinks = \\\"{}\\\"", photos.display());
    assert!(report.text.contains(&line), "{line}: {}", report.text);
    // Each of the remedies helps.
    let file = sandbox.write("gate.toml", format!("symlinks = \"{}\"\n", photos.display()));
    let report = Report::read(&doctor(sandbox, &["--json", "--config", file.to_str().expect("UTF-8")]));
    assert!(!report.all("problem").contains(&"symlinks"), "{}", report.text);
    sandbox.hand_over_link(&upload);
    let report = Report::read(&doctor(sandbox, &["--json"]));
    assert!(!report.all("problem").contains(&"symlinks"), "{}", report.text);

    chown(&photos, Some(0), Some(0)).expect("root may");
    fs::set_permissions(&photos, fs::Permissions::from_mode(0o700)).expect("root may");
    let report = Report::read(&doctor(sandbox, &["--json"]));
    report.says("readable", "problem", "may not enter");
    assert!(report.text.contains(&format!("chmod o+x {}", photos.display())), "{}", report.text);
    assert!(!report.text.contains("directories cannot be read"), "one finding: {}", report.text);
}
