//! What must hold in every set-up that we ship a file for: the same verdicts, and the same headers on what is
//! allowed.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crate::support::folding_disk::FoldingDisk;
use crate::support::http::{self, Response};
use crate::support::scene::Scene;
use crate::support::setup::Exceptions;
use crate::support::setup::Setup::{self, ApacheProxy};
use crate::support::{attacks, folding_disk, pictures};

/// Every ninth of the world's cases: 107 of them, of all visitors and kinds of files.
fn the_same_verdicts(setup: Setup) {
    let scene = Scene::start();
    let server = setup.start(&scene, &[]);
    let cases: Vec<_> = scene.world.cases().into_iter().step_by(9).collect();
    assert!(cases.len() > 100 && cases.iter().filter(|case| case.allowed).count() > 30);
    for case in cases {
        let cookie = case.cookie_of.as_deref().map(|user| scene.world.session(user).cookie_header());
        let headers: Vec<_> = cookie.iter().map(|cookie| ("Cookie", cookie.as_str())).collect();
        let answer = http::request(server.address(), "GET", http::url(&case.path), &headers);
        let shown = (answer.status, answer.text() == case.text);
        let right = if case.allowed { (200, true) } else { (setup.refusal(), false) };
        assert_eq!(shown, right, "{setup:?}: {:?} asks for {}", case.cookie_of, case.path);
    }
}

crate::for_every_setup!(the_same_verdicts);

/// The file of Apache's own request was looked for before the gate made it; nginx and others look afterwards.
fn what_the_gate_has_just_made_is_sent_at_once(setup: Setup) {
    let scene = Scene::start();
    let image = scene.world.private_image("erin");
    let original = pictures::write_original(&scene.sandbox, image);
    // As after the administrator's "delete all resized pictures".
    fs::remove_dir_all(scene.sandbox.gallery().join("_data/i")).expect("it was there");
    let server = setup.start(&scene, &[]);
    let path = image.derivative("sq").expect("a picture");
    let made = scene.sandbox.gallery().join(&path);
    let get = |user| {
        let cookie = scene.world.session(user).cookie_header();
        http::request(server.address(), "GET", http::url(&path), &[("Cookie", &cookie)])
    };
    let is_made = |answer: &Response| {
        let on_disk = fs::read(&made).expect("it was made");
        let whole = on_disk.starts_with(b"\xff\xd8") && on_disk.ends_with(b"\xff\xd9");
        assert!(answer.status == 200 && whole && answer.body == on_disk, "{setup:?}: {}", answer.text());
        assert_eq!(answer.all("content-type"), ["image/jpeg"], "{setup:?}");
        assert_eq!(answer.all("cache-control"), ["private, max-age=600"], "{setup:?}");
        assert_eq!(answer.all("x-content-type-options"), ["nosniff"], "{setup:?}");
        on_disk.len()
    };
    assert_eq!(get("alice").status, setup.refusal(), "{setup:?}");
    assert!(!made.exists(), "{setup:?}: made for a stranger");
    let length = is_made(&get("erin"));
    // The photo was replaced: what is there is stale, and of another length.
    fs::write(&original, pictures::jpeg(40, 30, 7)).expect("written");
    pictures::date(&original, SystemTime::now());
    // Where decisions are kept, the gate is not asked again before the end of the next second.
    let started = Instant::now();
    while setup == Setup::NginxAuthCache && get("erin").body.len() == length {
        assert!(started.elapsed() < Duration::from_secs(30), "the old one is still sent");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_ne!(is_made(&get("erin")), length, "{setup:?}");
}

crate::for_every_setup!(what_the_gate_has_just_made_is_sent_at_once);

/// Piwigo's own action.php would let every cache keep a private photo, and the refusal of one. It also
/// believes the web server's user, whose password nobody has looked at here.
fn no_cache_keeps_a_download(setup: Setup) {
    let scene = Scene::start();
    // As on a disk that folds case.
    scene.sandbox.write("gallery/Action.php", crate::support::php::ACTION_PHP);
    let server = setup.start(&scene, &[]);
    let id = scene.world.private_image("erin").id;
    let basic = [("Authorization", "Basic YWRtaW46eno=")];
    let get = |target: &str, user| scene.request(server.address(), "GET", target, user, &basic);
    for target in [
        format!("/action.php?id={id}&part=e"),
        format!("/action.php/?id={id}&part=e&download"),
        format!("/action.php?id={id}&part=e&refuse"),
        "/action.php?refuse".to_owned(),
        format!("/Action.php?id={id}&part=e"),
    ] {
        for user in [None, Some("erin")] {
            let answer = get(&target, user);
            let kept = answer.all("cache-control").join(", ");
            assert!(!kept.contains("public"), "{setup:?} {target}: {kept:?}");
            assert_eq!(
                (answer.header("expires"), answer.header("pragma")),
                (None, None),
                "{setup:?} {target}"
            );
            assert!(!answer.text().contains("as admin"), "{setup:?} {target}");
            if answer.status == 200 {
                assert!(kept.starts_with("private"), "{setup:?} {target}: {kept:?}");
                let vary = answer.all("vary").join(", ");
                assert!(vary.contains("Cookie"), "{setup:?} {target}: {vary:?}");
            }
        }
    }
    let allowed = get(&format!("/action.php?id={id}&part=e"), Some("erin"));
    assert_eq!(allowed.status, 200, "{setup:?}");
    assert!(!allowed.all("cache-control").is_empty(), "{setup:?}");
}

crate::for_every_setup!(no_cache_keeps_a_download);

/// Names, and where one cannot be served: the status that an allowed visitor gets there for all of its files.
#[rustfmt::skip]
const NAMES: &[(&str, Exceptions)] = &[
    ("100%.jpg",             &[]),
    ("100%25.jpg",           &[]),
    ("a%2fb.jpg",            &[]),
    // mod_proxy_fcgi refuses every URL with %3f.
    ("what?.jpg",            &[(&[ApacheProxy], 403)]),
    ("what?x=1&y.jpg",       &[(&[ApacheProxy], 403)]),
    ("one+one.jpg",          &[]),
    ("no#1.jpg",             &[]),
    ("\"quoted\".jpg",       &[]),
    ("it's.jpg",             &[]),
    ("a&b.jpg",              &[]),
    ("a;b.jpg",              &[]),
    ("a b  c .jpg",          &[]),
    ("été à Paris.jpg",      &[]),
    ("e\u{301}te\u{301}.jpg", &[]),
    ("日本.jpg",             &[]),
    ("a=b,c@d~e$f!(g)[h]*^{i}|<j>.jpg", &[]),
    ("a:b.jpg",              &[]),
    ("${a}$1%1%{b}.jpg",     &[]),
];

/// Encodes no more than it must, as programs other than browsers do.
fn sparing_url(path: &str) -> String {
    let mut url = http::url(path);
    for raw in "+&;='!$()*,:@".chars() {
        url = url.replace(&format!("%{:02X}", u32::from(raw)), &raw.to_string());
    }
    url
}

/// The original, a resized picture that is there, and one that the gate makes.
fn a_name_may_hold_anything(setup: Setup) {
    let scene = Scene::start();
    let erins = scene.world.private_image("erin");
    let album = scene.world.image_category.iter().find(|row| row.image_id == erins.id).expect("an album");
    let mut files = Vec::new();
    for (id, (name, by_setup)) in (9001..).zip(NAMES) {
        let (path, stem) = (format!("upload/names/{name}"), name.strip_suffix(".jpg").expect("a JPEG"));
        let quoted = path.replace('\'', "''");
        scene.database.sql(&format!(
            "INSERT INTO piwigo_images (id, file, path, width, height, level)
             VALUES ({id}, 'x', './{quoted}', 300, 200, {});
             INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, {});",
            erins.level, album.category_id
        ));
        let derivative = |token| format!("_data/i/upload/names/{stem}-{token}.jpg");
        pictures::write(&scene.sandbox, &path, &pictures::jpeg(300, 200, id));
        scene.sandbox.write(&format!("gallery/{}", derivative("th")), format!("derivative {id}\n"));
        let status = by_setup.iter().find(|(setups, _)| setups.contains(&setup)).map_or(200, |by| by.1);
        files.extend([path, derivative("th"), derivative("sq")].map(|path| (path, status)));
    }
    scene.sandbox.hand_over_tree(&scene.sandbox.gallery().join("_data/i"));
    let server = setup.start(&scene, &[]);
    let erin = scene.world.session("erin").cookie_header();
    let mut wrong = Vec::new();
    for (path, status) in files {
        for url in [http::url(&path), sparing_url(&path)] {
            let stranger = http::get(server.address(), &url).status;
            let answer = http::request(server.address(), "GET", &url, &[("Cookie", &erin)]);
            let on_disk = fs::read(scene.sandbox.gallery().join(&path)).unwrap_or_default();
            let shown = answer.body == on_disk && !on_disk.is_empty();
            let refused = stranger == setup.refusal() || (stranger == status && status != 200);
            if !refused || answer.status != status || (status == 200) != shown {
                wrong.push(format!("{url}: {stranger} to a stranger, {} to erin, {shown}", answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{setup:?}\n{}", wrong.join("\n"));
}

crate::for_every_setup!(a_name_may_hold_anything);

/// What a disk that folds case (exFAT, SMB shares, macOS, ext4 by directory) takes for the same name, as
/// links, and what it is.
const SPELLINGS: &[(&str, &str)] = &[
    ("Upload", "upload"),
    ("UPLOAD", "upload"),
    ("uploaD", "upload"),
    ("upload.", "upload"),
    ("upload..", "upload"),
    ("upload ", "upload"),
    ("Upload. ", "upload"),
    ("up\u{200c}load", "upload"),
    ("Galleries", "galleries"),
    ("GALLERIES", "galleries"),
    ("GALLER~1", "galleries"),
    ("galleries.", "galleries"),
    ("gallerie\u{17f}", "galleries"),
    ("_Data", "_data"),
    ("_DATA", "_data"),
    ("_data.", "_data"),
    ("_data ", "_data"),
    ("_data/I", "i"),
    ("_data/i.", "i"),
    ("_data/i ", "i"),
    ("Local", "local"),
    ("LOCAL.", "local"),
    ("local/Config", "config"),
    ("local/CONFIG ", "config"),
    ("local/con\u{fb01}g", "config"),
    ("I.php", "i.php"),
    ("i.PHP", "i.php"),
    ("i.php.", "i.php"),
    ("i.php ", "i.php"),
    ("themes.", "themes"),
];

/// Few machines can mount such a disk, so links stand for it.
fn no_other_spelling_on_a_folding_disk_opens_anything(setup: Setup) {
    let scene = Scene::start();
    let gallery = scene.sandbox.gallery();
    let server = setup.start(&scene, &[]);
    for (name, target) in SPELLINGS {
        let link = gallery.join(name);
        std::os::unix::fs::symlink(target, &link).expect("a link");
        scene.sandbox.hand_over_link(&link);
    }
    // The links are there, and followed, but by front ends that know public folders by their own names only.
    let style = http::get(server.address(), "/themes./default/theme.css");
    assert_eq!((style.status, style.text().as_str()), setup.public_style_spelt_otherwise(), "{setup:?}");
    assert_eq!(
        fs::read_to_string(gallery.join("themes./default/theme.css")).ok().as_deref(),
        Some("public style\n")
    );
    no_spelling_opens_anything(setup, &scene, server.address(), SPELLINGS.iter().copied());
}

crate::for_every_setup!(no_other_spelling_on_a_folding_disk_opens_anything);

/// The same on a real one, where the file's own name may be spelled otherwise, too.
#[test]
fn no_other_spelling_on_a_real_folding_disk_opens_anything() {
    folding_disk::run("no_other_spelling_on_a_real_folding_disk_opens_anything", || {
        for setup in Setup::ALL {
            let scene = Scene::start();
            scene.sandbox.write("gallery/i.php", "");
            let _disk = FoldingDisk::take(&scene.sandbox);
            let server = setup.start(&scene, &[]);
            let style = http::get(server.address(), "/THEMES/Default/theme.CSS");
            assert_eq!(
                (style.status, style.text().as_str()),
                setup.public_style_spelt_otherwise(),
                "{setup:?}"
            );
            let folded = |name: &str| scene.sandbox.gallery().join(name).exists();
            let spellings: Vec<_> = SPELLINGS.iter().copied().filter(|(name, _)| folded(name)).collect();
            assert!(spellings.len() > 10, "{spellings:?}");
            no_spelling_opens_anything(setup, &scene, server.address(), spellings.into_iter());
            let image = scene.world.private_image("erin");
            for path in [image.original().to_owned(), image.derivative("th").expect("a picture")] {
                let (directory, name) = path.rsplit_once('/').expect("a name");
                let url = http::url(&format!("{directory}/{}", name.to_uppercase()));
                for user in ["alice", "erin"] {
                    let cookie = scene.world.session(user).cookie_header();
                    let answer = http::request(server.address(), "GET", &url, &[("Cookie", &cookie)]);
                    assert_eq!(answer.status, setup.refusal(), "{setup:?} {user} {url}: {}", answer.text());
                }
            }
        }
    });
}

fn no_spelling_opens_anything(
    setup: Setup,
    scene: &Scene,
    address: SocketAddr,
    spellings: impl Iterator<Item = (&'static str, &'static str)>,
) {
    scene.sandbox.write("gallery/_data/logs/log.txt", "original secrets of a log\n");
    let image = scene.world.private_image("erin");
    let original = http::url(&image.original()["upload/".len()..]);
    let images = &scene.world.images;
    let other = images.iter().find(|image| image.original().starts_with("galleries/")).expect("one");
    let synchronised = http::url(&other.original()["galleries/".len()..]);
    let thumb = http::url(&image.derivative("th").expect("a picture")["_data/i/".len()..]);
    let alice = scene.world.session("alice").cookie_header();
    for (name, target) in spellings.filter(|(_, target)| *target != "themes") {
        let tails = match target {
            "upload" => vec![original.clone()],
            "galleries" => vec![synchronised.clone()],
            "_data" => vec![format!("/i{thumb}"), "/logs/log.txt".into()],
            "i" => vec![thumb.clone()],
            "local" => vec!["/config/database.inc.php".into()],
            "config" => vec!["/database.inc.php".into()],
            _ => vec![format!("?{thumb}"), thumb.clone()],
        };
        for tail in tails {
            let url = format!("{}{tail}", http::url(name));
            for cookie in ["", &alice] {
                let answer = http::request(address, "GET", &url, &[("Cookie", cookie)]);
                let text = answer.text();
                let secret = attacks::holds_guarded_bytes(&answer.body) || text.contains("prefixeTable");
                assert!(!secret && answer.status != 200, "{setup:?} {url}: {} {text}", answer.status);
            }
        }
    }
}
