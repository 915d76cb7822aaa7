//! Turns a file's name into its media type, and tells whether a browser may only save the file.

/// The type of a file that a browser must not interpret.
pub const UNKNOWN: &str = "application/octet-stream";

fn extension(path: &str) -> String {
    path.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase()
}

/// Types and their extensions: the entries of nginx's own table that a gallery may hold, and some more. A
/// file that could run as a page ([`is_active`]) is sent as an attachment, whatever type it has here.
const TYPES: &[(&str, &[&str])] = &[
    ("image/jpeg", &["jpg", "jpeg", "jpe"]),
    ("image/png", &["png"]),
    ("image/gif", &["gif"]),
    ("image/webp", &["webp"]),
    ("image/avif", &["avif"]),
    ("image/heic", &["heic", "heif"]),
    ("image/tiff", &["tif", "tiff"]),
    ("image/x-ms-bmp", &["bmp"]),
    ("image/x-icon", &["ico"]),
    ("image/svg+xml", &["svg"]),
    ("video/mp4", &["mp4", "m4v"]),
    ("video/webm", &["webm", "webmv"]),
    ("video/ogg", &["ogv"]),
    ("video/quicktime", &["mov"]),
    ("video/x-msvideo", &["avi"]),
    ("video/mpeg", &["mpg", "mpeg"]),
    ("video/x-matroska", &["mkv"]),
    ("video/3gpp", &["3gp", "3gpp"]),
    ("video/mp2t", &["ts"]),
    ("video/x-flv", &["flv"]),
    ("video/x-ms-asf", &["asf", "asx"]),
    ("video/x-ms-wmv", &["wmv"]),
    ("video/x-mng", &["mng"]),
    ("audio/mpeg", &["mp3"]),
    ("audio/mp4", &["m4a"]),
    ("audio/ogg", &["oga", "ogg"]),
    ("audio/flac", &["flac"]),
    ("audio/x-wav", &["wav"]),
    ("audio/midi", &["mid", "midi", "kar"]),
    ("audio/x-realaudio", &["ra"]),
    ("application/pdf", &["pdf"]),
    ("application/zip", &["zip"]),
    ("application/json", &["json"]),
    ("application/rtf", &["rtf"]),
    ("application/postscript", &["ps", "eps", "ai"]),
    ("application/msword", &["doc"]),
    ("application/vnd.ms-excel", &["xls"]),
    ("application/vnd.ms-powerpoint", &["ppt"]),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &["docx"]),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &["xlsx"]),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", &["pptx"]),
    ("application/vnd.oasis.opendocument.text", &["odt"]),
    ("application/vnd.oasis.opendocument.spreadsheet", &["ods"]),
    ("application/vnd.oasis.opendocument.presentation", &["odp"]),
    ("application/vnd.oasis.opendocument.graphics", &["odg"]),
    ("application/vnd.google-earth.kmz", &["kmz"]),
    ("application/vnd.google-earth.kml+xml", &["kml"]),
    ("application/gpx+xml", &["gpx"]),
    ("application/vnd.apple.mpegurl", &["m3u8"]),
    ("application/x-7z-compressed", &["7z"]),
    ("application/x-rar-compressed", &["rar"]),
    ("text/plain", &["txt"]),
    ("text/vtt", &["vtt"]),
];

/// Returns the type of a picture, film, sound or document that a browser may show; `None` if it may only save
/// the file.
pub fn content_type(path: &str) -> Option<&'static str> {
    let extension = extension(path);
    TYPES.iter().find(|(_, extensions)| extensions.contains(&&*extension)).map(|(kind, _)| *kind)
}

/// Whether the file could run as a page in the gallery's own origin (docs/spec/piwigo.md §5.5). It is then an
/// attachment, whichever program sends it. Browsers show any XML as a page and run the scripts in it.
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
            | "kml"
            | "gpx"
            | "rss"
            | "atom"
            | "rdf"
            | "xspf"
            | "mml"
            | "mathml"
    )
}

/// Returns the header that keeps active content from running if a browser opens it nevertheless.
pub fn sandbox(path: &str) -> &'static str {
    if is_active(path) {
        "Content-Security-Policy: sandbox; default-src 'none'; style-src 'unsafe-inline'\r\n"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the types in nginx's printed files, with their extensions.
    fn of_nginx(text: &str) -> Vec<(String, String)> {
        text.lines()
            .filter_map(|line| line.trim().strip_suffix(';'))
            .flat_map(|line| {
                let mut words = line.split_whitespace().map(str::to_owned);
                let kind = words.next().unwrap_or_default();
                words.map(move |extension| (kind.clone(), extension))
            })
            .collect()
    }

    #[test]
    fn every_way_of_delivery_knows_the_same_types() {
        let nginx = of_nginx(include_str!("../commands/server_files/templates/part-nginx-types.conf"));
        for (kind, extension) in &nginx {
            assert_eq!(content_type(&format!("a.{extension}")), Some(&**kind), "{extension}");
            assert!(!is_active(&format!("a.{extension}")), "{extension}");
        }
        let caddy = include_str!("../commands/server_files/templates/part-caddy-types.conf");
        let named: Vec<&str> = caddy.split_whitespace().map(|word| word.trim_start_matches("*.")).collect();
        for (_, extension) in TYPES.iter().flat_map(|(kind, all)| all.iter().map(move |one| (kind, *one))) {
            let active = is_active(&format!("a.{extension}"));
            let by_nginx = nginx.iter().any(|(_, known)| known == extension);
            assert_eq!((by_nginx, active), (!active, !by_nginx), "{extension}");
            assert!(named.contains(&extension) || active, "{extension}");
        }
        assert!(nginx.len() > 60 && named.len() > 60);
    }

    #[test]
    fn no_page_is_only_shown() {
        for name in ["a.html", "a.XHT", "a.kml", "a.gpx", "a.rss", "a.svg", "a.svgz", "a.mml", "a.b.xml"] {
            assert!(is_active(name) && sandbox(name).contains("sandbox"), "{name}");
        }
        for (_, extension) in TYPES.iter().flat_map(|(kind, all)| all.iter().map(move |one| (kind, *one))) {
            let kind = content_type(&format!("a.{extension}")).unwrap();
            let is_a_page = ["xml", "html", "javascript", "css"].iter().any(|word| kind.ends_with(word));
            assert_eq!(is_active(&format!("a.{extension}")), is_a_page, "{extension}: {kind}");
        }
    }
}
