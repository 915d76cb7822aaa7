use super::*;

fn header_block(reply: &Reply) -> String {
    let mut head = Vec::new();
    reply.encode(false, &mut head);
    String::from_utf8(head).unwrap()
}

fn allowed(handover: Handover) -> Reply {
    Reply::Allowed { handover, cache: "private, max-age=600".into(), disposition: None }
}

const REDIRECTS: [&str; 3] = ["X-Accel-Redirect:", "X-Sendfile:", "Location:"];

fn every_refusal() -> Vec<Reply> {
    vec![
        Reply::Refused(DenyStatus::Forbidden),
        Reply::Refused(DenyStatus::Unauthorized),
        Reply::Refused(DenyStatus::NotFound),
        Reply::RefusedByPicture(DenyStatus::Forbidden),
        Reply::RefusedByPicture(DenyStatus::NotFound),
        Reply::Missing,
        Reply::MethodNotAllowed,
        Reply::Unavailable,
        Reply::GalleryLocked,
        Reply::HeadersTooLarge,
        Reply::BadRequest,
    ]
}

#[test]
fn a_refusal_never_carries_a_redirect_header() {
    for reply in every_refusal() {
        let text = header_block(&reply);
        assert!(!REDIRECTS.iter().any(|header| text.contains(header)), "{text}");
        assert!(text.starts_with(&format!("Status: {} ", reply.status())), "{text}");
        assert!(text.contains("Content-Length: ") && text.contains("Cache-Control: no-store\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n"), "{text}");
    }
}

#[test]
fn an_allowed_file_has_exactly_one_redirect_header_and_status_200() {
    let path = "upload/a b%?#é+.jpg".to_owned();
    let prefix = "/piwigo".to_owned();
    let derivative = "upload/a b&é-th.jpg".to_owned();
    let table = [
        (
            Handover::AccelFile { path: path.clone() },
            "X-Accel-Redirect: /_gate/file/upload/a%20b%25%3F%23%C3%A9%2B.jpg\r\n",
        ),
        (
            Handover::AccelFile { path: "../ext/a b.jpg".into() },
            "X-Accel-Redirect: /_gate/parent/ext/a%20b.jpg\r\n",
        ),
        (
            Handover::AccelIPhp { derivative: derivative.clone(), asks_for_address: false },
            "X-Accel-Redirect: /_gate/i.php?/upload/a%20b%26%C3%A9-th.jpg\r\n",
        ),
        (
            Handover::AccelIPhp { derivative: derivative.clone(), asks_for_address: true },
            "X-Accel-Redirect: /_gate/i.php?/upload/a%20b%26%C3%A9-th.jpg&ajaxload=true\r\n",
        ),
        (
            Handover::LocalFile { prefix: prefix.clone(), path: path.clone() },
            "Location: /piwigo/upload/a%20b%25%3F%23%C3%A9%2B.jpg\r\n",
        ),
        (
            Handover::LocalIPhp {
                prefix: prefix.clone(),
                derivative: derivative.clone(),
                asks_for_address: false,
            },
            "Location: /piwigo/i.php?/upload/a%20b%26%C3%A9-th.jpg\r\n",
        ),
        (
            Handover::LocalIPhp { prefix: prefix.clone(), derivative, asks_for_address: true },
            "Location: /piwigo/i.php?/upload/a%20b%26%C3%A9-th.jpg&ajaxload=true\r\n",
        ),
        (
            Handover::AccelActionPhp { query: b"id=1&part=e&x=%41 \xff\r\n#".to_vec() },
            "X-Accel-Redirect: /_gate/action.php?id=1&part=e&x=%41%20%FF%0D%0A%23\r\n",
        ),
        (Handover::AccelActionPhp { query: Vec::new() }, "X-Accel-Redirect: /_gate/action.php\r\n"),
        (
            Handover::LocalActionPhp { prefix, query: b"id=1&part=e".to_vec() },
            "Location: /piwigo/action.php?id=1&part=e\r\n\r\n",
        ),
        (
            Handover::Sendfile {
                path: "/srv/g/upload/a b%.jpg".into(),
                length: 16,
                modified: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1),
            },
            "X-Sendfile: /srv/g/upload/a b%.jpg\r\nContent-Type: image/jpeg\r\n\
             ETag: \"f4240-10\"\r\nLast-Modified: Thu, 01 Jan 1970 00:00:01 GMT\r\n",
        ),
        (
            Handover::SendfileEncoded { path: "/srv/g/upload/a b%20é.jpg".into() },
            "X-Sendfile: /srv/g/upload/a%20b%2520%C3%A9.jpg\r\nContent-Type: image/jpeg\r\n",
        ),
    ];
    for (handover, expected) in table {
        let text = header_block(&allowed(handover));
        assert!(text.starts_with("Status: 200 OK\r\n"), "{text}");
        assert!(text.contains(expected), "{text} lacks {expected}");
        assert_eq!(REDIRECTS.iter().map(|h| text.matches(h).count()).sum::<usize>(), 1, "{text}");
    }
}

#[test]
fn an_authorizer_hears_200_403_or_503_only() {
    for reply in every_refusal() {
        assert!(matches!(reply.clone().for_authorizer().status(), 403 | 503));
        let text = header_block(&reply.for_authenticator());
        assert!(!text.contains("Variable-") && !text.starts_with("Status: 200"), "{text}");
    }
    let text = header_block(&allowed(Handover::AccelFile { path: "x".into() }).for_authorizer());
    assert!(!REDIRECTS.iter().any(|header| text.contains(header)), "{text}");
}

#[test]
fn a_yes_is_known_as_the_gates_and_names_its_file_where_that_is_wanted() {
    let head = "X-Piwigo-Gate-File: ";
    for (handover, expected) in [
        (Handover::AccelFile { path: "upload/a b.jpg".into() }, Some("yes")),
        (Handover::AccelFile { path: "../photos/a.jpg".into() }, Some("yes")),
        (Handover::AccelIPhp { derivative: "upload/a-th.jpg".into(), asks_for_address: false }, Some("yes")),
        (Handover::Address(PictureAddress::of("", "upload/a.jpg")), None),
        (Handover::Authorized { file: Some("upload/a b%.jpg".into()) }, Some("upload/a b%.jpg")),
        (Handover::Authorized { file: None }, None),
    ] {
        let reply = allowed(handover);
        let said = |text: &str| text.lines().find_map(|line| line.strip_prefix(head)).map(str::to_owned);
        assert_eq!(said(&header_block(&reply)).as_deref(), expected, "{reply:?}");
        // A second reduction changes nothing, and the answer for an authorizer holds no path but that one.
        let asked = reply.clone().for_authorizer().for_authorizer();
        let named = expected.filter(|name| *name != "yes");
        assert_eq!(said(&header_block(&asked)).as_deref(), named, "{reply:?}");
    }
    for reply in every_refusal() {
        assert!(!header_block(&reply).contains(head), "{reply:?}");
    }
}

/// A `Cache-Control` in the hand-over would also go out with an error of PHP's.
#[test]
fn nginx_is_told_apart_what_browsers_may_keep_where_it_says_it_itself() {
    let cache = Cache { control: "private, max-age=600".into(), is_apart: true };
    let (own, usual) = ("\r\nX-Piwigo-Gate-Cache: private, max-age=600", "\r\nCache-Control: private");
    let i_php = Handover::AccelIPhp { derivative: "upload/a-th.jpg".into(), asks_for_address: false };
    for (handover, is_apart) in [
        (Handover::AccelFile { path: "upload/a.jpg".into() }, true),
        (i_php, true),
        (Handover::Authorized { file: None }, false),
        (Handover::LocalFile { prefix: String::new(), path: "upload/a.jpg".into() }, false),
    ] {
        let reply = Reply::Allowed { handover, cache: cache.clone(), disposition: None };
        let text = header_block(&reply);
        assert_eq!((text.contains(own), text.contains(usual)), (is_apart, !is_apart), "{text}");
    }
}

#[test]
fn a_header_holds_no_blank_at_either_end_and_no_control_character() {
    for (name, fits) in
        [("a b", true), ("été%?\"'", true), (" a", false), ("a ", false), ("a\nb", false), ("a\u{7f}", false)]
    {
        assert_eq!(fits_a_header(name), fits, "{name:?}");
    }
}

#[test]
fn a_picture_of_a_refusal_has_its_status_and_is_not_kept() {
    for (status, line) in [(DenyStatus::Forbidden, "403 "), (DenyStatus::NotFound, "404 ")] {
        let mut head = Vec::new();
        let body = Reply::RefusedByPicture(status).encode(false, &mut head);
        let text = String::from_utf8(head).unwrap();
        assert!(body.starts_with(b"\x89PNG\r\n") && body.len() < 2048);
        assert!(text.starts_with(&format!("Status: {line}")), "{text}");
        assert!(text.contains("Content-Type: image/png\r\n") && text.contains("no-store"), "{text}");
        assert!(text.contains(&format!("Content-Length: {}\r\n", body.len())), "{text}");
    }
}

/// With status 302 the browser gets the answer: only a 200 (or no status) is a local redirect.
#[test]
fn the_way_to_the_sign_in_page_is_no_local_redirect() {
    let text = header_block(&Reply::SignIn { location: "/identification.php?redirect=x".into() });
    assert!(text.starts_with("Status: 302 Found\r\nLocation: /identification.php?redirect=x\r\n"), "{text}");
    assert!(text.contains("Cache-Control: no-store\r\n"), "{text}");
    let asked = Reply::SignIn { location: "/x".into() }.for_authorizer();
    assert_eq!(asked, Reply::Refused(DenyStatus::Forbidden));
}

#[test]
fn head_gets_the_same_header_block_and_no_body() {
    let reply = Reply::Refused(DenyStatus::Forbidden);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    assert_eq!(reply.encode(false, &mut with), b"Forbidden\n");
    assert_eq!(reply.encode(true, &mut without), b"");
    assert_eq!(with, without);
}

#[test]
fn what_could_run_as_a_page_is_an_attachment() {
    let modified = SystemTime::UNIX_EPOCH;
    let claim = |file: &str| crate::http::disposition::Disposition::named(file, false);
    for (path, saved_by_nginx, saved_by_sendfile) in [
        ("a.svg", true, true),
        ("a.html", true, true),
        ("a.HTM", true, true),
        ("a.xml", true, true),
        ("a.xhtml", true, true),
        ("a.cr2", false, true),
        ("a.JPG", false, false),
        ("a.mp4", false, false),
        ("a.vtt", false, false),
    ] {
        let handovers = [
            (Handover::AccelFile { path: path.into() }, saved_by_nginx),
            (Handover::LocalFile { prefix: String::new(), path: path.into() }, saved_by_nginx),
            (Handover::Sendfile { path: path.into(), length: 1, modified }, saved_by_sendfile),
            (Handover::SendfileEncoded { path: path.into() }, saved_by_sendfile),
        ];
        for (handover, saved) in handovers {
            let by_path = header_block(&allowed(handover.clone()));
            assert_eq!(by_path.contains("Content-Disposition: attachment\r\n"), saved, "{by_path}");
            let by_number = header_block(&allowed(handover).named(claim(path)));
            let expected = if saved { "attachment" } else { "inline" };
            let line = format!("Content-Disposition: {expected}; filename=\"{path}\"\r\n");
            assert!(by_number.contains(&line), "{by_number}");
            assert_eq!(by_number.matches("Content-Disposition").count(), 1, "{by_number}");
        }
    }
}
