//! Turns a request into a reply by joining the rooms. Read it after `lib.rs`; every other room is one step of
//! it.

pub mod deliver;
mod judge;
pub mod refusal;
pub mod snapshot;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use self::deliver::Delivery;
use self::refusal::RefusalReason;
use self::snapshot::{Readiness, Ready};
use crate::database::{DatabaseError, IDS, Trouble};
use crate::derivative::maker::{self, Maker};
use crate::fastcgi::{Head, Role};
use crate::files::blocking::Disk;
use crate::http::disposition::Disposition;
use crate::http::reply::{DenyStatus, Handover, Reply, SendMode};
use crate::http::request::{Method, Request, Server};
use crate::server::serve::Handler;
use crate::settings::{ActionPhp, DenyWith, Settings, SettingsError};
use crate::verdict::access::{self, Verdict};
use crate::verdict::api_keys::Verifier;
use crate::verdict::prefetch::Guesses;
use crate::verdict::uri::{self, Part, Target};

pub use judge::Judgement;

/// Longest query of `action.php` that the gate hands to Piwigo, in bytes. Encoding can triple its length, and
/// nginx reads the headers of an answer into one page of memory. Piwigo's own queries have fewer than 100
/// bytes.
const MAX_HANDED_QUERY: usize = 1024;

/// The gate: its settings, and its database once it could be reached.
pub struct Gate {
    settings: Arc<Settings>,
    readiness: Readiness,
    /// The log already has the warning that the web server gives no IP address.
    address_was_odd: AtomicBool,
    /// The log already has the warning that a session cannot be read.
    session_was_unreadable: AtomicBool,
    api_keys: Verifier,
    guesses: Guesses,
    disk: Disk,
    maker: Arc<Maker>,
    /// The log already has the line that the gate sends files itself.
    streaming_was_told: AtomicBool,
    /// The log already has the warning that a history row cannot be written.
    history_was_unwritable: AtomicBool,
    /// The log already has the warning that a server's file does not lead to Piwigo's `action.php`.
    misleading_file_was_told: AtomicBool,
    refusals: refusal::Log,
}

/// A request together with its verdict.
pub struct Considered {
    /// The database and settings that it was judged by.
    pub ready: Arc<Ready>,
    /// The file that the request names.
    pub target: Result<Target, uri::BadUri>,
    /// The verdict; `None` for a file that can have no row (an icon) and for a request that is left to
    /// Piwigo.
    pub judgement: Option<Judgement>,
    /// The request is for `action.php`, and Piwigo answers it (setting `action_php`).
    pub is_left_to_piwigo: bool,
}

impl Gate {
    /// Opens the gate. A database that cannot be reached is no error: requests get 503 until it can.
    ///
    /// # Errors
    /// If the database refuses this user, or lacks a table, column or right: waiting would not help.
    pub async fn open(settings: Settings) -> Result<Self, SettingsError> {
        let settings = Arc::new(settings);
        let readiness = Readiness::open(settings.clone()).await?;
        // A client that waits for a picture holds a connection; half of the connections stay free for others.
        let waiting = settings.limits.max_connections / 2;
        Ok(Gate {
            maker: Maker::new(settings.derivative_jobs, waiting, maker::PATIENCE),
            settings,
            readiness,
            address_was_odd: AtomicBool::new(false),
            session_was_unreadable: AtomicBool::new(false),
            api_keys: Verifier::default(),
            guesses: Guesses::default(),
            disk: Disk::default(),
            streaming_was_told: AtomicBool::new(false),
            history_was_unwritable: AtomicBool::new(false),
            misleading_file_was_told: AtomicBool::new(false),
            refusals: refusal::Log::default(),
        })
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Answers one request.
    pub async fn answer(&self, request: &Request<'_>) -> Reply {
        // lighttpd can have any name (`server.tag`), so the gate goes by the names that Apache's modules
        // give.
        if request.role == Role::Authorizer && !request.by_apache_role {
            tracing::error!(
                "an authorizer that is not Apache's: lighttpd's serves a file when an answer is missing or broken, so the \
                 gate allows nothing there: use mode responder with x-sendfile"
            );
            return Reply::Refused(DenyStatus::Forbidden);
        }
        self.tell_of_address(request.remote_addr);
        let deliver = self.send_mode(request);
        if request.server == Server::Caddy && deliver == SendMode::XAccelRedirect {
            tracing::error!(
                "Caddy's versions read X-Accel-Redirect in different ways, and might send another file than was judged: \
                 use the file that piwigo-gate config caddy prints (deliver x-sendfile)"
            );
            return Reply::Unavailable;
        }
        let reply = match self.answer_file(request, deliver).await {
            Ok(reply) => reply,
            Err(error) => {
                self.readiness.failed(&error);
                Reply::Unavailable
            }
        };
        if deliver == SendMode::Authorize { reply.for_authorizer() } else { reply }
    }

    /// Logs once that the web server gives no IP address of a visitor. Piwigo and the gate go on, and
    /// sessions are bound to no address.
    fn tell_of_address(&self, address: &str) {
        if address.parse::<std::net::IpAddr>().is_err() && !self.address_was_odd.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "the web server says REMOTE_ADDR={address}, which is no IP address; where nginx listens on a unix socket, add to its \
                 server block: set_real_ip_from unix:; real_ip_header X-Forwarded-For;"
            );
        }
    }

    async fn answer_file(&self, request: &Request<'_>, deliver: SendMode) -> Result<Reply, DatabaseError> {
        if request.method == Method::Other {
            return Ok(Reply::MethodNotAllowed);
        }
        let considered = self.consider(request, None).await?;
        let reply = self.reply_with(Some(&self.maker), request, &considered, deliver).await;
        if self.settings.history && matches!(reply, Reply::Allowed { .. }) {
            self.record(request, &considered).await;
        }
        Ok(reply)
    }

    /// Writes to Piwigo's history what its `action.php` would write: originals and formats, once per
    /// download. A visitor who may have a file gets it even if the row cannot be written.
    async fn record(&self, request: &Request<'_>, considered: &Considered) {
        let Ready { database, gallery, .. } = &*considered.ready;
        let (Ok(Target::Record(record)), Some(judgement)) = (&considered.target, &considered.judgement)
        else {
            return;
        };
        let format = match record.part {
            Part::Element(_) => None,
            Part::Format { format, .. } => Some(format),
            Part::Representative(_) => return,
        };
        let Verdict::Allow { claim, .. } = judgement.verdict else { return };
        let visitor = &judgement.visitor;
        if request.method != Method::Get
            || request.is_continuation
            || !gallery.history.records(visitor.status)
        {
            return;
        }
        let image = judgement.claims[claim].image.id;
        if let Err(error) = database.was_taken(visitor.id, request.remote_addr, image, format).await
            && !self.history_was_unwritable.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "the history row of a download cannot be written; this is said once");
        }
    }

    /// Reads the request, finds visitor and rows, and decides. With `as_user`, the request is judged as a
    /// session of that user (`check`).
    ///
    /// If a table or column turns out to be missing, Piwigo was upgraded, and the gate inspects its tables
    /// once more.
    ///
    /// # Errors
    /// If the database did not answer; there is no verdict then.
    pub async fn consider(
        &self,
        request: &Request<'_>,
        as_user: Option<u32>,
    ) -> Result<Considered, DatabaseError> {
        let ready = self.readiness.ready().await?;
        // Boxed, because the queries make a large future, which a connection need not hold while it waits for
        // a request.
        match Box::pin(self.consider_by(ready.clone(), request, as_user)).await {
            Err(error) if error.trouble() == Trouble::Schema => {
                let ready = self.readiness.anew(&ready, &error).await?;
                Box::pin(self.consider_by(ready, request, as_user)).await
            }
            answer => answer,
        }
    }

    async fn consider_by(
        &self,
        ready: Arc<Ready>,
        request: &Request<'_>,
        as_user: Option<u32>,
    ) -> Result<Considered, DatabaseError> {
        let layout = ready.gallery.layout.mounted_at(request.url_prefix);
        let target = Target::read(request.uri, &layout, &ready.gallery.derivatives);
        let is_left_to_piwigo = ready.action_php(&self.settings) == ActionPhp::Piwigo
            && Target::is_download_script(request.uri, &layout);
        let judgement = match &target {
            _ if is_left_to_piwigo => None,
            Err(_) | Ok(Target::Icon(_)) => None,
            Ok(target) => Some(self.judge(&ready, request, as_user, target).await?),
        };
        Ok(Considered { ready, target, judgement, is_left_to_piwigo })
    }

    /// Everything after the verdict: the answer for a server that is told by `deliver`. Refusals go to the
    /// log. No derivative is made: the answer for one that would be is as if it had been.
    pub async fn reply(&self, request: &Request<'_>, considered: &Considered, deliver: SendMode) -> Reply {
        self.reply_with(None, request, considered, deliver).await
    }

    async fn reply_with(
        &self,
        maker: Option<&Arc<Maker>>,
        request: &Request<'_>,
        considered: &Considered,
        deliver: SendMode,
    ) -> Reply {
        let ready = &*considered.ready;
        let gallery = &ready.gallery;
        let layout = gallery.layout.mounted_at(request.url_prefix);
        let delivery = Delivery {
            settings: &self.settings,
            ready,
            request,
            url_prefix: &layout.url_prefix,
            disk: &self.disk,
            maker,
            how: deliver,
            asks_for_address: Target::asks_for_address(request.uri, &layout),
        };
        if considered.is_left_to_piwigo {
            return self.leave_to_piwigo(request, considered, deliver);
        }
        let target = match &considered.target {
            Ok(target) => target,
            Err(refusal) => return self.refuse(request, considered, (*refusal).into()),
        };
        // The server would serve the file that it maps `/i.php` to, not the one that was judged.
        if deliver == SendMode::Authorize && Target::is_script_form(request.uri, &layout) {
            return self.refuse(request, considered, RefusalReason::Script);
        }
        let Some(judgement) = &considered.judgement else {
            let Target::Icon(icon) = target else { return Reply::Unavailable };
            return match delivery.icon(icon).await {
                Reply::Refused(_) | Reply::RefusedByPicture(_) => {
                    self.refuse(request, considered, RefusalReason::NoIcon)
                }
                reply => reply,
            };
        };
        let kind = target.kind();
        match judgement.verdict {
            Verdict::GalleryLocked => Reply::GalleryLocked,
            Verdict::Deny(denial) => self.refuse(request, considered, denial.into()),
            Verdict::Allow { claim, because } => {
                let claim = &judgement.claims[claim];
                tracing::debug!(user = judgement.visitor.id, image = claim.image.id, ?because, "allowed");
                let state = gallery.state(false);
                let same_as_source =
                    kind.is_some_and(|kind| access::is_same_as_source(kind, &claim.image, &state));
                let reply = delivery.claim(claim, kind, same_as_source).await;
                match target {
                    Target::Record(record) => reply.named(Disposition::of(claim, record.download)),
                    _ => reply,
                }
            }
        }
    }

    /// Sends the visitor to Piwigo's `action.php`, if the server's file leads there. Piwigo alone decides;
    /// the gate has judged nothing.
    fn leave_to_piwigo(&self, request: &Request<'_>, considered: &Considered, deliver: SendMode) -> Reply {
        if !request.hands_over_downloads || deliver == SendMode::Authorize {
            if !self.misleading_file_was_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "downloads by action.php are refused: they are left to Piwigo (setting action_php, or the default with an \
                     active plugin), and the web server's file sends them to the gate. Print that file anew (piwigo-gate config \
                     KIND); this is said once"
                );
            }
            return self.refuse(request, considered, RefusalReason::LeftToPiwigo);
        }
        let query = request.uri.splitn(2, |&byte| byte == b'?').nth(1).unwrap_or_default().to_vec();
        if query.len() > MAX_HANDED_QUERY {
            return self.refuse(request, considered, RefusalReason::LongQuery);
        }
        let handover = if request.server == Server::Nginx {
            Handover::AccelActionPhp { query }
        } else {
            let layout = considered.ready.gallery.layout.mounted_at(request.url_prefix);
            Handover::LocalActionPhp { prefix: layout.url_prefix.clone(), query }
        };
        Reply::Allowed { handover, cache: "".into(), disposition: None }
    }

    /// How the gate tells this server to send a file (docs/design.md §3). If nothing names a way, the gate
    /// sends it.
    fn send_mode(&self, request: &Request<'_>) -> SendMode {
        // An authorizer or authenticator request can be answered in no other way, whatever gate.toml says.
        if request.role == Role::Authorizer || request.deliver == Some(SendMode::Authorize) {
            return SendMode::Authorize;
        }
        let by_server = (request.server == Server::Nginx).then_some(SendMode::XAccelRedirect);
        let said = self.settings.deliver.or(request.deliver).or(by_server);
        if said.is_none() && !self.streaming_was_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the web server does not say how files are to be sent, so the gate sends the bytes itself. If it can send \
                 files by a header, that is faster: set GATE_DELIVER in its file, or deliver in gate.toml \
                 (x-accel-redirect, x-sendfile, location or authorize); or say stream, and this is not said again"
            );
        }
        match said.unwrap_or(SendMode::Stream) {
            // A name with `%` would name another file.
            SendMode::XSendfile if request.server == Server::Lighttpd => SendMode::XSendfileEncoded,
            deliver => deliver,
        }
    }

    /// The refusal that every visitor gets; its reason goes to the log only. With `deny = "login"`, a visitor
    /// who is not signed in and opens the URL in a browser is sent to sign in, whether the file exists or
    /// not.
    fn refuse(&self, request: &Request<'_>, considered: &Considered, why: RefusalReason) -> Reply {
        let visitor = considered.judgement.as_ref().map(|judgement| &judgement.visitor);
        let gallery = &considered.ready.gallery;
        let sign_in = || {
            visitor.filter(|visitor| visitor.id == gallery.guest_id)?;
            let layout = gallery.layout.mounted_at(request.url_prefix);
            refusal::sign_in_page(considered.target.as_ref().ok()?, &layout)
        };
        let reply = if self.settings.deny == DenyWith::Login && request.is_navigation {
            sign_in().map(|location| Reply::SignIn { location })
        } else {
            None
        };
        let reply = reply.unwrap_or_else(|| self.settings.refusal());
        self.refusals.refused(request, visitor, reply.status(), why);
        reply
    }

    /// The id of the account with exactly this name, or else with this id.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn user(&self, name_or_id: &str) -> Result<Option<u32>, DatabaseError> {
        let ready = self.readiness.ready().await?;
        if let Some(id) = ready.database.user_by_name(name_or_id).await? {
            return Ok(Some(id));
        }
        let Ok(id) = name_or_id.parse::<u32>() else { return Ok(None) };
        let users = ready.database.users([id; IDS], false).await?;
        Ok(users.iter().any(|user| user.id == id).then_some(id))
    }
}

/// A gate that can be replaced while it serves (SIGHUP).
pub struct Replaceable(RwLock<Arc<Gate>>);

impl Replaceable {
    /// Serves with `gate` until it is replaced.
    pub fn new(gate: Gate) -> Self {
        Replaceable(RwLock::new(Arc::new(gate)))
    }

    /// Later requests are answered by `gate`; those under way finish with the old one.
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
        let gate = self.current();
        gate.refusals.malformed(why);
        gate.settings.refusal()
    }
}
