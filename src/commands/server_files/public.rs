//! What of Piwigo's directory any visitor may have from a file server, and how a path is spelled plainly: for
//! front ends that refuse everything else. A gallery's directories in, the names that their templates know
//! out.

use upon::Value;

use super::expressions::{alternatives, escaped};
use crate::http::reply::encode_path;

/// Folders of Piwigo 2.7 to 16 and of its widespread themes whose style sheets, scripts and pictures the
/// pages link to. The folder of combined style sheets lies in the data directory and is added to them.
const FOLDERS: [&str; 10] = [
    "themes",
    "plugins",
    "admin/themes",
    // Flags, for plugins that let a visitor choose the language.
    "language",
    "template-extension",
    // The page that tries the web API.
    "tools",
    "local/css",
    // Of Piwigo's own sign-in pages, since 16.
    "local/logo",
    "local/watermarks",
    "local/bootstrap_darkroom",
];

/// Below the data directory: style sheets and scripts that Piwigo puts together for its pages.
const COMBINED: &str = "combined";

/// Endings of files that pages link to, in small letters. None of them holds settings or code that runs on
/// the server.
const ENDINGS: [&str; 28] = [
    "css", "js", "mjs", "map", "json", "htm", "html", "txt", "xml", "png", "jpg", "jpeg", "gif", "webp",
    "avif", "svg", "ico", "cur", "woff", "woff2", "ttf", "otf", "eot", "mp3", "mp4", "webm", "swf", "pdf",
];

/// Below `/.well-known`, as a regular expression: proofs of who owns the site have no ending.
fn well_known() -> String {
    format!("/[.]well-known(/[A-Za-z0-9_-]+)+([.]({}))?", ENDINGS.join("|"))
}

/// A segment of a file's path with its slash, as a regular expression on the path as it was sent: a server
/// can read it in one way only. No percent sign but for a blank, no dot at the beginning, not empty.
const PLAIN_SEGMENT: &str = "/[A-Za-z0-9_~+,@-]([A-Za-z0-9_~+,@.-]|%20)*";

/// The same for what stands behind a script's name and names no file: other characters may be encoded, but
/// for the dot, the slash, the backslash, the percent sign and control characters.
fn tail_segment() -> String {
    const PLAIN: &str = "A-Za-z0-9_~!&()*+,;=:@";
    const ENCODED: &str = "%(2[0-46-9A-Da-d]|[3467][0-9A-Fa-f]|5[0-9ABD-Fabd-f]|[89A-Fa-f][0-9A-Fa-f])";
    format!("/([{PLAIN}-]|{ENCODED})([{PLAIN}.-]|{ENCODED})*")
}

/// The public folders of a gallery, relative to it.
pub(crate) fn folders(data: &str) -> Vec<String> {
    let combined = format!("{data}/{COMBINED}");
    FOLDERS.iter().map(|&folder| folder.to_owned()).chain([combined]).collect()
}

/// What the templates of front ends know besides. `_raw`: as it stands in a request, percent-encoded.
pub(super) fn values(prefix: &str, data: &str, guarded: &[String]) -> Vec<(&'static str, Value)> {
    let text = |text: String| Value::String(text);
    let list = |items: Vec<String>| Value::List(items.into_iter().map(Value::String).collect());
    let raw = |path: &str| encode_path(path).to_string();
    let below_the_prefix = |path: &String| raw(&format!("{prefix}/{path}"));
    let folders = folders(data);
    vec![
        ("prefix_raw", text(raw(prefix))),
        ("guarded_raw", list(guarded.iter().map(below_the_prefix).collect())),
        ("public_raw", list(folders.iter().map(below_the_prefix).collect())),
        // Of a path that is split at each slash: the first part behind the prefix.
        ("script_field", text((2 + prefix.matches('/').count()).to_string())),
        ("re_prefix_raw", text(escaped(&raw(prefix)))),
        ("re_public", text(alternatives(&folders))),
        ("re_public_endings", text(ENDINGS.join("|"))),
        ("re_known", text(well_known())),
        ("re_plain_segment", text(PLAIN_SEGMENT.to_owned())),
        ("re_tail_segment", text(tail_segment())),
    ]
}
