use super::*;

fn encode(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in pairs {
        for part in [name, value] {
            bytes.extend_from_slice(&(0x8000_0000u32 | part.len() as u32).to_be_bytes());
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes
}

const GOOD: [(&str, &str); 3] =
    [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/upload/a.jpg?x"), ("REMOTE_ADDR", "192.0.2.7")];

fn with<'a>(extra: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    GOOD.iter().copied().chain(extra.iter().copied()).collect()
}

#[test]
fn reads_what_a_verdict_needs() {
    let bytes = encode(&with(&[
        ("SERVER_SOFTWARE", "nginx/1.22.1"),
        ("GATE_DELIVER", "x-accel-redirect"),
        ("HTTP_COOKIE", "a=1"),
        ("HTTP_COOKIE", "pwg_id=x"),
    ]));
    let params = Params::parse(&bytes).unwrap();
    let request = Request::from_params(Role::Responder, &params).unwrap();
    assert_eq!(request.method, Method::Get);
    assert_eq!(request.uri, b"/upload/a.jpg?x");
    assert_eq!(&*request.cookies, b"a=1; pwg_id=x");
    assert_eq!(request.remote_addr, "192.0.2.7");
    assert_eq!(request.server, Server::Nginx);
    assert_eq!(request.deliver, Some(SendMode::XAccelRedirect));
}

#[test]
fn piwigos_own_fetch_is_known_by_address_name_and_want_of_a_cookie() {
    for (client, server, agent, cookie, is_own) in [
        ("127.0.0.1", "", "Piwigo", "", true),
        ("127.8.9.1", "192.0.2.1", "Piwigo", "", true),
        ("::1", "", "Piwigo", "", true),
        ("::ffff:127.0.0.1", "", "Piwigo", "", true),
        ("192.0.2.1", "192.0.2.1", "Piwigo", "", true),
        ("192.0.2.1", "::ffff:192.0.2.1", "Piwigo", "", true),
        ("192.0.2.1", "192.0.2.2", "Piwigo", "", false),
        ("192.0.2.1", "", "Piwigo", "", false),
        ("192.0.2.1", "x", "Piwigo", "", false),
        ("127.0.0.1", "", "Piwigo/2", "", false),
        ("127.0.0.1", "", "", "", false),
        ("127.0.0.1", "", "Piwigo", "pwg_id=x", false),
    ] {
        let bytes = encode(&with(&[
            ("REMOTE_ADDR", client),
            ("SERVER_ADDR", server),
            ("HTTP_USER_AGENT", agent),
            ("HTTP_COOKIE", cookie),
        ]));
        let request = Request::from_params(Role::Responder, &Params::parse(&bytes).unwrap()).unwrap();
        assert_eq!(request.is_piwigos_own, is_own, "{client} {server} {agent} {cookie}");
    }
}

#[test]
fn the_last_of_a_doubled_name_wins() {
    let bytes = encode(&with(&[("REMOTE_ADDR", "192.0.2.9"), ("REQUEST_METHOD", "POST")]));
    let request = Request::from_params(Role::Responder, &Params::parse(&bytes).unwrap()).unwrap();
    assert_eq!((request.remote_addr, request.method), ("192.0.2.9", Method::Other));
}

#[test]
fn wishes_are_read_as_they_came_and_an_empty_one_is_none() {
    let bytes = encode(&with(&[
        ("HTTP_RANGE", "bytes=0-1"),
        ("HTTP_RANGE", " bytes=5-6"),
        ("HTTP_IF_RANGE", "\"a\""),
        ("HTTP_IF_MATCH", ""),
        ("HTTP_IF_NONE_MATCH", "*"),
        ("HTTP_IF_MODIFIED_SINCE", "x"),
    ]));
    let request = Request::from_params(Role::Responder, &Params::parse(&bytes).unwrap()).unwrap();
    let expected = Conditions {
        range: Some(b"bytes=5-6"),
        if_range: Some(b"\"a\""),
        if_none_match: Some(b"*"),
        if_modified_since: Some(b"x"),
        ..Conditions::default()
    };
    assert_eq!((request.conditions, request.is_continuation), (expected, true));
}

#[test]
fn http_variables_never_configure_the_gate() {
    let bytes = encode(&with(&[
        ("HTTP_GATE_DELIVER", "authorize"),
        ("HTTP_GATE_URL_PREFIX", "/x"),
        ("REDIRECT_GATE_URL_PREFIX", "/x"),
        ("HTTP_REMOTE_ADDR", "10.0.0.1"),
    ]));
    let request = Request::from_params(Role::Responder, &Params::parse(&bytes).unwrap()).unwrap();
    assert_eq!((request.deliver, request.url_prefix, request.remote_addr), (None, None, "192.0.2.7"));
}

#[test]
fn the_servers_file_may_say_where_the_gallery_is() {
    for (word, expected) in [("/piwigo", Some("/piwigo")), ("/a/b/", Some("/a/b")), ("", None), ("/", None)] {
        let bytes = encode(&with(&[("GATE_URL_PREFIX", word)]));
        let params = Params::parse(&bytes).unwrap();
        let request = Request::from_params(Role::Responder, &params).unwrap();
        assert_eq!(request.url_prefix, expected, "{word}");
    }
}

#[test]
fn nothing_that_a_visitor_sends_makes_an_authorizer_one_of_apaches() {
    for (name, expected) in [("FCGI_APACHE_ROLE", true), ("HTTP_FCGI_APACHE_ROLE", false)] {
        let bytes = encode(&with(&[(name, "ACCESS_CHECKER")]));
        let params = Params::parse(&bytes).unwrap();
        let request = Request::from_params(Role::Authorizer, &params).unwrap();
        assert_eq!(request.by_apache_role, expected, "{name}");
    }
}

#[test]
fn a_file_is_named_where_the_servers_own_file_says_so() {
    for (name, value, expected) in [
        ("GATE_NAMES_FILE", "yes", true),
        ("GATE_NAMES_FILE", "no", false),
        ("HTTP_GATE_NAMES_FILE", "yes", false),
    ] {
        let bytes = encode(&with(&[(name, value)]));
        let params = Params::parse(&bytes).unwrap();
        let request = Request::from_params(Role::Responder, &params).unwrap();
        assert_eq!(request.names_file, expected, "{name}={value}");
    }
}

#[test]
fn what_browsers_may_keep_is_said_apart_where_the_servers_own_file_says_so() {
    for (name, value, expected) in
        [("GATE_CACHE", "apart", true), ("GATE_CACHE", "", false), ("HTTP_GATE_CACHE", "apart", false)]
    {
        let bytes = encode(&with(&[(name, value)]));
        let params = Params::parse(&bytes).unwrap();
        let request = Request::from_params(Role::Responder, &params).unwrap();
        assert_eq!(request.cache_apart, expected, "{name}={value}");
    }
}

#[test]
fn a_name_is_wanted_by_mod_authnz_fcgi_only() {
    type Row<'a> = (Role, &'a [(&'a str, &'a str)], Question);
    let (apache, role) = (("FCGI_APACHE_ROLE", "AUTHENTICATOR"), ("FCGI_ROLE", "AUTHORIZER"));
    let authorize = ("GATE_DELIVER", "authorize");
    let visitors = ("HTTP_FCGI_ROLE", "AUTHORIZER");
    let table: [Row; 8] = [
        (Role::Responder, &[], Question::Which),
        (Role::Responder, &[apache, role], Question::Which),
        (Role::Responder, &[authorize], Question::Whether),
        (Role::Responder, &[authorize, apache, role], Question::Whether),
        (Role::Authorizer, &[], Question::Whether),
        (Role::Authorizer, &[apache, visitors], Question::Whether),
        (Role::Authorizer, &[("FCGI_APACHE_ROLE", "ACCESS_CHECKER"), role], Question::Whether),
        (Role::Authorizer, &[apache, role], Question::Who),
    ];
    for (fastcgi_role, pairs, expected) in table {
        let bytes = encode(pairs);
        let params = Params::parse(&bytes).unwrap();
        assert_eq!(Question::of(fastcgi_role, &params), expected, "{fastcgi_role:?} {pairs:?}");
    }
}

#[test]
fn only_the_servers_own_file_says_that_a_path_is_taken_as_it_stands() {
    type Row<'a> = (&'a [(&'a str, &'a str)], bool);
    let table: [Row; 6] = [
        (&[], false),
        (&[("GATE_XSENDFILE", "raw")], true),
        (&[("GATE_XSENDFILE", "")], false),
        (&[("GATE_XSENDFILE", "decoded")], false),
        (&[("HTTP_GATE_XSENDFILE", "raw")], false),
        (&[("GATE_XSENDFILE", "raw"), ("GATE_XSENDFILE", "")], false),
    ];
    for (extra, expected) in table {
        let bytes = encode(&with(extra));
        let params = Params::parse(&bytes).unwrap();
        let request = Request::from_params(Role::Responder, &params).unwrap();
        assert_eq!(request.sendfile_is_raw, expected, "{extra:?}");
    }
}

#[test]
fn remote_user_counts_only_where_the_server_file_says_it_is_verified() {
    type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a [u8]>);
    let table: [Row; 6] = [
        (&[("REMOTE_USER", "bob")], None),
        (&[("REMOTE_USER", "bob"), ("GATE_REMOTE_USER", "")], None),
        (&[("REMOTE_USER", "bob"), ("HTTP_GATE_REMOTE_USER", "verified")], None),
        (&[("REMOTE_USER", "bob"), ("GATE_REMOTE_USER", "verified")], Some(b"bob")),
        (&[("REDIRECT_REMOTE_USER", "bob"), ("GATE_REMOTE_USER", "verified")], Some(b"bob")),
        (&[("REMOTE_USER", ""), ("GATE_REMOTE_USER", "verified")], None),
    ];
    for (extra, expected) in table {
        let bytes = encode(&with(extra));
        let params = Params::parse(&bytes).unwrap();
        let request = Request::from_params(Role::Responder, &params).unwrap();
        assert_eq!(request.remote_user, expected, "{extra:?}");
    }
}

/// If the front end connects over a unix socket, nginx passes `unix:`, Caddy `@`, and some hosts the path of
/// the socket.
#[test]
fn an_address_need_not_be_an_ip_address() {
    for address in ["192.0.2.7", "2001:db8::1", "fe80::1%eth0", "unix:", "@", "/srv/mp/socket"] {
        let bytes = encode(&[("REQUEST_URI", "/"), ("REMOTE_ADDR", address)]);
        let params = Params::parse(&bytes).unwrap();
        let request = Request::from_params(Role::Responder, &params).unwrap();
        assert_eq!(request.remote_addr, address);
    }
}

#[test]
fn what_is_missing_or_too_long_is_named() {
    let long = format!("/{}", "a".repeat(MAX_URI));
    let cookie = "c".repeat(MAX_COOKIES + 1);
    let table: [(&[(&str, &str)], Malformed); 9] = [
        (&[("REMOTE_ADDR", "192.0.2.7")], Malformed::NoUri),
        (&[("REQUEST_URI", &long), ("REMOTE_ADDR", "192.0.2.7")], Malformed::LongUri),
        (&[("REQUEST_URI", "/"), ("HTTP_COOKIE", &cookie)], Malformed::LongCookies),
        (&[("REQUEST_URI", "/")], Malformed::NoAddress),
        (&[("REQUEST_URI", "/"), ("REMOTE_ADDR", "192.0.2.7 client=1")], Malformed::NoAddress),
        (&[("REQUEST_URI", "/"), ("REMOTE_ADDR", "192.0.2.7\nx")], Malformed::NoAddress),
        (&[("REQUEST_URI", "/"), ("REMOTE_ADDR", &long)], Malformed::NoAddress),
        (
            &[("REQUEST_URI", "/"), ("REMOTE_ADDR", "::1"), ("GATE_DELIVER", "allow")],
            Malformed::UnknownDeliver,
        ),
        (
            &[("REQUEST_URI", "/"), ("REMOTE_ADDR", "::1"), ("GATE_URL_PREFIX", "piwigo")],
            Malformed::UrlPrefix,
        ),
    ];
    for (pairs, expected) in table {
        let bytes = encode(pairs);
        let got = Request::from_params(Role::Responder, &Params::parse(&bytes).unwrap()).unwrap_err();
        assert_eq!(got, expected, "{pairs:?}");
    }
}
