//! The files of Piwigo's directory that every visitor may have, and the plain spelling of a path, for front
//! ends that refuse everything else. Returns the names that their templates use.

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
    // For Piwigo's sign-in pages, since 16.
    "local/logo",
    "local/watermarks",
    "local/bootstrap_darkroom",
];

/// Below the data directory: style sheets and scripts that Piwigo puts together for its pages.
const COMBINED: &str = "combined";

/// Endings of files that pages link to, in lower case. No file with one of them contains settings or code
/// that runs on the server.
const ENDINGS: [&str; 28] = [
    "css", "js", "mjs", "map", "json", "htm", "html", "txt", "xml", "png", "jpg", "jpeg", "gif", "webp",
    "avif", "svg", "ico", "cur", "woff", "woff2", "ttf", "otf", "eot", "mp3", "mp4", "webm", "swf", "pdf",
];

/// A regular expression for paths below `/.well-known`: proofs of ownership of a site have no ending.
fn well_known() -> String {
    format!("/[.]well-known(/[A-Za-z0-9_-]+)+([.]({}))?", ENDINGS.join("|"))
}

/// A regular expression for a segment of an undecoded path with its slash that every server reads in the
/// same way: no percent sign except for a blank, no dot at the beginning, not empty.
const PLAIN_SEGMENT: &str = "/[A-Za-z0-9_~+,@-]([A-Za-z0-9_~+,@.-]|%20)*";

/// The same for the part after a script's name, which names no file: characters may be encoded, except for
/// the dot, the slash, the backslash, the percent sign and control characters.
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

/// Further values for the templates of front ends. `_raw`: percent-encoded, as in a request.
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
        // The number of the first field after the prefix, if a path is split at each slash.
        ("script_field", text((2 + prefix.matches('/').count()).to_string())),
        ("re_prefix_raw", text(escaped(&raw(prefix)))),
        ("re_public", text(alternatives(&folders))),
        ("re_public_endings", text(ENDINGS.join("|"))),
        ("re_known", text(well_known())),
        ("re_plain_segment", text(PLAIN_SEGMENT.to_owned())),
        ("re_tail_segment", text(tail_segment())),
    ]
}
