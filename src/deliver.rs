//! An allowed file in, the reply that makes this web server send it out: the file itself, its derivative as it lies on
//! disk or has just been made, or a hand-over to Piwigo's `i.php` for one that Piwigo is to make. Nothing is looked at on
//! disk, and nothing made, before the verdict.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::database::Database;
use crate::derivative::maker::{Commission, Maker, Unmade};
use crate::derivative::name::{self, Kind};
use crate::derivative::params::DerivativeParams;
use crate::derivative::plan::{self, Picture};
use crate::derivative::stored::{self, Stored};
use crate::disk::Disk;
use crate::image::{Claim, Image, Ownership};
use crate::reply::{Deliver, Handover, Reply};
use crate::send::{self, Sendable, Unsendable};
use crate::settings::gallery::Gallery;
use crate::settings::{Derivatives, Settings};
use crate::target::Icon;

/// How files of one gallery go to one web server.
pub struct Delivery<'a> {
    /// The gate's settings.
    pub settings: &'a Settings,
    /// Piwigo's settings.
    pub gallery: &'a Arc<Gallery>,
    /// Where a picture's centre of interest is.
    pub database: &'a Database,
    /// How fast the files' disk answers.
    pub disk: &'a Disk,
    /// Makes derivatives. `None`: nothing is made, and what would be is answered as if it had been.
    pub maker: Option<&'a Arc<Maker>>,
    /// What this server understands.
    pub how: Deliver,
    /// The server can be told to ask Piwigo's `i.php` instead.
    pub hands_over: bool,
}

/// What became of a derivative that was missing or stale.
enum Made {
    /// The gate has made it.
    Now,
    /// The gate would make it now.
    Supposed,
    /// It is Piwigo's to make.
    ByPiwigo,
    /// Nobody makes it; this is the answer.
    Not(Reply),
}

impl Delivery<'_> {
    /// The file of `claim`, or its derivative `kind`; `same_as_source`: Piwigo shows the source in that size's place.
    pub async fn claim(&self, claim: &Claim, kind: Option<Kind>, same_as_source: bool) -> Reply {
        let Some(kind) = kind else { return self.file(&claim.file).await };
        let Some(derivative) = derivative_path(&claim.file, kind) else { return Reply::Missing };
        match self.stored(&derivative, &claim.file, kind).await {
            Stored::Fresh => self.derivative(&derivative).await,
            // Where the server only asks, it may have a derivative of what is gone: of another picture, perhaps.
            Stored::NoSource if self.how == Deliver::Authorize && !claim.file.starts_with("../") => {
                self.allowed(Handover::Authorized)
            }
            Stored::NoSource => Reply::Missing,
            // Piwigo makes no derivative of a picture that is small enough: it shows the picture itself.
            Stored::Absent
                if same_as_source && self.how != Deliver::Authorize && self.can_send(&claim.file) =>
            {
                self.file(&claim.file).await
            }
            Stored::Absent => match self.make(&claim.file, Some(claim), kind).await {
                Made::Now => self.derivative(&derivative).await,
                Made::Supposed => self.supposed(&derivative),
                Made::ByPiwigo if self.would_be_another(&derivative, kind).await => Reply::Missing,
                Made::ByPiwigo => self.hand_to_piwigo(derivative),
                Made::Not(answer) => answer,
            },
        }
    }

    /// A picture of a file type, resized; the same for everybody.
    pub async fn icon(&self, icon: &Icon) -> Reply {
        let Some(derivative) = derivative_path(&icon.source, icon.kind) else { return Reply::Missing };
        match self.stored(&derivative, &icon.source, icon.kind).await {
            Stored::Fresh => self.derivative(&derivative).await,
            Stored::NoSource if self.how == Deliver::Authorize => self.allowed(Handover::Authorized),
            Stored::NoSource => self.settings.refusal(),
            Stored::Absent => match self.make(&icon.source, None, icon.kind).await {
                Made::Now => self.derivative(&derivative).await,
                Made::Supposed => self.supposed(&derivative),
                Made::ByPiwigo => self.hand_to_piwigo(derivative),
                Made::Not(answer) => answer,
            },
        }
    }

    /// Makes a derivative of `source`, or says who is to: the gate by the setting, of what it can read and where it may
    /// write; Piwigo otherwise. `claim`: the row, if the source has one.
    async fn make(&self, source: &str, claim: Option<&Claim>, kind: Kind) -> Made {
        if self.settings.derivatives != Derivatives::Generate || !plan::can_make(source) {
            return Made::ByPiwigo;
        }
        let Some(params) = self.gallery.derivatives.params(kind) else { return Made::Not(Reply::Missing) };
        let Some(maker) = self.maker else { return Made::Supposed };
        let ordered = SystemTime::now();
        let picture = match claim {
            Some(claim) => match picture(self.database, claim, &params).await {
                Ok(picture) => picture,
                Err(error) => {
                    tracing::warn!(%error, "no derivative is made: the database did not answer");
                    return Made::Not(Reply::Unavailable);
                }
            },
            None => Picture::stand_in(source.to_owned()),
        };
        let (root, gallery) = (self.settings.gallery.clone(), self.gallery.clone());
        let keep_animation = self.settings.gif_animation;
        let commission = Commission { root, gallery, picture, params, keep_animation, ordered };
        match maker.make(commission).await {
            Ok(()) => Made::Now,
            // Piwigo may: its own files are there.
            Err(Unmade::Denied(_)) => Made::ByPiwigo,
            Err(Unmade::Disk(_) | Unmade::Busy) => Made::Not(Reply::Unavailable),
            Err(Unmade::NoSource(_) | Unmade::Source(_) | Unmade::Settings(_) | Unmade::Place(_)) => {
                Made::Not(Reply::Missing)
            }
        }
    }

    /// The answer to what would be made first.
    fn supposed(&self, derivative: &str) -> Reply {
        let path = format!("{}{derivative}", self.gallery.layout.derivative_dir);
        self.allowed(match self.how {
            Deliver::XAccelRedirect => Handover::AccelFile { path },
            Deliver::Location => Handover::LocalFile { prefix: self.settings.url_prefix.clone(), path },
            Deliver::Authorize => Handover::Authorized,
            Deliver::XSendfileEncoded => Handover::SendfileEncoded {
                path: self.settings.gallery.join(path).to_string_lossy().into_owned(),
            },
            Deliver::XSendfile => Handover::Sendfile {
                path: self.settings.gallery.join(path).to_string_lossy().into_owned(),
                length: 0,
                modified: SystemTime::now(),
            },
        })
    }

    async fn derivative(&self, derivative: &str) -> Reply {
        self.file(&format!("{}{derivative}", self.gallery.layout.derivative_dir)).await
    }

    /// Whether a file beside the root is in a directory that may be served, and this server can be told of it: a local
    /// redirect and an authorizer's yes lead to wherever the server itself maps the URL.
    fn can_send(&self, path: &str) -> bool {
        path.strip_prefix("../").is_none_or(|beside| {
            matches!(self.how, Deliver::XAccelRedirect | Deliver::XSendfile | Deliver::XSendfileEncoded)
                && self.gallery.layout.is_in_parent_site(beside)
        })
    }

    async fn file(&self, path: &str) -> Reply {
        if !self.can_send(path) {
            tracing::info!("a file beside the gallery's directory cannot be sent in this way: refused");
            return self.settings.refusal();
        }
        let path = path.to_owned();
        match self.how {
            Deliver::XAccelRedirect => self.allowed(Handover::AccelFile { path }),
            Deliver::Location => {
                self.allowed(Handover::LocalFile { prefix: self.settings.url_prefix.clone(), path })
            }
            Deliver::Authorize => match self.look(path).await {
                // The server says by itself that there is none.
                Some(Err(Unsendable::Missing { error, .. })) if error.kind() == ErrorKind::NotFound => {
                    self.allowed(Handover::Authorized)
                }
                Some(Ok(_)) => self.allowed(Handover::Authorized),
                // Not every server looks where a link leads.
                Some(Err(reason)) => unsendable(&reason),
                None => Reply::Unavailable,
            },
            // No header can say a blank at the end: another file would be sent.
            Deliver::XSendfile if path.ends_with([' ', '\t']) => {
                tracing::info!("an allowed file cannot be sent: its name ends with a blank");
                Reply::Missing
            }
            Deliver::XSendfile | Deliver::XSendfileEncoded => match self.look(path).await {
                Some(Ok(Sendable { path, .. })) if self.how == Deliver::XSendfileEncoded => {
                    self.allowed(Handover::SendfileEncoded { path })
                }
                Some(Ok(Sendable { path, length, modified, .. })) => {
                    self.allowed(Handover::Sendfile { path, length, modified })
                }
                Some(Err(reason)) => unsendable(&reason),
                None => Reply::Unavailable,
            },
        }
    }

    async fn look(&self, path: String) -> Option<Result<Sendable, Unsendable>> {
        let root = self.settings.gallery.clone();
        self.disk.look(move || send::inspect_beside(&root, &path)).await
    }

    fn hand_to_piwigo(&self, derivative: String) -> Reply {
        match (self.settings.derivatives, self.how) {
            // The server looks by itself whether there is one.
            (_, Deliver::Authorize) => self.allowed(Handover::Authorized),
            (Derivatives::Existing, _) => Reply::Missing,
            // lighttpd would give the visitor the `Location` that Apache and Caddy follow themselves.
            _ if !self.hands_over || self.how == Deliver::XSendfileEncoded => {
                tracing::info!("a derivative that only Piwigo can make: this server cannot ask its i.php");
                Reply::Missing
            }
            (_, Deliver::XAccelRedirect) => self.allowed(Handover::AccelIPhp { derivative }),
            (_, Deliver::XSendfile | Deliver::XSendfileEncoded | Deliver::Location) => {
                self.allowed(Handover::LocalIPhp { prefix: self.settings.url_prefix.clone(), derivative })
            }
        }
    }

    /// Whether Piwigo would make this derivative from another picture than was judged.
    async fn would_be_another(&self, derivative: &str, kind: Kind) -> bool {
        let directory = self.settings.gallery.join(&self.gallery.layout.derivative_dir);
        let sizes: Vec<String> =
            self.gallery.derivatives.enabled.iter().map(|params| params.kind.token()).collect();
        let (derivative, token) = (derivative.to_owned(), kind.token().chars().take(2).collect::<String>());
        let found =
            self.disk.look(move || stored::strange_source(&directory, &derivative, &token, &sizes)).await;
        if let Some(Some(path)) = &found {
            tracing::warn!(
                ?path,
                "Piwigo would make a derivative from this file of another picture: not made"
            );
        }
        !matches!(found, Some(None))
    }

    fn allowed(&self, handover: Handover) -> Reply {
        Reply::Allowed { handover, cache: self.settings.browser_cache.clone(), disposition: None }
    }

    /// What lies on disk for a derivative.
    async fn stored(&self, derivative: &str, source: &str, kind: Kind) -> Stored {
        let since = self.gallery.derivatives.params(kind).map_or(0, |params| params.last_mod_time);
        let root = self.settings.gallery.clone();
        let derivative: PathBuf = Path::new(&self.gallery.layout.derivative_dir).join(derivative);
        let source = PathBuf::from(source);
        self.disk
            .look(move || stored::look(&root, &derivative, &source, since))
            .await
            .unwrap_or(Stored::NoSource)
    }
}

/// The answer to who may have a file that is not there, or not to be reached.
fn unsendable(reason: &Unsendable) -> Reply {
    tracing::info!(%reason, "an allowed file cannot be sent");
    Reply::Missing
}

/// The picture of a claim as the maker needs it.
///
/// # Errors
/// When the database cannot be asked.
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

/// The derivative's path below the derivatives' folder, from its source's.
pub(crate) fn derivative_path(source: &str, kind: Kind) -> Option<String> {
    String::from_utf8(name::derivative_path(source.as_bytes(), kind)?).ok()
}
