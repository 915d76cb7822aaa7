//! The one function that joins the rooms: a request in, a reply out. Read it after `lib.rs`; every other room is
//! one step of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::access::{self, Verdict};
use crate::database::{DatabaseError, DoorAndSession};
use crate::deliver::Delivery;
use crate::disposition::Disposition;
use crate::fastcgi::{Head, Role};
use crate::image::{self, Claim};
use crate::piwigo::session;
use crate::ready::{Readiness, Ready};
use crate::reply::{Deliver, DenyStatus, Reply};
use crate::request::{Method, Request, Server};
use crate::serve::Handler;
use crate::settings::{Settings, SettingsError};
use crate::target::Target;
use crate::visitor::{self, Visitor};

/// The gate: its settings, and its database once that has been reached.
pub struct Gate {
    settings: Arc<Settings>,
    readiness: Readiness,
    /// It was said that a session could not be read.
    session_was_unreadable: AtomicBool,
}

/// What was found out about one request for a file with a row, and what follows from it.
#[derive(Debug)]
pub struct Judgement {
    /// Who asks.
    pub visitor: Visitor,
    /// The rows that own the file.
    pub claims: Vec<Claim>,
    /// What follows.
    pub verdict: Verdict,
}

impl Gate {
    /// Opens the gate. A database that is away is no error: requests are answered 503 until it is there.
    ///
    /// # Errors
    /// When the database refuses this user, or lacks a table, column or right: waiting would not help.
    pub async fn open(settings: Settings) -> Result<Self, SettingsError> {
        let settings = Arc::new(settings);
        let readiness = Readiness::open(settings.clone()).await?;
        Ok(Gate { settings, readiness, session_was_unreadable: AtomicBool::new(false) })
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Answers one request.
    pub async fn answer(&self, request: &Request<'_>) -> Reply {
        if request.role == Role::Authorizer && request.server == Server::Lighttpd {
            tracing::error!(
                "lighttpd's authorizer mode serves a file when an answer is missing or broken, so the gate allows \
                 nothing there: use mode responder with x-sendfile"
            );
            return Reply::Refused(DenyStatus::Forbidden);
        }
        let Some(deliver) = self.deliver(request) else {
            tracing::error!(
                "the web server does not say how files are to be sent: set GATE_DELIVER in its file, or deliver in \
                 gate.toml (x-accel-redirect, x-sendfile, location or authorize)"
            );
            return Reply::Unavailable;
        };
        let reply = match self.judge_and_deliver(request, deliver).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::error!(%error, "no verdict: answered 503");
                self.readiness.failed(&error);
                Reply::Unavailable
            }
        };
        if deliver == Deliver::Authorize { reply.for_authorizer() } else { reply }
    }

    async fn judge_and_deliver(
        &self,
        request: &Request<'_>,
        deliver: Deliver,
    ) -> Result<Reply, DatabaseError> {
        if request.method == Method::Other {
            return Ok(Reply::MethodNotAllowed);
        }
        let ready = self.readiness.ready().await?;
        let gallery = &*ready.gallery;
        let delivery = Delivery { settings: &self.settings, gallery, how: deliver };

        let target = match Target::read(request.uri, &gallery.layout, &gallery.derivatives) {
            Ok(target) => target,
            Err(refusal) => return Ok(self.refuse(request, None, &refusal)),
        };
        // The server would serve what it maps `/i.php` to, not what was judged.
        if deliver == Deliver::Authorize && Target::is_script_form(request.uri, &gallery.layout) {
            return Ok(self.refuse(request, None, &"a script cannot be authorized, only a file"));
        }
        if let Target::Icon(icon) = &target {
            return Ok(delivery.icon(icon).await);
        }
        let kind = target.kind();

        let Judgement { visitor, claims, verdict } = self.judge(&ready, request, &target).await?;
        match verdict {
            Verdict::GalleryLocked => Ok(Reply::GalleryLocked),
            Verdict::Deny(denial) => Ok(self.refuse(request, Some(&visitor), &denial)),
            Verdict::Allow { claim, because } => {
                let claim = &claims[claim];
                tracing::debug!(user = visitor.id, image = claim.image.id, ?because, "allowed");
                let state = gallery.state(false);
                let same_as_source =
                    kind.is_some_and(|kind| access::is_same_as_source(kind, &claim.image, &state));
                let reply = delivery.claim(claim, kind, same_as_source).await;
                Ok(match &target {
                    Target::Record(record) => reply.named(Disposition::of(claim, record.download)),
                    _ => reply,
                })
            }
        }
    }

    /// Finds out who asks and what the file is, and decides.
    ///
    /// Two rounds of questions to the database: who is it and what is it; then, what may they see. An unknown file takes
    /// the same two rounds as a denied one, so that the clock tells them apart no better than the answer does.
    ///
    /// # Errors
    /// When the database did not answer: then there is no verdict.
    pub async fn judge(
        &self,
        ready: &Ready,
        request: &Request<'_>,
        target: &Target,
    ) -> Result<Judgement, DatabaseError> {
        let Ready { database, gallery, .. } = ready;
        let cookie = visitor::session_row_id(
            &request.cookies,
            &gallery.session_name,
            gallery.session_use_ip_address,
            request.remote_addr,
        );
        let (door, mut claims) = tokio::try_join!(
            database.door_and_session(cookie.as_deref().unwrap_or_default()),
            image::of_target(database, target, gallery, &self.settings.companions),
        )?;
        let signed_in = self.signed_in(&door);
        let id = signed_in.unwrap_or(gallery.guest_id);
        let images: Vec<u32> = claims.iter().map(|claim| claim.image.id).collect();
        let (users, grants) = tokio::try_join!(
            database.users(id, gallery.guest_id),
            database.grants(&images, id, gallery.guest_id),
        )?;
        let visitor = Visitor::choose(&users, signed_in, gallery.guest_id);
        for album in claims.iter_mut().flat_map(|claim| &mut claim.image.albums) {
            album.granted = grants.iter().any(|grant| grant.user == visitor.id && grant.album == album.id);
        }

        let state = gallery.state(door.gallery_locked);
        let verdict = access::decide(&visitor, &claims, target.kind(), &state, &self.settings.policy);
        Ok(Judgement { visitor, claims, verdict })
    }

    /// The user that a session's row names, if it is young enough.
    fn signed_in(&self, door: &DoorAndSession) -> Option<u32> {
        let row = door.session.as_ref()?;
        if let Some(max_age) = self.settings.session_max_age
            && row.age.is_none_or(|age| age.max(0).unsigned_abs() > max_age.as_secs())
        {
            return None;
        }
        session::session_user_id(&row.data).unwrap_or_else(|error| {
            if !self.session_was_unreadable.swap(true, Ordering::Relaxed) {
                tracing::warn!(%error, "a visitor counts as a guest; this is said once");
            }
            None
        })
    }

    /// How this server is told to send a file (DESIGN.md, `auto`); `None` if nothing says how.
    fn deliver(&self, request: &Request<'_>) -> Option<Deliver> {
        if request.role == Role::Authorizer {
            return Some(Deliver::Authorize);
        }
        let by_server = (request.server == Server::Nginx).then_some(Deliver::XAccelRedirect);
        self.settings.deliver.or(request.deliver).or(by_server)
    }

    /// The one refusal, with its reason in the log only.
    fn refuse(&self, request: &Request<'_>, visitor: Option<&Visitor>, why: &dyn std::fmt::Display) -> Reply {
        tracing::info!(
            client = request.remote_addr,
            user = visitor.map_or(0, |visitor| visitor.id),
            path = %request.uri.split(|&byte| byte == b'?').next().unwrap_or_default().escape_ascii(),
            reason = %why,
            "refused"
        );
        Reply::Refused(self.settings.deny_status)
    }
}

/// A gate that can be replaced while it serves (SIGHUP).
pub struct Replaceable(RwLock<Arc<Gate>>);

impl Replaceable {
    /// Serves with `gate` until it is replaced.
    pub fn new(gate: Gate) -> Self {
        Replaceable(RwLock::new(Arc::new(gate)))
    }

    /// Requests from now on are answered by `gate`; those under way end with the old one.
    pub fn replace(&self, gate: Gate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gate);
    }

    fn current(&self) -> Arc<Gate> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Handler for Replaceable {
    async fn handle(&self, request: &Request<'_>) -> Reply {
        self.current().answer(request).await
    }

    fn refuse(&self, _head: &Head, why: &dyn std::fmt::Display) -> Reply {
        tracing::info!(reason = %why, "refused");
        Reply::Refused(self.current().settings.deny_status)
    }
}
