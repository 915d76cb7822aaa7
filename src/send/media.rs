//! A file's name in; what a browser may take it for, and whether it may only be saved, out.

/// Of what nobody should guess.
pub const UNKNOWN: &str = "application/octet-stream";

fn extension(path: &str) -> String {
    path.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase()
}

/// The type of a picture, film, sound or document that may be shown as what it is; `None`: only saved.
pub fn content_type(path: &str) -> Option<&'static str> {
    Some(match extension(path).as_str() {
        "jpg" | "jpeg" | "jpe" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "heic" => "image/heic",
        "tif" | "tiff" => "image/tiff",
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        "ogv" => "video/ogg",
        "mov" => "video/quicktime",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "oga" | "ogg" => "audio/ogg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "pdf" => "application/pdf",
        "vtt" => "text/vtt",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

/// What could run as a page in the gallery's own origin (PIWIGO.md §9.3, rule 7): an attachment, whoever sends it.
pub fn is_active(path: &str) -> bool {
    matches!(
        extension(path).as_str(),
        "svg"
            | "svgz"
            | "htm"
            | "html"
            | "shtm"
            | "shtml"
            | "xhtm"
            | "xhtml"
            | "xht"
            | "xml"
            | "xsl"
            | "xslt"
            | "mht"
            | "mhtml"
            | "js"
            | "mjs"
            | "css"
            | "swf"
    )
}

/// What keeps active content from running, should a browser open it all the same.
pub fn sandbox(path: &str) -> &'static str {
    if is_active(path) {
        "Content-Security-Policy: sandbox; default-src 'none'; style-src 'unsafe-inline'\r\n"
    } else {
        ""
    }
}
