//! An allowed file in, the reply that makes this web server send it out: the file itself, its derivative as it lies on
//! disk, or a hand-over to Piwigo's `i.php` for a derivative that is still to be made. Nothing is looked at on disk
//! before the verdict.

use std::path::{Path, PathBuf};

use crate::derivative::name::{self, Kind};
use crate::derivative::stored::{self, Stored};
use crate::disk::Disk;
use crate::image::Claim;
use crate::reply::{Deliver, Handover, Reply};
use crate::send;
use crate::settings::gallery::Gallery;
use crate::settings::{Derivatives, Settings};
use crate::target::Icon;

/// How files of one gallery go to one web server.
pub struct Delivery<'a> {
    /// The gate's settings.
    pub settings: &'a Settings,
    /// Piwigo's settings.
    pub gallery: &'a Gallery,
    /// How fast the files' disk answers.
    pub disk: &'a Disk,
    /// What this server understands.
    pub how: Deliver,
}

impl Delivery<'_> {
    /// The file of `claim`, or its derivative `kind`; `same_as_source`: Piwigo shows the source in that size's place.
    pub async fn claim(&self, claim: &Claim, kind: Option<Kind>, same_as_source: bool) -> Reply {
        let Some(kind) = kind else { return self.file(&claim.file).await };
        let Some(derivative) = derivative_path(&claim.file, kind) else { return Reply::Missing };
        let stored = self.stored(&derivative, &claim.file, kind).await;
        if self.how == Deliver::Authorize {
            // The server sends what lies there, or has Piwigo make it: of another picture, perhaps.
            let of_another = match stored {
                Stored::Fresh => false,
                Stored::NoSource => claim.file.starts_with("../"),
                Stored::Absent => self.would_be_another(&derivative, kind).await,
            };
            return if of_another { Reply::Missing } else { self.allowed(Handover::Authorized) };
        }
        match stored {
            Stored::Fresh => self.derivative(&derivative).await,
            Stored::NoSource => Reply::Missing,
            // Piwigo makes no derivative of a picture that is small enough: it shows the picture itself.
            Stored::Absent if same_as_source && self.can_send(&claim.file) => self.file(&claim.file).await,
            Stored::Absent if self.would_be_another(&derivative, kind).await => Reply::Missing,
            Stored::Absent => self.hand_to_piwigo(derivative),
        }
    }

    /// A picture of a file type, resized; the same for everybody.
    pub async fn icon(&self, icon: &Icon) -> Reply {
        if self.how == Deliver::Authorize {
            return self.allowed(Handover::Authorized);
        }
        let Some(derivative) = derivative_path(&icon.source, icon.kind) else { return Reply::Missing };
        match self.stored(&derivative, &icon.source, icon.kind).await {
            Stored::Fresh => self.derivative(&derivative).await,
            Stored::NoSource => self.settings.refusal(),
            Stored::Absent => self.hand_to_piwigo(derivative),
        }
    }

    async fn derivative(&self, derivative: &str) -> Reply {
        self.file(&format!("{}{derivative}", self.gallery.layout.derivative_dir)).await
    }

    /// Whether a file beside the root is in a directory that may be served, and this server can be told of it: a local
    /// redirect and an authorizer's yes lead to wherever the server itself maps the URL.
    fn can_send(&self, path: &str) -> bool {
        path.strip_prefix("../").is_none_or(|beside| {
            matches!(self.how, Deliver::XAccelRedirect | Deliver::XSendfile)
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
            Deliver::Authorize => self.allowed(Handover::Authorized),
            Deliver::XSendfile => {
                let root = self.settings.gallery.clone();
                let inspect = move || match (path.strip_prefix("../"), root.parent()) {
                    (Some(beside), Some(parent)) => send::inspect(parent, beside),
                    _ => send::inspect(&root, &path),
                };
                match self.disk.look(inspect).await {
                    Some(Ok(file)) => self.allowed(Handover::Sendfile {
                        path: file.path,
                        length: file.length,
                        modified: file.modified,
                    }),
                    Some(Err(reason)) => {
                        tracing::info!(%reason, "an allowed file cannot be sent");
                        Reply::Missing
                    }
                    None => Reply::Unavailable,
                }
            }
        }
    }

    fn hand_to_piwigo(&self, derivative: String) -> Reply {
        match (self.settings.derivatives, self.how) {
            (Derivatives::Existing, _) => Reply::Missing,
            (Derivatives::Piwigo, Deliver::XAccelRedirect) => {
                self.allowed(Handover::AccelIPhp { derivative })
            }
            (Derivatives::Piwigo, _) => {
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

/// The derivative's path below the derivatives' folder, from its source's.
pub(crate) fn derivative_path(source: &str, kind: Kind) -> Option<String> {
    String::from_utf8(name::derivative_path(source.as_bytes(), kind)?).ok()
}
