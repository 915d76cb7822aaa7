//! Turns an allowed file into the reply that makes the web server send it: the file itself, its derivative
//! (found on disk or just made), or a hand-over to Piwigo's `i.php`. The gate touches no file before the
//! verdict.

mod log;

use std::sync::Arc;
use std::time::SystemTime;

use super::snapshot::Ready;
use crate::database::Database;
use crate::derivative::maker::Maker;
use crate::derivative::order::{MakeError, Order};
use crate::derivative::plan::{self, Picture};
use crate::derivative::stored::{self, Stored};
use crate::files::blocking::Disk;
use crate::files::{Sendable, Symlinks, Tree, Unsendable};
use crate::http::Streamed;
use crate::http::picture_address::{self, PictureAddress};
use crate::http::reply::{Cache, Handover, Reply, SendMode, fits_a_header};
use crate::http::request::{Method, Request, Server};
use crate::piwigo::auth_key::{self, AuthKey};
use crate::piwigo::program_names;
use crate::piwigo::records::{Claim, Image, Ownership};
use crate::piwigo::sizes::definition::DerivativeParams;
use crate::piwigo::sizes::name::{Kind, derivative_name};
use crate::settings::{Derivatives, Settings};
use crate::verdict::uri::Icon;
pub use log::Log;

/// How files of one gallery go to one web server.
pub struct Delivery<'a> {
    /// The gate's settings.
    pub settings: &'a Settings,
    /// Piwigo's settings and files, and the database, which knows a picture's centre of interest.
    pub ready: &'a Ready,
    /// The request, with what the web server says about itself.
    pub request: &'a Request<'a>,
    /// Where the gallery is mounted: empty, or `/piwigo`.
    pub url_prefix: &'a str,
    /// How fast the files' disk answers.
    pub disk: &'a Disk,
    /// Makes derivatives. With `None` the gate makes none, and answers as if it had made it.
    pub maker: Option<&'a Arc<Maker>>,
    /// The kind of reply by which this web server sends a file.
    pub how: SendMode,
    /// The request comes from a script that wants a derivative's URL, not its bytes; the gate makes the
    /// derivative first.
    pub asks_for_address: bool,
}

/// The outcome for a derivative that was missing or stale.
enum Made {
    /// The gate has made it.
    Now,
    /// The gate would make it now, but has no maker.
    Supposed,
    /// Piwigo makes it.
    ByPiwigo,
    /// Neither makes it; the gate answers with this reply.
    Not(Reply),
}

impl Delivery<'_> {
    /// Answers for the file of `claim` or, with `kind`, for its derivative. `same_as_source`: Piwigo shows
    /// the source in place of that size.
    pub async fn claim(&self, claim: &Claim, kind: Option<Kind>, same_as_source: bool) -> Reply {
        let Some(kind) = kind else { return self.file(&claim.file).await };
        let Some(derivative) = derivative_name(&claim.file, kind) else { return Reply::Missing };
        match self.stored(&derivative, &claim.file, kind).await {
            Stored::Fresh => self.derivative(&derivative).await,
            // With `Authorize` the server serves the URL itself, and may still have the derivative of a
            // source that is gone. For a source beside the root, that derivative may belong to another
            // picture.
            Stored::NoSource if self.how == SendMode::Authorize && !claim.file.starts_with("../") => {
                self.derivative(&derivative).await
            }
            Stored::NoSource => Reply::Missing,
            Stored::Refused => self.out_of_reach(&claim.file).await.unwrap_or(Reply::Missing),
            // Piwigo makes no derivative of a picture that is small enough; it shows the picture itself.
            Stored::Absent
                if same_as_source && self.how != SendMode::Authorize && self.can_send(&claim.file) =>
            {
                if self.asks_for_address {
                    self.original_address(&claim.file, &derivative)
                } else {
                    self.file(&claim.file).await
                }
            }
            Stored::Absent => match self.make(&claim.file, Some(claim), kind).await {
                Made::Now => self.derivative(&derivative).await,
                Made::Supposed => self.supposed(&derivative),
                Made::ByPiwigo if self.would_be_another(&derivative, kind).await => Reply::Missing,
                Made::ByPiwigo => self.hand_to_piwigo(&claim.file, derivative).await,
                Made::Not(answer) => answer,
            },
        }
    }

    /// Answers for the resized icon of a file type, which is the same for every visitor.
    pub async fn icon(&self, icon: &Icon) -> Reply {
        let Some(derivative) = derivative_name(&icon.source, icon.kind) else { return Reply::Missing };
        match self.stored(&derivative, &icon.source, icon.kind).await {
            Stored::Fresh => self.derivative(&derivative).await,
            Stored::NoSource if self.how == SendMode::Authorize => self.derivative(&derivative).await,
            Stored::NoSource | Stored::Refused => self.settings.refusal(),
            Stored::Absent => match self.make(&icon.source, None, icon.kind).await {
                Made::Now => self.derivative(&derivative).await,
                Made::Supposed => self.supposed(&derivative),
                Made::ByPiwigo => self.hand_to_piwigo(&icon.source, derivative).await,
                Made::Not(answer) => answer,
            },
        }
    }

    /// Makes a derivative of `source`, or says who makes it: the gate if the setting `derivatives` says so
    /// and the gate can read the source and write the derivative, otherwise Piwigo. `claim` is the row, if
    /// the source has one.
    async fn make(&self, source: &str, claim: Option<&Claim>, kind: Kind) -> Made {
        if self.settings.derivatives != Derivatives::Generate || !plan::can_make(source) {
            return Made::ByPiwigo;
        }
        let Some(params) = self.ready.gallery.derivatives.params(kind) else {
            return Made::Not(Reply::Missing);
        };
        let Some(maker) = self.maker else { return Made::Supposed };
        let ordered = SystemTime::now();
        let picture = match claim {
            Some(claim) => match picture(&self.ready.database, claim, &params).await {
                Ok(picture) => picture,
                Err(error) => {
                    tracing::warn!(%error, "no derivative is made: the database did not answer");
                    return Made::Not(Reply::Unavailable);
                }
            },
            None => Picture::stand_in(source.to_owned()),
        };
        let (tree, gallery) = (self.ready.tree.clone(), self.ready.gallery.clone());
        let (keep_animation, quality) = (self.settings.gif_animation, self.settings.derivative_quality);
        let commission = Order {
            tree,
            gallery,
            picture,
            params,
            keep_animation,
            refuse_animated_webp: self.asks_piwigo(),
            quality,
            ordered,
        };
        match maker.make(commission).await {
            Ok(()) => Made::Now,
            // Piwigo may write to this directory, its libraries may read what the gate's decoders cannot, and
            // it may have more memory.
            Err(
                MakeError::Denied(_) | MakeError::Source(_) | MakeError::Memory(_) | MakeError::Settings(_),
            ) => Made::ByPiwigo,
            Err(MakeError::Disk(_) | MakeError::Busy) => Made::Not(Reply::Unavailable),
            Err(MakeError::NoSource(_) | MakeError::Place(_)) => Made::Not(Reply::Missing),
        }
    }

    /// The answer for a derivative that the gate would make first.
    fn supposed(&self, derivative: &str) -> Reply {
        if self.asks_for_address {
            return self.derivative_address(derivative);
        }
        let path = self.ready.gallery.layout.in_derivative_dir(derivative);
        if self.could_be_run(&path) {
            return self.settings.refusal();
        }
        let on_disk = || self.settings.gallery.join(&path).to_string_lossy().into_owned();
        if self.how == SendMode::XSendfile {
            match trouble_with(&on_disk(), self.request.sendfile_is_raw) {
                Some(HeaderTrouble::Percent) => return self.unsayable(&path),
                Some(HeaderTrouble::Blank) => return self.allowed(self.by_name(path)),
                None => {}
            }
        }
        self.allowed(match self.how {
            SendMode::XSendfileEncoded => Handover::SendfileEncoded { path: on_disk() },
            SendMode::XSendfile => {
                Handover::Sendfile { path: on_disk(), length: 0, modified: SystemTime::now() }
            }
            // With `stream` the reply is a bare yes, because there are no bytes yet.
            SendMode::XAccelRedirect | SendMode::Location | SendMode::Authorize | SendMode::Stream => {
                self.by_name(path)
            }
        })
    }

    /// A yes for a server that finds the file by its path or by the request's URL.
    fn by_name(&self, path: String) -> Handover {
        match self.how {
            SendMode::XAccelRedirect => Handover::AccelFile { path },
            SendMode::Location => Handover::LocalFile { prefix: self.url_prefix.to_owned(), path },
            _ => Handover::Authorized { file: self.request.names_file.then_some(path) },
        }
    }

    async fn derivative(&self, derivative: &str) -> Reply {
        if self.asks_for_address {
            return self.derivative_address(derivative);
        }
        self.file(&self.ready.gallery.layout.in_derivative_dir(derivative)).await
    }

    /// Answers with the URL of a derivative.
    fn derivative_address(&self, derivative: &str) -> Reply {
        let path = self.ready.gallery.layout.in_derivative_dir(derivative);
        self.address_at(self.url_prefix, &path)
    }

    /// The answer with the URL of a file; `path` is relative to `prefix`. If keys count in every URL (setting
    /// `auth_key_everywhere`) and the request has one, the URL carries it too, because nothing else may
    /// identify the visitor.
    fn address_at(&self, prefix: &str, path: &str) -> Reply {
        let query = self.request.uri.splitn(2, |&byte| byte == b'?').nth(1);
        let key = query
            .filter(|_| self.settings.auth_key_everywhere)
            .and_then(auth_key::parameter)
            .filter(|key| AuthKey::parse(key).is_some());
        let address = match key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) {
            Some(key) => PictureAddress::of(prefix, path).with_key(key),
            None => PictureAddress::of(prefix, path),
        };
        Reply::Allowed {
            handover: Handover::Address(address),
            cache: picture_address::NOT_KEPT.into(),
            disposition: None,
        }
    }

    /// Answers with the URL of the original, for a size in whose place Piwigo shows the original.
    fn original_address(&self, original: &str, derivative: &str) -> Reply {
        let Some(beside) = original.strip_prefix("../") else {
            return self.address_at(self.url_prefix, original);
        };
        // Browsers turn `/piwigo/../ext/p.png` into `/ext/p.png`. If the gallery is at the top of its site, a
        // file beside its root has no URL of its own; the gate sends the original under the derivative's URL.
        match self.url_prefix.rsplit_once('/') {
            Some((above, _)) => self.address_at(above, beside),
            None => self.derivative_address(derivative),
        }
    }

    /// Whether the gate can name this file to the server.
    fn can_send(&self, path: &str) -> bool {
        !self.is_out_of_reach(path) && !self.could_be_run(path)
    }

    /// Whether a file is beside the root and the gate cannot have this server send it: the file is in no
    /// directory that may be served, or the server maps the URL to a file itself, as it does after a local
    /// redirect or an authorizer's yes.
    fn is_out_of_reach(&self, path: &str) -> bool {
        path.strip_prefix("../").is_some_and(|beside| {
            matches!(self.how, SendMode::Location | SendMode::Authorize)
                || !self.ready.gallery.layout.is_in_parent_site(beside)
        })
    }

    /// Whether this server might run a file instead of sending it. A server that serves the URL in its own
    /// way might, and Apache chooses a program by any of a name's extensions. Caddy has no such handlers, and
    /// nginx's printed files serve the file that the yes names from a location without handlers. The other
    /// ways of delivery send the file's bytes.
    fn could_be_run(&self, path: &str) -> bool {
        let chooses_a_handler = match self.how {
            SendMode::Location => true,
            SendMode::Authorize => !self.request.names_file && self.request.server != Server::Caddy,
            SendMode::XAccelRedirect
            | SendMode::XSendfile
            | SendMode::XSendfileEncoded
            | SendMode::Stream => false,
        };
        chooses_a_handler && program_names::could_be_executed(path.rsplit('/').next().unwrap_or(path))
    }

    async fn file(&self, path: &str) -> Reply {
        if self.is_out_of_reach(path) {
            self.ready.unsent.beside(path);
            return self.settings.refusal();
        }
        if self.could_be_run(path) {
            self.ready.unsent.program(path);
            return self.settings.refusal();
        }
        match self.how {
            SendMode::Stream => self.stream(path).await,
            SendMode::Authorize if self.request.names_file && !fits_a_header(path) => {
                self.ready.unsent.blank(path);
                Reply::Missing
            }
            SendMode::XSendfile | SendMode::XSendfileEncoded => {
                let (tree, of_gallery, path) = (self.ready.tree.clone(), path, path.to_owned());
                match self.disk.look(move || tree.look(&path)).await {
                    Some(Ok(Sendable { path, .. })) if self.how == SendMode::XSendfileEncoded => {
                        self.allowed(Handover::SendfileEncoded { path })
                    }
                    Some(Ok(Sendable { path, length, modified })) => {
                        match trouble_with(&path, self.request.sendfile_is_raw) {
                            None => self.allowed(Handover::Sendfile { path, length, modified }),
                            // The gate can still send the bytes itself.
                            Some(HeaderTrouble::Blank) => self.stream(of_gallery).await,
                            Some(HeaderTrouble::Percent) => self.unsayable(&path),
                        }
                    }
                    Some(Err(reason)) => self.unsendable(&reason),
                    None => Reply::Unavailable,
                }
            }
            SendMode::XAccelRedirect | SendMode::Location | SendMode::Authorize => {
                if !self.server_looks()
                    && let Some(answer) = self.out_of_reach(path).await
                {
                    return answer;
                }
                self.allowed(self.by_name(path.to_owned()))
            }
        }
    }

    /// The answer to a visitor who may have a file that is missing or that the gate cannot reach.
    fn unsendable(&self, reason: &Unsendable) -> Reply {
        self.ready.unsent.unsendable(reason);
        Reply::Missing
    }

    /// The answer for a file that `X-Sendfile` cannot name to this server.
    fn unsayable(&self, path: &str) -> Reply {
        self.ready.unsent.percent(path);
        Reply::Missing
    }

    async fn stream(&self, path: &str) -> Reply {
        let (tree, path) = (self.ready.tree.clone(), path.to_owned());
        match self.disk.look(move || tree.open(&path)).await {
            Some(Ok((handle, file))) => {
                let Request { method, conditions, .. } = self.request;
                let head_only = *method == Method::Head;
                let file = Streamed::new(handle, file, conditions, head_only, SystemTime::now());
                self.allowed(Handover::Stream(file))
            }
            Some(Err(reason)) => self.unsendable(&reason),
            None => Reply::Unavailable,
        }
    }

    /// The answer for a file that the web server or Piwigo would reach and the gate does not, mostly because
    /// of a link that the gate does not follow. `None` if the gate reaches the file, or if the file is
    /// missing.
    async fn out_of_reach(&self, path: &str) -> Option<Reply> {
        if self.settings.symlinks == Symlinks::All {
            return None;
        }
        let (tree, path) = (self.ready.tree.clone(), path.to_owned());
        match self.disk.look(move || tree.look(&path)).await {
            Some(Err(reason)) if !reason.is_absent() => Some(self.unsendable(&reason)),
            Some(_) => None,
            None => Some(Reply::Unavailable),
        }
    }

    /// Whether the gate may leave symbolic links unchecked: the setting allows every link, or nginx checks
    /// them by the same rule and says so (its file sets `disable_symlinks if_not_owner` and `GATE_SYMLINKS`
    /// together).
    fn server_looks(&self) -> bool {
        match self.settings.symlinks {
            Symlinks::All => true,
            Symlinks::SameOwner => {
                self.how == SendMode::XAccelRedirect
                    && self.request.server == Server::Nginx
                    && self.request.server_looks_at_links
            }
            Symlinks::Inside | Symlinks::Roots(_) => false,
        }
    }

    /// Whether Piwigo's `i.php` can make what the gate does not make: by a hand-over in the gate's reply, or
    /// by a server that only asks the gate and runs `i.php` itself. A server that gets the bytes from the
    /// gate cannot hand the request over.
    fn asks_piwigo(&self) -> bool {
        match self.how {
            SendMode::Stream | SendMode::XSendfileEncoded => false,
            SendMode::Authorize => true,
            // Only Apache (with mod_fcgid) and Caddy follow a `Location` themselves.
            SendMode::XAccelRedirect | SendMode::Location | SendMode::XSendfile => self.request.hands_over,
        }
    }

    async fn hand_to_piwigo(&self, source: &str, derivative: String) -> Reply {
        // `i.php` follows every link, both to the source and to a derivative that is already there.
        let place = self.ready.gallery.layout.in_derivative_dir(&derivative);
        for path in [source, &place] {
            if let Some(answer) = self.out_of_reach(path).await {
                return answer;
            }
        }
        match (self.settings.derivatives, self.how) {
            // The server itself looks whether the derivative exists.
            (_, SendMode::Authorize) => self.file(&place).await,
            (Derivatives::Existing, _) => Reply::Missing,
            _ if !self.asks_piwigo() => {
                self.ready.unsent.left_to_piwigo(source, &derivative);
                Reply::Missing
            }
            (_, SendMode::XAccelRedirect) => {
                self.handed_over(Handover::AccelIPhp { derivative, asks_for_address: self.asks_for_address })
            }
            _ => self.handed_over(Handover::LocalIPhp {
                prefix: self.url_prefix.to_owned(),
                derivative,
                asks_for_address: self.asks_for_address,
            }),
        }
    }

    /// Whether Piwigo would make this derivative from another picture than the one that the gate has judged.
    async fn would_be_another(&self, derivative: &str, kind: Kind) -> bool {
        let gallery = &self.ready.gallery;
        let directory = self.settings.gallery.join(&gallery.layout.derivative_dir);
        let sizes: Vec<String> =
            gallery.derivatives.enabled.iter().map(|params| params.kind.token()).collect();
        let (derivative, token) = (derivative.to_owned(), kind.token().chars().take(2).collect::<String>());
        let found =
            self.disk.look(move || stored::strange_source(&directory, &derivative, &token, &sizes)).await;
        if let Some(Some(path)) = &found {
            self.ready.unsent.strange_source(path);
        }
        !matches!(found, Some(None))
    }

    /// A yes that makes Piwigo answer, with the picture or with its URL. Browsers do not keep the URL.
    fn handed_over(&self, handover: Handover) -> Reply {
        let cache = if self.asks_for_address {
            picture_address::NOT_KEPT
        } else {
            self.settings.browser_cache.as_str()
        };
        Reply::Allowed { handover, cache: self.cache(cache), disposition: None }
    }

    fn allowed(&self, handover: Handover) -> Reply {
        let cache = self.cache(&self.settings.browser_cache);
        Reply::Allowed { handover, cache, disposition: None }
    }

    fn cache(&self, control: &str) -> Cache {
        Cache { control: control.to_owned(), is_apart: self.request.cache_apart }
    }

    /// The state of a derivative on disk.
    async fn stored(&self, derivative: &str, source: &str, kind: Kind) -> Stored {
        let gallery = &self.ready.gallery;
        let since = gallery.derivatives.params(kind).map_or(0, |params| params.last_mod_time);
        let tree: &Arc<Tree> = if self.server_looks() { &self.ready.unchecked } else { &self.ready.tree };
        let tree = tree.clone();
        let derivative = gallery.layout.in_derivative_dir(derivative);
        let source = source.to_owned();
        self.disk
            .look(move || stored::look(&tree, &derivative, &source, since))
            .await
            .unwrap_or(Stored::NoSource)
    }
}

/// Why a server would read another path in `X-Sendfile` than the one that the gate has written.
#[derive(Debug, PartialEq, Eq)]
enum HeaderTrouble {
    /// A header's value cannot end in white space (RFC 9110 §5.5).
    Blank,
    /// The server may percent-decode the path, and has not said that it does not.
    Percent,
}

fn trouble_with(path: &str, is_raw: bool) -> Option<HeaderTrouble> {
    if path.ends_with([' ', '\t']) {
        Some(HeaderTrouble::Blank)
    } else if path.contains('%') && !is_raw {
        Some(HeaderTrouble::Percent)
    } else {
        None
    }
}

/// The picture of a claim, as the maker needs it.
///
/// # Errors
/// If the database cannot be queried.
pub(crate) async fn picture(
    database: &Database,
    claim: &Claim,
    params: &DerivativeParams,
) -> Result<Picture, crate::database::DatabaseError> {
    if claim.ownership != Ownership::Original {
        return Ok(Picture::stand_in(claim.file.clone()));
    }
    let Image { id, width, height, rotation, .. } = claim.image;
    let crops = params.sizing.max_crop > 0.0;
    let coi = if crops { database.center_of_interest(id).await? } else { None };
    Ok(Picture::original(claim.file.clone(), (width, height), rotation, coi))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_x_sendfile_cannot_say() {
        let table = [
            ("/srv/piwigo/upload/a.jpg", false, None),
            ("/srv/piwigo/upload/a b+c?d#e.jpg", false, None),
            ("/srv/piwigo/upload/100%.jpg", false, Some(HeaderTrouble::Percent)),
            ("/srv/piwigo/upload/100%25.jpg", false, Some(HeaderTrouble::Percent)),
            // The gallery's own path would be decoded as well.
            ("/srv/100%25/upload/a.jpg", false, Some(HeaderTrouble::Percent)),
            ("/srv/100%25/upload/100%.jpg", true, None),
            ("/srv/piwigo/upload/a ", true, Some(HeaderTrouble::Blank)),
            ("/srv/piwigo/upload/%\t", true, Some(HeaderTrouble::Blank)),
        ];
        for (path, is_raw, expected) in table {
            assert_eq!(trouble_with(path, is_raw), expected, "{path:?} {is_raw}");
        }
    }
}
