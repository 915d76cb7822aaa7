//! Reads URLs that name a file by a script: `i.php`, `action.php`, and the links that the plugin
//! piwigo-privacy puts into pages. One request names one file: a second path or a repeated parameter is
//! refused.

use super::{BadUri, Part, Record, Target, canonical, decode, decode_once};
use crate::piwigo::layout::Layout;

pub(super) fn is_script(first_segment: &str) -> bool {
    matches!(first_segment, "i.php" | "i" | "action.php")
}

/// The derivative that a request for `i.php` or `i` names, in its four spellings (docs/spec/piwigo.md §4.5
/// and §5.3), or `None` if the path is not that script's.
pub(super) fn i_php_request(path: &str, query: &[u8]) -> Result<Option<String>, BadUri> {
    let (script, tail) = match path.split_once('/') {
        Some((script, tail)) => (script, Some(tail)),
        None => (path, None),
    };
    if !is_script(script) {
        return Ok(None);
    }
    // `Target::read` has already handled `action.php` without a tail.
    if script == "action.php" {
        return Err(BadUri::Ambiguous);
    }
    let (first, rest) = match query.iter().position(|&byte| byte == b'&') {
        Some(at) => (&query[..at], &query[at + 1..]),
        None => (query, &b""[..]),
    };
    // No browser sends a second `?` unencoded. The text after it is not part of a name, and may hold a key.
    if first.contains(&b'?') {
        return Err(BadUri::Path);
    }
    let named_by_query = first.starts_with(b"/") || (!first.is_empty() && !first.contains(&b'='));
    let requested = match (tail, named_by_query) {
        (Some(_), true) => return Err(BadUri::Ambiguous),
        (Some(tail), false) => {
            parameters(query)?;
            tail.to_owned()
        }
        (None, true) => {
            parameters(rest)?;
            let decoded = decode(first)?;
            decoded.trim_start_matches('/').to_owned()
        }
        (None, false) => return Err(BadUri::Path),
    };
    canonical(&requested)?;
    Ok(Some(requested))
}

/// The directory of the plugin piwigo-privacy. Its links stay valid after the plugin was removed.
const PRIVACY_PLUGIN: &str = "plugins/piwigo_privacy/";

/// The row and the path (or `i.php?/` and a derivative's name) in a link of piwigo-privacy
/// (docs/spec/piwigo.md §4.5), or `None` if it is no such link.
pub(super) fn privacy_request(
    path: &str,
    query: &[u8],
    layout: &Layout,
) -> Result<Option<(u32, String)>, BadUri> {
    if let Some((row, named)) = numbered(path, layout) {
        return Ok(Some((number(row.as_bytes())?, named.to_owned())));
    }
    match path.strip_prefix(PRIVACY_PLUGIN) {
        None => return Ok(None),
        Some("get.php") => {}
        Some(_) => return Err(BadUri::Private),
    }
    let (mut row, mut named) = (None, None);
    for (name, value) in plain_parameters(query)? {
        match name {
            b"img_id" => row = Some(number(value)?),
            // Pages contain the path as it is, not encoded as a query's value: a `+` is a plus sign.
            b"file" => named = Some(decode(value)?),
            _ => {}
        }
    }
    let (row, named) = row.zip(named).ok_or(BadUri::Record)?;
    Ok(Some((row, named.strip_prefix("./").unwrap_or(&named).to_owned())))
}

/// Whether a path relative to the gallery is a link of the plugin.
pub(super) fn is_privacy_link(path: &str, layout: &Layout) -> bool {
    path.starts_with(PRIVACY_PLUGIN) || numbered(path, layout).is_some()
}

/// Splits `<id>/<path>`, the form of piwigo-privacy's links if the web server sends the files.
fn numbered<'a>(path: &'a str, layout: &Layout) -> Option<(&'a str, &'a str)> {
    let (row, named) = path.split_once('/')?;
    let is_number = !row.is_empty() && row.bytes().all(|byte| byte.is_ascii_digit());
    // Other directories with numbers for names, such as years, may belong to the gallery.
    let is_guarded =
        ["upload/", "galleries/", &layout.derivative_dir].iter().any(|&at| named.starts_with(at));
    (is_number && is_guarded).then_some((row, named))
}

impl Target {
    /// Whether `uri` asks for `action.php` in the one spelling that the gate answers, with any query.
    pub fn is_download_script(uri: &[u8], layout: &Layout) -> bool {
        // nginx leaves `#…` in REQUEST_URI but cuts it off the path that it serves.
        let path = uri.split(|&byte| byte == b'?').next().unwrap_or_default();
        !uri.contains(&b'#')
            && decode_once(path).is_ok_and(|path| {
                path.strip_prefix(&layout.url_prefix).is_some_and(|path| path == "/action.php")
            })
    }
}

impl Target {
    /// Whether `uri` asks for `i.php` or `i` with `ajaxload=true` in its query: a script of Piwigo's pages
    /// then asks for the URL of the resized picture (docs/spec/piwigo.md §5.3, step 7). The query is read as
    /// PHP reads it into `$_GET`.
    pub fn asks_for_address(uri: &[u8], layout: &Layout) -> bool {
        let mut halves = uri.splitn(2, |&byte| byte == b'?');
        let path = halves.next().unwrap_or_default();
        let query = halves.next().unwrap_or_default();
        let is_i_php = || {
            decode_once(path).is_ok_and(|path| {
                let path = path.strip_prefix(&layout.url_prefix).and_then(|path| path.strip_prefix('/'));
                path.is_some_and(|path| matches!(path.split('/').next(), Some("i.php" | "i")))
            })
        };
        // If two parameters have the same name, PHP keeps the last.
        let said = query.rsplit(|&byte| byte == b'&').find_map(|parameter| {
            let mut halves = parameter.splitn(2, |&byte| byte == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            // A plus sign is a space, and PHP removes spaces at the start of a name.
            let blanks = name.iter().take_while(|&&byte| byte == b'+').count();
            (&name[blanks..] == b"ajaxload").then_some(value)
        });
        // The query is checked first, because few requests have this parameter and the path need not be
        // decoded again for the others.
        said.is_some_and(|value| decode(value).is_ok_and(|value| value == "true")) && is_i_php()
    }
}

/// Reads the query of `action.php`. Piwigo's other parameters (`pwg_token`, `auth`, `b`) name no file.
pub(super) fn record(query: &[u8]) -> Result<Record, BadUri> {
    let (mut id, mut part, mut format, mut download) = (None, None, None, false);
    for (name, value) in plain_parameters(query)? {
        match name {
            b"id" => id = Some(number(value)?),
            b"format" => format = Some(number(value)?),
            b"part" => part = Some(value),
            b"download" => download = true,
            _ => {}
        }
    }
    let part = match (format, id, part) {
        (Some(format), image, None | Some(b"f")) => Part::Format { format, image },
        (Some(_), ..) => return Err(BadUri::Ambiguous),
        (None, Some(id), Some(b"e")) => Part::Element(id),
        (None, Some(id), Some(b"r")) => Part::Representative(id),
        // Piwigo finds no file for `part=f` alone either.
        _ => return Err(BadUri::Record),
    };
    Ok(Record { part, download })
}

/// A parameter's name and raw value.
type Parameter<'a> = (&'a [u8], &'a [u8]);

/// Splits a query into names and raw values. Each name must be plain and occur once, because PHP reads
/// `i%64`, `id[]` and `+id` as `id`.
fn plain_parameters(query: &[u8]) -> Result<Vec<Parameter<'_>>, BadUri> {
    parameters(query)?;
    let plain = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    query
        .split(|&byte| byte == b'&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| {
            let mut halves = parameter.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default();
            if plain(name) { Ok((name, halves.next().unwrap_or_default())) } else { Err(BadUri::Ambiguous) }
        })
        .collect()
}

/// Most digits of an id; the ids in Piwigo's tables have at most ten.
const MAX_DIGITS: usize = 10;

fn number(text: &[u8]) -> Result<u32, BadUri> {
    let plain = (1..=MAX_DIGITS).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| plain);
    text.and_then(|text| text.parse().ok()).ok_or(BadUri::Record)
}

/// Checks the parameters after the path: each name occurs at most once and contains no path, because a second
/// path would be a second file in one request.
fn parameters(query: &[u8]) -> Result<(), BadUri> {
    let mut seen: Vec<&[u8]> = Vec::new();
    for parameter in query.split(|&byte| byte == b'&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split(|&byte| byte == b'=').next().unwrap_or_default();
        if name.contains(&b'/') || name.contains(&b'%') || seen.contains(&name) || seen.len() > 16 {
            return Err(BadUri::Ambiguous);
        }
        seen.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout {
            url_prefix: "/p".into(),
            derivative_dir: "_data/i/".into(),
            data_dir: "_data/".into(),
            parent_sites: Vec::new(),
        }
    }

    #[test]
    fn a_script_asks_for_an_address_as_piwigos_i_php_reads_its_query() {
        let layout = layout();
        for (uri, asks) in [
            ("/p/i.php?/upload/a-th.jpg&ajaxload=true", true),
            ("/p/i?/upload/a-th.jpg&b=17&ajaxload=true&_=1", true),
            ("/p/i.php/upload/a-th.jpg?ajaxload=true", true),
            ("/p/i/upload/a-th.jpg?ajaxload=true", true),
            ("/p/%69.php?/upload/a-th.jpg&ajaxload=%74rue", true),
            ("/p/i.php?/upload/a-th.jpg&+ajaxload=true", true),
            ("/p/i.php?/upload/a-th.jpg&ajaxload=false&+ajaxload=true", true),
            ("/p/i.php?/upload/a-th.jpg&ajaxload=true&+ajaxload=", false),
            ("/p/i.php?/upload/a-th.jpg&ajaxload=true&+ajaxload", false),
            ("/p/i.php?/upload/a-th.jpg", false),
            ("/p/i.php?/upload/a-th.jpg&ajaxload", false),
            ("/p/i.php?/upload/a-th.jpg&ajaxload=1", false),
            ("/p/i.php?/upload/a-th.jpg&ajaxload=TRUE", false),
            ("/p/i.php?/upload/a-th.jpg&ajaxload=true+", false),
            ("/p/i.php?/upload/a-th.jpg&ajaxload[]=true", false),
            ("/p/i.php?/upload/a-th.jpg&ajaxload=true%00", false),
            ("/p/i.php?/upload/a-th.jpg&x=ajaxload=true", false),
            ("/p/i.php/upload/a-th.jpg&ajaxload=true", false),
            // The web server sends a file here, whatever the query says.
            ("/p/_data/i/upload/a-th.jpg?ajaxload=true", false),
            ("/p/action.php?id=1&part=e&ajaxload=true", false),
            ("/i.php?/upload/a-th.jpg&ajaxload=true", false),
        ] {
            assert_eq!(Target::asks_for_address(uri.as_bytes(), &layout), asks, "{uri}");
        }
    }

    #[test]
    fn only_one_spelling_is_the_download_script() {
        let layout = layout();
        let is = |uri: &str| Target::is_download_script(uri.as_bytes(), &layout);
        for uri in
            ["/p/action.php", "/p/action.php?", "/p/action.php?id=1&id=2&/x=%00", "/p/%61ction.php?id=1"]
        {
            assert!(is(uri), "{uri}");
        }
        for uri in [
            "/action.php",
            "/p/action.php/",
            "/p/Action.php",
            "/p//action.php",
            "/p/action.php#?x",
            "/p?/action.php",
        ] {
            assert!(!is(uri), "{uri}");
        }
    }
}
