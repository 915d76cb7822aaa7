//! Says what an answer reveals: the bytes of a private file, or facts about the server. Pure. The status
//! does not decide: a themed page with status 200 is no picture, and a picture may come with status 404.

/// An HTTP answer; its body is cut after a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fetched {
    pub(super) status: u16,
    /// Names in lower case, in the order received.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// A file on disk by which answers are recognised.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// The URL path below the gallery, encoded: `/upload/a.jpg`.
    pub(super) uri: String,
    pub(super) start: Vec<u8>,
    pub(super) length: u64,
}

/// What an answer to a visitor without rights means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gist {
    /// Nothing of the file came.
    Closed,
    /// The file, or a picture, came.
    Leak,
    /// The server is in trouble: nothing came, for now.
    Trouble,
}

/// Fewer bytes than this do not identify a file.
const TELLING: usize = 16;

/// Headers that a server passes on only if it does not understand them.
const FOR_THE_SERVER: [&str; 4] = ["x-accel-redirect", "x-sendfile", "x-lighttpd-send-file", "x-sendfile2"];

impl Fetched {
    /// Reads the output of `curl --include`; `None`: it is not an HTTP answer.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, body) = (String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 4..]);
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.strip_prefix("HTTP/")?.split(' ');
        let status: u16 = words.nth(1)?.parse().ok()?;
        if (100..200).contains(&status) {
            return Self::parse(body);
        }
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Fetched { status, headers, body: body.to_vec() })
    }

    /// The first header of this (lower-case) name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers of this name, joined as one.
    pub(super) fn joined(&self, name: &str) -> String {
        let values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        values.collect::<Vec<_>>().join(", ")
    }

    /// Whether `word` is one of the comma-separated words of a header.
    pub(super) fn says(&self, name: &str, word: &str) -> bool {
        self.joined(name).split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
    }

    fn is_sent(&self) -> bool {
        matches!(self.status, 200 | 206)
    }

    fn is_media(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        ["image/", "video/", "audio/"].iter().any(|prefix| kind.starts_with(prefix))
    }

    /// What the answer means if the visitor must not have the file `sample`. Without a sample, any picture
    /// is a leak.
    pub(super) fn gist(&self, sample: Option<&Sample>) -> Gist {
        let length = self.header("content-length").and_then(|length| length.parse::<u64>().ok());
        let same_length = sample.is_some_and(|sample| length == Some(sample.length));
        // The answer to HEAD has no body, but its length reveals the file.
        let told_by_head = self.is_sent() && self.body.is_empty() && same_length && length != Some(0);
        if sample.is_some_and(|sample| sample.is_in(&self.body))
            || self.is_sent() && self.is_media()
            || told_by_head
        {
            Gist::Leak
        } else if matches!(self.status, 500 | 502 | 503 | 504) {
            Gist::Trouble
        } else {
            Gist::Closed
        }
    }

    /// A header that reveals the server's internals: a redirect header that the server did not understand,
    /// or an internal location.
    pub(super) fn redirect_header(&self) -> Option<&str> {
        let is_inside = |(name, value): &&(String, String)| {
            FOR_THE_SERVER.contains(&name.as_str()) || name == "location" && value.contains("/_gate")
        };
        self.headers.iter().find(is_inside).map(|(name, _)| name.as_str())
    }

    /// Whether a header or a page contains this path of the machine.
    pub(super) fn betrays(&self, path: &str) -> bool {
        // Any page may mention a short path such as /srv.
        let is_telling = path.len() > 5 && path.matches('/').count() > 1;
        let in_headers = || self.headers.iter().any(|(_, value)| value.contains(path));
        let in_body =
            || !self.is_media() && self.body.windows(path.len()).any(|window| window == path.as_bytes());
        is_telling && (in_headers() || in_body())
    }

    /// Whether the answer is a list of files that contains one of these names.
    pub(super) fn lists(&self, names: &[String]) -> bool {
        let text = String::from_utf8_lossy(&self.body);
        self.status == 200
            && names.iter().any(|name| {
                [format!("href=\"{name}"), format!("href=\"./{name}"), format!(">{name}")]
                    .iter()
                    .any(|form| text.contains(form.as_str()))
            })
    }
}

impl Sample {
    /// Whether `body` begins like this file.
    pub(super) fn is_in(&self, body: &[u8]) -> bool {
        let common = body.len().min(self.start.len());
        common >= self.start.len().min(TELLING) && common > 0 && body[..common] == self.start[..common]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, kind: &str, body: &[u8]) -> Fetched {
        let headers =
            vec![("content-type".into(), kind.into()), ("content-length".into(), body.len().to_string())];
        Fetched { status, headers, body: body.to_vec() }
    }

    fn sample() -> Sample {
        let start = b"\xff\xd8\xff\xe0 a picture of some length".to_vec();
        Sample { uri: "/upload/a.jpg".into(), length: start.len() as u64, start }
    }

    #[test]
    fn the_bytes_are_the_leak_and_not_the_status() {
        let (file, page) = (sample(), b"<html>no such page</html>");
        let part = &file.start[..20];
        let table = [
            (answer(200, "image/jpeg", &file.start), Gist::Leak),
            (answer(404, "text/html", &file.start), Gist::Leak),
            (answer(206, "application/octet-stream", part), Gist::Leak),
            (answer(200, "image/png", b"another picture"), Gist::Leak),
            (answer(200, "text/html", page), Gist::Closed),
            (answer(200, "text/plain", &file.start[..4]), Gist::Closed),
            (answer(403, "image/png", b"a grey padlock"), Gist::Closed),
            (answer(403, "text/plain", b"Forbidden\n"), Gist::Closed),
            (answer(200, "text/plain", b""), Gist::Closed),
            (answer(302, "text/html", b""), Gist::Closed),
            (answer(503, "text/html", page), Gist::Trouble),
            (answer(502, "text/html", &file.start), Gist::Leak),
        ];
        for (answer, expected) in table {
            assert_eq!(answer.gist(Some(&file)), expected, "{answer:?}");
        }
        let mut head = answer(200, "application/octet-stream", &file.start);
        head.body.clear();
        assert_eq!(head.gist(Some(&file)), Gist::Leak, "HEAD tells the length");
        let short = Sample { start: b"short\n".to_vec(), length: 6, uri: String::new() };
        assert_eq!(answer(200, "text/plain", b"short\n").gist(Some(&short)), Gist::Leak);
        assert_eq!(answer(200, "text/plain", b"").gist(Some(&short)), Gist::Closed);
        assert_eq!(answer(200, "text/plain", b"sho").gist(Some(&short)), Gist::Closed);
    }

    #[test]
    fn what_curl_prints() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 Partial Content\r\nVary: Cookie\r\nvary:  Accept\r\n\r\n\0body";
        let read = Fetched::parse(text).unwrap();
        assert_eq!(
            (read.status, read.joined("vary").as_str(), &read.body[..]),
            (206, "Cookie, Accept", &b"\0body"[..])
        );
        assert!(read.says("vary", "cookie") && !read.says("vary", "accept-encoding"));
        assert_eq!(Fetched::parse(b"HTTP/2 200\r\n\r\n").map(|answer| answer.status), Some(200));
        for broken in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n"] {
            assert_eq!(Fetched::parse(broken), None);
        }
    }

    #[test]
    fn what_betrays_the_inside() {
        let with = |name: &str, value: &str| Fetched {
            headers: vec![(name.into(), value.into())],
            ..Fetched::default()
        };
        let table = [
            (with("x-accel-redirect", "/_gate/file/a"), Some("x-accel-redirect")),
            (with("location", "https://h/_gate/file/upload/"), Some("location")),
            (with("location", "/identification.php"), None),
            (with("x-other", "/_gate"), None),
        ];
        for (answer, expected) in table {
            assert_eq!(answer.redirect_header(), expected, "{answer:?}");
        }
        let root = "/var/www/piwigo";
        assert!(with("x-debug", "in /var/www/piwigo/i.php").betrays(root));
        assert!(answer(403, "text/html", b"Warning: /var/www/piwigo/x.php on line 1").betrays(root));
        assert!(!answer(200, "image/jpeg", b"/var/www/piwigo/x.php").betrays(root));
        assert!(!answer(403, "text/html", b"see /srv for more").betrays("/srv"));
    }

    #[test]
    fn a_list_of_files() {
        let names = ["2026".to_owned()];
        for (status, text, expected) in [
            (200, "<h1>Index of /upload/</h1><a href=\"2026/\">2026/</a>", true),
            (200, "<td><a href=\"./2026/\">x</a>", true),
            (200, "<p>since 2026</p>", false),
            (403, "<a href=\"2026/\">", false),
        ] {
            assert_eq!(answer(status, "text/html", text.as_bytes()).lists(&names), expected, "{text}");
        }
    }
}
