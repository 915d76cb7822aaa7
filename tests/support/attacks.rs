//! Other ways to write a URL that some server takes for the guarded file.

/// Request targets that a server, a file system or a careless guard might take for the file `/path`.
///
/// `path` is the plain URL path of an existing guarded file, such as `/upload/a/b.jpg`. The first is the
/// plain one.
pub fn spellings(path: &str) -> Vec<String> {
    let (first, rest) = path[1..].split_once('/').expect("a directory and a name");
    let (directory, name) = path.rsplit_once('/').expect("a name");
    let initial = &first[..1];
    let hex = format!("%{:02x}", initial.as_bytes()[0]);
    let mut all = vec![
        path.to_owned(),
        format!("{path}?"),
        format!("{path}?x=/i.php"),
        format!("{path}#x"),
        format!("/themes/x.css#/../..{path}"),
        format!("/{path}"),
        format!("//{first}//{rest}"),
        format!("/.{path}"),
        format!("/themes/..{path}"),
        format!("/themes/%2e%2e{path}"),
        format!("/themes/.%2E{path}"),
        format!("/themes/..%2f{}", &path[1..]),
        format!("/{first}/../{first}/{rest}"),
        format!("/{first}/./{rest}"),
        format!("/_data/combined/../..{path}"),
        format!("/_data/combined/%2e%2e/%2e%2e{path}"),
        format!("/.well-known/..{path}"),
        format!("/index.php/..{path}"),
        format!("/index.php/../..{path}"),
        format!("/{hex}{}/{rest}", &first[1..]),
        format!("/{hex}{}%2f{rest}", &first[1..]),
        format!("/{}/{rest}", first.to_ascii_uppercase()),
        format!("/{first}./{rest}"),
        format!("/{first}%20/{rest}"),
        format!("/{first}%00/{rest}"),
        format!("{path}%00"),
        format!("{path}%00.css"),
        format!("{path}/"),
        format!("{path}/x.css"),
        format!("{path}/x.php"),
        format!("{path}."),
        format!("{path}%20"),
        format!("{path};x.css"),
        format!("{path}::$DATA"),
        format!("{directory}\\{name}"),
        format!("{directory}%5c{name}"),
        format!("http://localhost{path}"),
        format!("http://localhost/themes/..{path}"),
        format!("/_gate/file{path}"),
        format!("/_gate/derivative{path}"),
        format!("/_gate//file{path}"),
        format!("/_gate%2ffile{path}"),
        format!("/_gate/../_gate/file{path}"),
        format!("/_gate/ask{path}"),
        format!("/_gate/gate.fcgi{path}"),
        format!("/gate.fcgi{path}"),
        format!("/gate.fcgi?{path}"),
        format!("/gate.fcgi/..{path}"),
    ];
    if let Some(short) = path.strip_prefix("/_data/i") {
        all.extend([
            format!("/i.php?{short}"),
            format!("/i.php?{short}&b=1"),
            format!("/i.php{short}"),
            format!("/i.php{short}?x=1"),
            format!("//i.php?{short}"),
            format!("/%69.php?{short}"),
            format!("/i%2ephp?{short}"),
            format!("/./i.php?{short}"),
            format!("/i?{short}"),
            format!("/i{short}"),
            format!("/I.php?{short}"),
            format!("/i.php/?{short}"),
            format!("/i.php?/x/../..{short}"),
            format!("/themes/../i.php?{short}"),
            format!("/_gate/i.php?{short}"),
            format!("/_gate%2fi.php?{short}"),
            format!("/index.php/../i.php?{short}"),
        ]);
    }
    all
}

/// Whether an answer's body holds the text of a guarded file of the world, or output of `i.php`.
pub fn holds_guarded_bytes(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    ["original ", "derivative ", "representative ", "format ", "made by i.php"]
        .iter()
        .any(|marker| text.starts_with(marker) || text.contains(&format!("\n{marker}")))
}

/// Three pictures: `OPEN` is for everybody, `SHUT` and `ACCENT` are closed to guests. The name of `ACCENT`
/// differs from that of `OPEN` only by an accent, which MySQL's collations ignore.
pub const OPEN: &str = "upload/a/open e.jpg";
pub const SHUT: &str = "upload/a/shut.jpg";
pub const ACCENT: &str = "upload/a/open é.jpg";

/// SQL that gives the three their rows, in the world's albums 1 (public) and 11 (private).
pub fn rows() -> String {
    [(OPEN, 951, 1), (SHUT, 952, 11), (ACCENT, 953, 11)]
        .map(|(path, id, album)| {
            format!(
                "INSERT INTO piwigo_images (id, file, path, width, height) VALUES ({id}, 'x', './{path}', 3000, 2000);
                 INSERT INTO piwigo_image_category (image_id, category_id) VALUES ({id}, {album});"
            )
        })
        .concat()
}

/// The files of the three, and derivatives of sizes that the gallery does not have, as `i.php` leaves them.
pub const FILES: [&str; 6] = [
    OPEN,
    SHUT,
    ACCENT,
    "_data/i/upload/a/shut-th_x.jpg",
    "_data/i/upload/a/open e-th_x.jpg",
    "_data/i/upload/a/open e-cu_s321.jpg",
];

/// URLs that mix a guarded file with another one, or that nearly equal its URL.
pub const MIXTURES: [&str; 26] = [
    "/upload/a/shut.jpg",
    "/upload/a/open%20e.jpg/../shut.jpg",
    "/upload/a/open%20e.jpg/%2e%2e/shut.jpg",
    "/upload/a/open%20e.jpg#/../shut.jpg",
    "/upload/a/shut.jpg#open%20e.jpg",
    "/upload/a/shut.jpg?/upload/a/open%20e.jpg",
    "/upload/a/open%20e.jpg%00/../shut.jpg",
    "/upload/a/open%20e.jpg%2f..%2fshut.jpg",
    "/upload/a//shut.jpg",
    "/upload/a/./shut.jpg",
    "/upload/a/shut.jpg.",
    "/upload/a/shut.jpg%20",
    "/upload/a%5cshut.jpg",
    "/upload/a/SHUT.jpg",
    "/upload/a/shut.JPG",
    "/upload/A/shut.jpg",
    "/upload/a/open%20%C3%A9.jpg",
    "/upload/a/open%20e%CC%81.jpg",
    "/upload/a/open%20%C3%89.jpg",
    "/upload/a/open%20E.jpg",
    "/upload/a/open%20e.jpg%20",
    "/upload/a/%F0%9F%98%80.jpg",
    "/_data/i/upload/a/shut-th_x.jpg",
    "/_data/i/upload/a/open%20e-th_x.jpg",
    "/_data/i/upload/a/open%20e-cu_s321.jpg",
    "/_data/i/upload/a/open%20e-cu_s0100.jpg",
];
