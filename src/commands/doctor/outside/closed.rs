//! Tries to get a private picture in all its forms without cookies.

use super::curl::Method;
use super::leak::{Fetched, Gist, Sample};
use super::samples::{Chooser, Closed};
use super::{Tries, some, tries};
use crate::database::DatabaseError;
use crate::http::reply::encode_path;
use crate::settings::ActionPhp;

const GUARD: &str = "put the shipped file for your server first into the gallery's part of its configuration, and take blocks of your \
                     own for the same paths out of it (nginx refuses a configuration with two of the same path and goes on with \
                     the former one); --server-file says what that does not guard";

impl Tries<'_> {
    /// Tries a private picture, all its forms, and an open picture.
    pub(super) async fn pictures(&mut self, chooser: &Chooser<'_>) -> Result<(), DatabaseError> {
        // Each directory has its own line in the server's file.
        let mut all = Vec::new();
        for directory in &self.known.guarded.originals {
            all.extend(chooser.closed(&format!("{directory}/"), None).await?);
        }
        match all.split_first() {
            Some((closed, others)) => self.picture(closed, others).await,
            None => self.findings.warn(
                "outside-original",
                "not examined: there is no picture that a guest must not see",
                "make an album private, put a picture into it, and ask again",
            ),
        }
        let prefix = self.visitor.base.prefix.clone();
        if let Some((image, sample)) = chooser.representative().await? {
            let targets = [
                (Method::Get, format!("{prefix}{}", sample.uri)),
                (Method::Get, format!("{prefix}/action.php?id={image}&part=r")),
            ];
            self.must_not_come(
                "outside-representative",
                "the picture of a private film",
                &targets,
                Some(&sample),
                GUARD,
            )
            .await;
            self.split("the picture of a private film, spelt for a front end,", &sample).await;
        }
        if let Some(sample) = chooser.format().await? {
            let targets = [(Method::Get, format!("{prefix}{}", sample.uri))];
            self.must_not_come(
                "outside-format",
                "a private photo's other format",
                &targets,
                Some(&sample),
                GUARD,
            )
            .await;
            self.split("a private photo's other format, spelt for a front end,", &sample).await;
        }
        match chooser.open().await? {
            Some(open) => {
                self.open_picture(&open.file).await;
                if let Some((uri, sample)) = &open.resized {
                    let style = chooser.ready.gallery.derivative_url_style;
                    self.links_to_resized(uri, sample.as_ref(), style).await;
                }
                self.percent_signs(chooser, None).await?;
                self.made_by_piwigo(chooser).await?;
            }
            None => self.findings.advise(
                "outside-allowed",
                "not examined: there is no picture that a guest may see",
                "with one in a public album, caching and ranges can be examined too",
            ),
        }
        Ok(())
    }

    async fn picture(&mut self, closed: &Closed, others: &[Closed]) {
        let prefix = self.visitor.base.prefix.clone();
        let Closed { image, original, derivative, missing } = closed;
        let uri = &original.uri;
        let file = format!("{prefix}{uri}");
        let nothing = self.ask(Method::Get, &format!("{prefix}{}", unknown(uri)), &[]).await;
        self.placeholder = nothing.map(|answer| answer.body).filter(|body| !original.is_in(body));
        let plain = [Method::Get, Method::Head, Method::Post].map(|method| (method, file.clone()));
        self.must_not_come("outside-original", "a private original", &plain, Some(original), GUARD).await;

        for other in others {
            let target = [(Method::Get, format!("{prefix}{}", other.original.uri))];
            self.must_not_come(
                "outside-original",
                "a private original",
                &target,
                Some(&other.original),
                GUARD,
            )
            .await;
        }

        let resized: Vec<_> = derivative.iter().map(|sample| &sample.uri).chain(missing).collect();
        let targets: Vec<_> = resized.iter().map(|uri| (Method::Get, format!("{prefix}{uri}"))).collect();
        if targets.is_empty() {
            self.findings.not_examined("outside-derivative", "that picture has no resized ones");
        } else {
            let what = "a private picture, resized,";
            self.must_not_come("outside-derivative", what, &targets, derivative.as_ref(), GUARD).await;
        }

        let directory = format!("/{}", self.known.guarded.derivatives);
        let shorts: Vec<&str> = resized.iter().filter_map(|uri| uri.strip_prefix(&*directory)).collect();
        let targets: Vec<_> = match shorts.split_first() {
            Some((first, others)) => {
                let more = others.iter().map(|short| format!("{prefix}/i.php?{short}"));
                tries::i_php(&prefix, first)
                    .into_iter()
                    .chain(more)
                    .map(|target| (Method::Get, target))
                    .collect()
            }
            None => Vec::new(),
        };
        if !targets.is_empty() {
            let remedy = "guard i.php (and /i, where $conf['php_extension_in_urls'] is false) as the shipped files do: it asks \
                          nobody for rights";
            self.must_not_come(
                "outside-i-php",
                "a private picture by i.php",
                &targets,
                derivative.as_ref(),
                remedy,
            )
            .await;
        }

        let actions = ["part=e", "part=e&download"]
            .map(|part| (Method::Get, format!("{prefix}/action.php?id={image}&{part}")));
        self.must_not_come(
            "outside-action-php",
            "a private original by action.php",
            &actions,
            Some(original),
            GUARD,
        )
        .await;

        let get = |targets: Vec<String>| {
            targets.into_iter().map(|target| (Method::Get, target)).collect::<Vec<_>>()
        };
        let spellings = get(tries::spellings(&prefix, uri, &self.known.guarded.data));
        self.must_not_come(
            "outside-spellings",
            "a private original, spelt otherwise,",
            &spellings,
            Some(original),
            "guard by the normalised path (a location, not a rule on the raw address), and refuse other spellings as the \
             shipped files do (\"spelt otherwise\")",
        )
        .await;
        let originals = [original].into_iter().chain(others.iter().map(|other| &other.original));
        for original in originals {
            self.split("a private original, spelt for a front end,", original).await;
        }
        self.split_prefix("a private original, spelt for a front end,", original).await;
        if let Some(derivative) = derivative {
            self.split("a private picture, resized, spelt for a front end,", derivative).await;
        }
        if let Some(short) = shorts.first() {
            self.split_i_php(short, derivative.as_ref()).await;
        }
        let directory =
            self.known.root.file_name().map(|name| encode_path(&name.to_string_lossy()).to_string());
        let glued = get(tries::glued(&prefix, uri, directory.as_deref()));
        if !glued.is_empty() {
            self.must_not_come(
                "outside-glued",
                "a private original, glued to the gallery's path,",
                &glued,
                Some(original),
                "write the slash at the end of both or of neither: location /piwigo/ { alias /var/www/piwigo/; } (nginx), \
                 handle_path /piwigo/* (Caddy), alias.url = ( \"/piwigo/\" => \"/var/www/piwigo/\" ) (lighttpd)",
            )
            .await;
        }
        self.odd_bytes(original, derivative.as_ref(), shorts.first().copied()).await;
        let internals = get(tries::internals(&prefix, uri, shorts.first().copied()));
        self.must_not_come(
            "outside-internal",
            "a private original by the server's own inside",
            &internals,
            Some(original),
            "the locations below /_gate must be internal (nginx: internal;), and gate.fcgi must not be called by visitors",
        )
        .await;
        let links = get(tries::privacy(&prefix, *image, uri));
        self.must_not_come(
            "outside-privacy-links",
            "a private original by links of piwigo-privacy",
            &links,
            Some(original),
            GUARD,
        )
        .await;
        self.same_refusals(closed).await;
        self.doors(original).await;
        self.early_errors(original).await;
        self.aliases(original, shorts.first().copied(), derivative.as_ref()).await;
    }

    /// Tries a private picture by URLs that are not UTF-8 or contain a backslash.
    async fn odd_bytes(&mut self, original: &Sample, derivative: Option<&Sample>, short: Option<&str>) {
        const ID: &str = "outside-odd-bytes";
        const REMEDY: &str = "print the file for your server anew (piwigo-gate config) and load it in the old one's place: an \
                              address that the server cannot match must be refused";
        let prefix = self.visitor.base.prefix.clone();
        let get = |targets: Vec<String>| {
            targets.into_iter().map(|target| (Method::Get, target)).collect::<Vec<_>>()
        };
        let targets = get(tries::odd(&prefix, &original.uri));
        self.must_not_come(ID, "a private original, by odd bytes,", &targets, Some(original), REMEDY).await;
        if let Some(derivative) = derivative {
            let targets = get(tries::odd(&prefix, &derivative.uri));
            let what = "a private picture, resized, by odd bytes,";
            self.must_not_come(ID, what, &targets, Some(derivative), REMEDY).await;
        }
        if let Some(short) = short {
            let targets = get(tries::odd_i_php(&prefix, short));
            let what = "a private picture by i.php and odd bytes";
            self.must_not_come(ID, what, &targets, derivative, REMEDY).await;
        }
    }

    /// Reports whether a denied file looks like one that does not exist.
    async fn same_refusals(&mut self, closed: &Closed) {
        let prefix = self.visitor.base.prefix.clone();
        let mut pairs = vec![&closed.original.uri];
        pairs.extend(closed.derivative.as_ref().map(|sample| &sample.uri));
        let mut pairs: Vec<_> = pairs
            .into_iter()
            .map(|uri| (format!("{prefix}{uri}"), format!("{prefix}{}", unknown(uri))))
            .collect();
        let action = |id: u32| format!("{prefix}/action.php?id={id}&part=e");
        pairs.push((action(closed.image), action(u32::MAX)));
        let (mut different, mut kept, mut seen) = (Vec::new(), Vec::new(), 0);
        let by_piwigo = self
            .known
            .gate
            .is_some_and(|(gate, ready)| ready.action_php(gate.settings()) == ActionPhp::Piwigo);
        let mut of_the_gate = None;
        for (denied, unknown) in pairs {
            let Some(denied_answer) = self.ask(Method::Get, &denied, &[]).await else { continue };
            let Some(unknown_answer) = self.ask(Method::Get, &unknown, &[]).await else { continue };
            let sample = Some(&closed.original);
            if [&denied_answer, &unknown_answer]
                .iter()
                .any(|answer| self.gist(answer, sample) != Gist::Closed)
            {
                continue;
            }
            let is_action = denied.contains("/action.php?");
            seen += u32::from(!is_action);
            if is_action && by_piwigo {
                let refusal = of_the_gate.as_ref().map(face);
                self.downloads_of_piwigo(refusal == Some(face(&denied_answer)));
            } else if is_action && face(&denied_answer) != face(&unknown_answer) {
                self.findings.advise(
                    "outside-action-php",
                    "action.php tells which numbers of photos exist: it is Piwigo's own, and not the gate, that answers",
                    "guard it, too, where the server sends files by a header; with auth_request it has to stay so",
                );
            } else if face(&denied_answer) != face(&unknown_answer) {
                different.push(format!(
                    "{denied} ({}) and {unknown} ({})",
                    denied_answer.status, unknown_answer.status
                ));
            }
            if may_be_kept(&denied_answer) {
                kept.push(denied);
            }
            of_the_gate.get_or_insert(denied_answer);
        }
        if !different.is_empty() {
            self.findings.problem(
                "outside-refusals",
                format!("what is denied looks different from what does not exist: {}", some(&different)),
                "let the gate answer for every file of the guarded directories, and no try_files or error_page of the server's \
                 own before it",
            );
        }
        if !kept.is_empty() {
            self.findings.problem(
                "outside-refusals",
                format!("a refusal may be kept by caches: {}", some(&kept)),
                "take expires and Cache-Control of the server's own out of the guarded locations",
            );
        }
        if different.is_empty() && kept.is_empty() && seen > 0 {
            self.findings.ok("outside-refusals", "denied and unknown look the same, and no cache keeps it");
        }
    }
}

impl Tries<'_> {
    /// Reports whether Piwigo or the gate answers `action.php`, if Piwigo should. `refused`: the answer is
    /// the gate's own refusal.
    fn downloads_of_piwigo(&mut self, refused: bool) {
        if refused {
            self.findings.problem(
                "outside-action-php",
                "action.php is left to Piwigo (action_php, or a plugin), but the web server sends it to the gate, which refuses \
                 every download",
                "print the web server's file anew (piwigo-gate config KIND), or set action_php = \"gate\"",
            );
        } else {
            self.findings.note(
                "outside-action-php",
                "action.php is left to Piwigo (action_php, or a plugin): Piwigo's own rules decide about downloads, and its \
                 answers tell which numbers of photos exist",
            );
        }
    }
}

/// The URL path of a file that does not exist, similar to one that does.
pub(super) fn unknown(uri: &str) -> String {
    let name = uri.rfind('/').map_or(0, |at| at + 1);
    // Keep the token of a resized picture's size: the path then names a size of a photo that does not
    // exist.
    let cut = uri[name..].rfind('-').or_else(|| uri[name..].rfind('.')).map_or(uri.len(), |at| name + at);
    format!("{}~none{}", &uri[..cut], &uri[cut..])
}

/// The parts of a refusal that a visitor can compare.
pub(super) fn face(answer: &Fetched) -> (u16, &[u8], Option<&str>, String) {
    (answer.status, &answer.body, answer.header("content-type"), answer.joined("cache-control"))
}

/// Whether a cache may keep this refusal and give it to a visitor who is allowed by then.
fn may_be_kept(answer: &Fetched) -> bool {
    let says = |word| answer.says("cache-control", word);
    if says("no-store") {
        return false;
    }
    let lives = answer.joined("cache-control").contains("max-age") && !says("max-age=0")
        || answer.header("expires").is_some();
    // Caches may keep a 404 without permission, and other refusals only if headers allow it.
    says("public") || lives && !says("no-cache") || answer.status == 404 && !says("no-cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_caches_may_keep() {
        let table = [
            (403, "cache-control", "no-store", false),
            (403, "x", "", false),
            (403, "cache-control", "max-age=600", true),
            (403, "cache-control", "public", true),
            (403, "cache-control", "private, no-cache, max-age=9", false),
            (403, "expires", "Thu, 31 Dec 2037 23:55:55 GMT", true),
            (404, "x", "", true),
            (404, "cache-control", "no-store", false),
        ];
        for (status, name, value, kept) in table {
            let answer = Fetched { status, headers: vec![(name.into(), value.into())], body: Vec::new() };
            assert_eq!(may_be_kept(&answer), kept, "{status} {name}: {value}");
        }
    }

    #[test]
    fn a_file_that_does_not_exist_looks_like_its_neighbour() {
        for (uri, expected) in [
            ("/upload/a/b.jpg", "/upload/a/b~none.jpg"),
            ("/_data/i/upload/b-th.jpg", "/_data/i/upload/b~none-th.jpg"),
            ("/upload/a-x/b.c.jpg", "/upload/a-x/b.c~none.jpg"),
            ("/upload/a.b/c", "/upload/a.b/c~none"),
        ] {
            assert_eq!(unknown(uri), expected);
        }
    }
}
