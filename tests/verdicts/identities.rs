//! A visitor known by each of Piwigo's identities, through real nginx and MariaDB; and each of them gone on
//! the very next request once it is taken away.

use crate::support::gate::Gate;
use crate::support::http;
use crate::support::nginx::{self, Nginx};
use crate::support::scene::Scene;

const MAILED: &str = "abcdefghijABCDEFGHIJ0123456789";
const API: &str = "pkid-20260102-abcdefghij0123456789";
const SECRET: &str = "0123456789012345678901234567890123456789";
/// Its plain MD5, the other form that Piwigo accepts: phpass's 2^18 rounds take seconds without optimization.
const HASH: &str = "9f0ae0380ed27dbf6b852843d2eece1f";

/// nginx, the gate and a private picture of bob's; dropped in this order, the directory last.
struct Setting {
    nginx: Nginx,
    gate: Gate,
    url: String,
    scene: Scene,
}

impl Setting {
    /// `config`: more lines for `local/config/config.inc.php`; `change`: what is changed in the shipped nginx
    /// file.
    fn start(config: &str, arguments: &[&str], change: (&str, &str)) -> Self {
        let scene = Scene::start();
        // The recorded cookies are of one day; they count for a century here.
        let config = format!("<?php\n$conf['remember_me_length'] = 3153600000;\n{config}\n");
        scene.sandbox.write("gallery/local/config/config.inc.php", config);
        let gate = Gate::start(&scene.sandbox, arguments, &[]);
        assert!(nginx::ACCEL.contains(change.0));
        let nginx = Nginx::start_gallery(&scene.sandbox, &nginx::ACCEL.replace(change.0, change.1));
        let url = http::url(scene.world.private_image("bob").original());
        Setting { nginx, gate, url, scene }
    }

    fn status(&self, query: &str, headers: &[(&str, &str)]) -> u16 {
        let target = format!("{}{query}", self.url);
        http::request(self.nginx.address(), "GET", &target, headers).status
    }

    fn sql(&self, text: &str) {
        self.scene.database.sql(text);
    }
}

/// The shipped line that keeps the server's own user from the gate, and one that passes on a verified name:
/// in this test a header.
fn remote_user() -> (String, &'static str) {
    let shipped = nginx::ACCEL.lines().find(|line| line.contains("fastcgi_param REMOTE_USER")).unwrap();
    let shipped = shipped.split('#').next().unwrap().trim().to_owned();
    (shipped, "fastcgi_param REMOTE_USER     $http_x_test_user; fastcgi_param GATE_REMOTE_USER verified;")
}

#[test]
fn a_remember_me_cookie_counts_until_password_or_secret_change() {
    let setting = Setting::start("", &[], ("", ""));
    let world = &setting.scene.world;
    let session =
        world.sessions.iter().find(|s| s.user == "bob_remember_me_login").expect("a recorded login");
    let remember = format!("pwg_remember={}", session.cookies["pwg_remember"]);
    let status = |cookie: &str| setting.status("", &[("Cookie", cookie)]);
    assert_eq!(status(&remember), 200);
    assert_eq!(status(&remember.replace("pwg_remember=4-", "pwg_remember=1-")), 403, "another user's id");
    assert_eq!(status(&format!("{remember}x")), 403);
    // A session that is gone does not stand in its way, one of somebody else does.
    assert_eq!(status(&format!("pwg_id=aaaaaaaaaaaaaaaaaaaaaaaaaa; {remember}")), 200);
    assert_eq!(status(&format!("{}; {remember}", world.session("alice").cookie_header())), 403);
    let bob = world.user("bob");
    let password = bob.password.as_deref().unwrap();
    setting.sql(&format!("UPDATE piwigo_users SET password = 'other' WHERE id = {}", bob.id));
    assert_eq!(status(&remember), 403, "another password");
    setting.sql(&format!("UPDATE piwigo_users SET password = '{password}' WHERE id = {}", bob.id));
    assert_eq!(status(&remember), 200);
    setting.sql("UPDATE piwigo_config SET value = 'other' WHERE param = 'secret_key'");
    assert_eq!(status(&remember), 403, "another secret");
    setting.sql("DELETE FROM piwigo_config WHERE param = 'secret_key'");
    assert_eq!(status(&remember), 403, "no secret");
    assert!(!setting.gate.log_text().contains("R1VBDSB5"), "no key in the log");
}

/// A way to be known: its name, a query, headers.
type Way<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// The plugin `two_factor` signs a visitor in after the password, and answers every page with its sign-in
/// page until the code has come. It looks at the session last, so that no other way to be known leads around
/// it.
#[test]
fn a_session_that_owes_the_second_factor_is_a_guests_however_its_visitor_is_known() {
    let (shipped, verified) = remote_user();
    let arguments = ["--auth-key-everywhere", "true", "--api-key-header", "true"];
    let setting = Setting::start("$conf['apache_authentication'] = true;", &arguments, (&shipped, verified));
    let world = &setting.scene.world;
    let (bob, admin) = (world.user("bob").id, world.user("adm8").id);
    setting.sql(&format!(
        "INSERT INTO piwigo_user_auth_keys (auth_key, apikey_secret, apikey_name, key_type, user_id, created_on, expired_on) \
         VALUES ('{MAILED}', NULL, NULL, NULL, {bob}, NOW(), NOW() + INTERVAL 1 HOUR), \
                ('{API}', '{HASH}', 'app', 'api_key', {admin}, NOW(), NOW() + INTERVAL 1 HOUR)"
    ));
    let session = world.session("bob");
    let cookie = session.cookie_header();
    let row = session.row.as_ref().expect("bob is signed in");
    let remembered =
        world.sessions.iter().find(|s| s.user == "bob_remember_me_login").expect("a recorded login");
    let both = format!("{cookie}; pwg_remember={}", remembered.cookies["pwg_remember"]);
    let key = format!("{API}:{SECRET}");
    let mailed = format!("?auth={MAILED}");
    let ways: [Way<'_>; 5] = [
        ("session", "", &[("Cookie", &cookie)]),
        ("remember-me", "", &[("Cookie", &both)]),
        ("mailed key", &mailed, &[("Cookie", &cookie)]),
        ("API key", "", &[("Cookie", &cookie), ("X-PIWIGO-API", &key)]),
        ("the server's user", "", &[("Cookie", &cookie), ("X-Test-User", "bob")]),
    ];
    let set = |data: &str| {
        setting.sql(&format!("UPDATE piwigo_sessions SET data = '{data}' WHERE id = '{}'", row.id));
    };
    for (after, user, expected) in [
        ("", format!("pwg_uid|i:{bob};"), 200),
        ("tf_tries_validated|b:0;tf_tries_left|i:3;", format!("pwg_uid|i:{bob};"), 403),
        ("tf_tries_validated|i:1;", format!("pwg_uid|i:{bob};"), 403),
        ("tf_tries_validated|N;", format!("pwg_uid|i:{bob};"), 403),
        // No session's own user: the other ways are all there is.
        ("tf_tries_validated|b:0;", String::new(), 403),
        ("tf_tries_validated|b:1;", format!("pwg_uid|i:{bob};"), 200),
    ] {
        set(&format!("{user}{after}"));
        for (way, query, headers) in ways {
            assert_eq!(setting.status(query, headers), expected, "{way}: {user}{after}");
        }
    }
    // action.php and resized pictures are judged alike; what is open to guests stays open.
    set(&format!("pwg_uid|i:{bob};tf_tries_validated|b:0;"));
    let private = world.private_image("bob");
    let resized = http::url(&private.derivative("th").expect("a picture"));
    let by_number = format!("/action.php?id={}&part=e", private.id);
    for (target, expected) in [(resized, 403), (by_number, 403), (http::url(world.image(1).original()), 200)]
    {
        let answer = http::request(setting.nginx.address(), "GET", &target, &[("Cookie", &cookie)]);
        assert_eq!(answer.status, expected, "{target}");
    }
    // Without the session the remember-me cookie counts: so it does in Piwigo, where the plugin does not look
    // at it.
    let remember = format!("pwg_remember={}", remembered.cookies["pwg_remember"]);
    assert_eq!(setting.status("", &[("Cookie", &remember)]), 200);
    let log = setting.gate.log_text();
    let reason = "reason=\"none of the image's albums is open to the visitor; the visitor counts as a guest: the second \
                  factor of the session's sign-in is missing (tf_tries_validated of the plugin two_factor)\"";
    assert!(log.contains(reason) && log.contains("user=2 class=denied"), "{log}");
}

#[test]
fn an_unfinished_sign_in_stays_one_when_its_session_is_too_old_to_count() {
    let setting = Setting::start("", &["--session-max-age", "3600"], ("", ""));
    let world = &setting.scene.world;
    let row = world.session("bob").row.as_ref().expect("bob is signed in").id.clone();
    let remembered = world.sessions.iter().find(|s| s.user == "bob_remember_me_login").unwrap();
    let cookies = format!(
        "{}; pwg_remember={}",
        world.session("bob").cookie_header(),
        remembered.cookies["pwg_remember"]
    );
    for (data, expected) in [("x|N;", 200), ("tf_tries_validated|b:0;", 403)] {
        setting.sql(&format!(
            "UPDATE piwigo_sessions SET data = 'pwg_uid|i:4;{data}', expiration = NOW() - INTERVAL 2 HOUR WHERE id = '{row}'"
        ));
        assert_eq!(setting.status("", &[("Cookie", &cookies)]), expected, "{data}");
    }
}

#[test]
fn an_old_remember_me_cookie_does_not_count() {
    let setting = Setting::start("$conf['remember_me_length'] = 10;", &[], ("", ""));
    let session = setting.scene.world.sessions.iter().find(|s| s.user == "bob_remember_me_login").unwrap();
    let remember = format!("pwg_remember={}", session.cookies["pwg_remember"]);
    assert_eq!(setting.status("", &[("Cookie", &remember)]), 403);
}

#[test]
fn a_mailed_key_counts_for_ordinary_accounts_until_it_expires() {
    let setting = Setting::start("", &["--auth-key-everywhere", "true"], ("", ""));
    let bob = setting.scene.world.user("bob").id;
    setting.sql(&format!(
        "INSERT INTO piwigo_user_auth_keys (auth_key, user_id, created_on, expired_on) \
         VALUES ('{MAILED}', {bob}, NOW(), NOW() + INTERVAL 1 HOUR)"
    ));
    let status = |key: &str| setting.status(&format!("?auth={key}"), &[]);
    assert_eq!(status(MAILED), 200);
    assert_eq!(status(&MAILED.to_lowercase()), 403, "the database folds case, the gate does not");
    assert_eq!(status(&format!("{MAILED}&auth={MAILED}")), 403, "given twice");
    // A script that asks by the key where a size lies is told an address with the key.
    let derivative = setting.scene.world.private_image("bob").derivative("th").unwrap();
    let script = format!("/i.php?{}&ajaxload=true", http::url(derivative.strip_prefix("_data/i").unwrap()));
    let told = |query: &str, headers: &[(&str, &str)]| {
        let answer = http::request(setting.nginx.address(), "GET", format!("{script}{query}"), headers);
        let json = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
        (answer.status, json.and_then(|json| Some(json["url"].as_str()?.to_owned())))
    };
    let with_key = format!("{}?auth={MAILED}", http::url(&derivative));
    assert_eq!(told(&format!("&auth={MAILED}"), &[]), (200, Some(with_key.clone())));
    assert_eq!(http::get(setting.nginx.address(), &with_key).status, 200);
    assert_eq!(http::get(setting.nginx.address(), http::url(&derivative)).status, 403);
    assert_eq!(told("", &[]), (403, None));
    let bobs = setting.scene.world.session("bob").cookie_header();
    assert_eq!(told("", &[("Cookie", &bobs)]), (200, Some(http::url(&derivative))));
    let odd = "&auth=%22%3E%3Cscript%3E";
    assert_eq!(told(odd, &[("Cookie", &bobs)]), (200, Some(http::url(&derivative))), "what is no key");
    let alice = setting.scene.world.session("alice").cookie_header();
    assert_eq!(
        setting.status(&format!("?auth={MAILED}"), &[("Cookie", &alice)]),
        200,
        "it overrides a session"
    );
    for (change, expected) in [
        ("UPDATE piwigo_user_auth_keys SET expired_on = NOW() - INTERVAL 1 SECOND", 403),
        ("UPDATE piwigo_user_auth_keys SET expired_on = NOW() + INTERVAL 1 HOUR", 200),
        ("UPDATE piwigo_user_auth_keys SET user_id = 1", 403),
    ] {
        setting.sql(change);
        assert_eq!(status(MAILED), expected, "{change}");
    }
    let elsewhere = Setting::start("", &[], ("", ""));
    elsewhere.sql(&format!(
        "INSERT INTO piwigo_user_auth_keys (auth_key, user_id, created_on, expired_on) \
         VALUES ('{MAILED}', {bob}, NOW(), NOW() + INTERVAL 1 HOUR)"
    ));
    assert_eq!(elsewhere.status(&format!("?auth={MAILED}"), &[]), 403, "on action.php only, unless set");
    let answer = http::request(
        elsewhere.nginx.address(),
        "GET",
        format!("{script}&auth={MAILED}"),
        &[("Cookie", &bobs)],
    );
    assert!(answer.status == 200 && !answer.text().contains("auth="), "{}", answer.text());
    let image = elsewhere.scene.world.private_image("bob").id;
    for (key, expected) in [(MAILED, 200), ("", 403)] {
        let target = format!("/action.php?id={image}&part=e&auth={key}");
        assert_eq!(http::get(elsewhere.nginx.address(), &target).status, expected, "{target}");
    }
    for log in [setting.gate.log_text(), elsewhere.gate.log_text()] {
        assert!(!log.contains(MAILED), "no key in the log");
    }
}

#[test]
fn an_api_key_counts_with_its_secret_until_it_is_revoked() {
    let arguments = ["--auth-key-everywhere", "true", "--api-key-header", "true"];
    let setting = Setting::start("", &arguments, ("", ""));
    let admin = setting.scene.world.user("adm8").id;
    setting.sql(&format!(
        "INSERT INTO piwigo_user_auth_keys (auth_key, apikey_secret, apikey_name, key_type, user_id, created_on, expired_on) \
         VALUES ('{API}', '{HASH}', 'app', 'api_key', {admin}, NOW(), NOW() + INTERVAL 1 HOUR)"
    ));
    let key = format!("{API}:{SECRET}");
    let wrong = format!("{API}:{}", SECRET.replace('9', "8"));
    assert_eq!(setting.status(&format!("?auth={key}"), &[]), 200, "admins too");
    assert_eq!(setting.status("", &[("X-PIWIGO-API", &key)]), 200);
    assert_eq!(setting.status("", &[("X-PIWIGO-API", &wrong)]), 403);
    assert_eq!(setting.status("", &[("Authorization", &key)]), 403);
    for (change, expected) in [
        ("UPDATE piwigo_user_auth_keys SET revoked_on = NOW()", 403),
        ("UPDATE piwigo_user_auth_keys SET revoked_on = NULL", 200),
        ("UPDATE piwigo_user_auth_keys SET expired_on = NOW() - INTERVAL 1 SECOND", 403),
        ("UPDATE piwigo_user_auth_keys SET expired_on = NOW() + INTERVAL 1 HOUR", 200),
        ("UPDATE piwigo_user_auth_keys SET apikey_secret = 'other'", 403),
    ] {
        setting.sql(change);
        assert_eq!(setting.status("", &[("X-PIWIGO-API", &key)]), expected, "{change}");
    }
    assert!(!setting.gate.log_text().contains(SECRET), "no secret in the log");
    let off = Setting::start("", &[], ("", ""));
    off.sql(&format!(
        "INSERT INTO piwigo_user_auth_keys (auth_key, apikey_secret, apikey_name, key_type, user_id, created_on, expired_on) \
         VALUES ('{API}', '{HASH}', 'app', 'api_key', {admin}, NOW(), NOW() + INTERVAL 1 HOUR)"
    ));
    assert_eq!(off.status("", &[("X-PIWIGO-API", &key)]), 403, "the header is off unless set");
}

#[test]
fn the_servers_own_user_counts_only_where_piwigo_and_the_server_file_say_so() {
    const UNVERIFIED: &str = "fastcgi_param REMOTE_USER     $http_x_test_user;";
    let (shipped, verified) = remote_user();
    let on = "$conf['apache_authentication'] = true;";
    for (config, param, expected) in [(on, verified, 200), (on, UNVERIFIED, 403), ("", verified, 403)] {
        let setting = Setting::start(config, &[], (&shipped, param));
        assert_eq!(setting.status("", &[("X-Test-User", "bob")]), expected, "{config} {param}");
        assert_eq!(setting.status("", &[("X-Test-User", "BOB")]), 403, "names are compared byte for byte");
        let bob = setting.scene.world.session("bob").cookie_header();
        let unknown = setting.status("", &[("X-Test-User", "nobody-here"), ("Cookie", &bob)]);
        assert_eq!(unknown, if expected == 200 { 403 } else { 200 }, "an unknown name is a guest");
    }
}

#[test]
fn accounts_from_elsewhere_need_no_row_of_their_own() {
    for (config, expected) in [("", 403), ("$conf['external_authentification'] = true;", 200)] {
        let setting = Setting::start(config, &[], ("", ""));
        let bob = setting.scene.world.user("bob");
        let cookie = setting.scene.world.session("bob").cookie_header();
        assert_eq!(setting.status("", &[("Cookie", &cookie)]), 200);
        setting.sql(&format!("DELETE FROM piwigo_user_infos WHERE user_id = {}", bob.id));
        assert_eq!(setting.status("", &[("Cookie", &cookie)]), expected, "{config}");
        setting.sql(&format!("DELETE FROM piwigo_users WHERE id = {}", bob.id));
        assert_eq!(setting.status("", &[("Cookie", &cookie)]), 403, "a deleted account is the guest");
    }
}
