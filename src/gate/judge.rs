//! Turns a request into a verdict: finds the visitor and the rows that own the file, in two rounds of
//! database queries, or in one if a guess is right. [`access::decide`] alone decides.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::Gate;
use super::snapshot::Ready;
use crate::database::{Database, DatabaseError, DoorAndSession, GrantRow, IDS, Rows, UserRow};
use crate::http::request::Request;
use crate::piwigo::auth_key::AuthKey;
use crate::piwigo::gallery::Gallery;
use crate::piwigo::records::{Album, Claim};
use crate::piwigo::session::SignIn;
use crate::piwigo::visitor::{Identity, Visitor};
use crate::verdict::access::{self, Denial, Grant, Verdict};
use crate::verdict::identity::{Evidence, KeysFrom, Named};
use crate::verdict::owners;
use crate::verdict::uri::Target;

/// What the gate found about a request for a file with a row, and the verdict.
#[derive(Debug)]
pub struct Judgement {
    /// The visitor.
    pub visitor: Visitor,
    /// The account that the session, or `check`, names; the visitor may be another one.
    pub signed_in: Option<u32>,
    /// The session's cookie names a row that exists.
    pub has_session: bool,
    /// The gallery is locked.
    pub locked: bool,
    /// The rows that own the file.
    pub claims: Vec<Claim>,
    /// The verdict.
    pub verdict: Verdict,
}

impl Gate {
    /// Identifies the visitor and the file's rows, and decides.
    ///
    /// The database is queried in two rounds: visitor and file first, then rights. If there is a guess, the
    /// second round's queries run with the first, and again unless the answers allow the file. An unknown
    /// file takes the same two rounds as a denied one, so that the time an answer takes does not reveal
    /// whether the file exists.
    ///
    /// # Errors
    /// If the database did not answer; there is no verdict then.
    pub async fn judge(
        &self,
        ready: &Ready,
        request: &Request<'_>,
        as_user: Option<u32>,
        target: &Target,
    ) -> Result<Judgement, DatabaseError> {
        let Ready { database, gallery, .. } = ready;
        let keys = KeysFrom {
            query: self.settings.auth_key_everywhere || matches!(target, Target::Record(_)),
            header: self.settings.api_key_header,
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let evidence = Evidence::read(request, gallery, keys, self.settings.session_address, now);
        let remembered = evidence.remember_me.is_some();
        let guess = if as_user.is_none() { self.guess(&evidence, gallery) } else { None };
        let rights_by_guess = async {
            match &guess {
                Some((ids, albums)) => {
                    let grants = database.guessed_grants(albums.clone(), *ids);
                    Rights::ask(database, *ids, grants, remembered).await.map(Some)
                }
                None => Ok(None),
            }
        };
        let (door, in_file, key, remote_user, mut claims, rights) = tokio::try_join!(
            database.door_and_session(evidence.session_row_id.as_deref().unwrap_or_default(), remembered),
            async { Ok(self.session_file(gallery, request).await) },
            self.key(database, evidence.key.as_ref()),
            async {
                match &evidence.remote_user {
                    Some(name) => database.user_by_name(name).await.map(Some),
                    None => Ok(None),
                }
            },
            owners::of_target(database, target, gallery, &self.settings.companions),
            rights_by_guess,
        )?;
        let SignIn { user: session, is_unfinished } = in_file.unwrap_or_else(|| self.sign_in(&door));
        let named = match as_user {
            Some(_) => Named { session: as_user, ..Named::default() },
            None => Named {
                session,
                is_unfinished,
                remember_me: evidence.remember_me.as_ref().map(|cookie| cookie.user),
                remote_user,
                key,
            },
        };
        let ids = named.ids(gallery);
        let state = gallery.state(door.gallery_locked);
        let decide = |visitor: &Visitor, claims: &[Claim]| {
            access::decide(visitor, claims, target.kind(), &state, &self.settings.policy)
        };
        let decide_by = |rights: &Rights, claims: &mut [Claim]| {
            let visitor = named.choose(&rights.users, gallery, |row| {
                let signed = || {
                    let (cookie, secret) = (evidence.remember_me.as_ref()?, door.secret_key.as_ref()?);
                    let credentials = row.credentials.as_ref()?;
                    Some(cookie.is_signed_by(secret, &credentials.username, &credentials.password))
                };
                signed().unwrap_or(false)
            });
            for album in claims.iter_mut().flat_map(|claim| &mut claim.image.albums) {
                album.granted = rights.has(visitor.id, album.id);
            }
            (decide(&visitor, claims), visitor)
        };
        let confirmed = rights.filter(|_| guess.as_ref().is_some_and(|&(guessed, _)| guessed == ids));
        let hasty = confirmed.as_ref().map(|rights| decide_by(rights, &mut claims));
        let (mut verdict, visitor) = if let Some(allowed @ (Verdict::Allow { .. }, _)) = hasty {
            allowed
        } else {
            let albums = claims.iter().flat_map(|claim| &claim.image.albums);
            let private = albums.filter(|album| album.private).map(|album| album.id).collect();
            let grants = database.grants(private, ids);
            let rights = match confirmed {
                Some(Rights { users, .. }) => Rights { users, grants: grants.await? },
                None => Rights::ask(database, ids, grants, remembered).await?,
            };
            decide_by(&rights, &mut claims)
        };
        if as_user.is_none() {
            let session = evidence.session_row_id.as_deref().unwrap_or_default();
            self.guesses.learn(session, named.session, private_album(&verdict, &claims));
        }

        // Covers need a third round, so the gate asks for them only after a denial that depends on the file;
        // after every such denial, even if covers cannot help, so that an unknown file takes as long as one
        // of a higher level.
        let depends_on_the_file = matches!(verdict, Verdict::Deny(denial) if denial != Denial::NoAccess);
        if self.settings.policy.covers && target.kind().is_some() && depends_on_the_file {
            let images: Vec<u32> = claims.iter().map(|claim| claim.image.id).collect();
            let covers = database.covers(&images, visitor.id).await?;
            for claim in &mut claims {
                let of_this = covers.iter().filter(|cover| cover.image == claim.image.id);
                claim.cover_of =
                    of_this.map(|cover| Album { granted: cover.granted, ..cover.album }).collect();
            }
            verdict = decide(&visitor, &claims);
        }
        Ok(Judgement {
            visitor,
            signed_in: named.session,
            has_session: door.session.is_some(),
            locked: door.gallery_locked,
            claims,
            verdict,
        })
    }

    /// Guesses the accounts that this evidence names and the private albums that will matter; `None` without
    /// a guess.
    fn guess(&self, evidence: &Evidence, gallery: &Gallery) -> Option<([u32; IDS], Vec<u32>)> {
        if gallery.foreign_sessions.is_some() || evidence.remote_user.is_some() || evidence.key.is_some() {
            return None;
        }
        let guess = self.guesses.at(evidence.session_row_id.as_deref().unwrap_or_default())?;
        let remember_me = evidence.remember_me.as_ref().map(|cookie| cookie.user);
        let named = Named { session: guess.user, remember_me, ..Named::default() };
        Some((named.ids(gallery), guess.albums))
    }

    /// The user of a key that is neither expired nor revoked and, for an API key, comes with its secret.
    async fn key(
        &self,
        database: &Database,
        key: Option<&AuthKey>,
    ) -> Result<Option<(u32, Identity)>, DatabaseError> {
        let Some(key) = key else { return Ok(None) };
        let Some(row) = database.auth_key(key.id()).await?.filter(|row| row.valid) else { return Ok(None) };
        Ok(match (key, &row.secret) {
            (AuthKey::Mailed(_), _) => Some((row.user, Identity::MailedKey)),
            (AuthKey::Api { secret, .. }, Some(hash)) if self.api_keys.verify(secret, hash).await => {
                Some((row.user, Identity::ApiKey))
            }
            (AuthKey::Api { .. }, _) => None,
        })
    }

    /// What the session's file says, if PHP keeps the sessions; `None` if Piwigo does.
    async fn session_file(&self, gallery: &Gallery, request: &Request<'_>) -> Option<SignIn> {
        gallery.foreign_sessions.as_ref()?;
        Some(match &self.settings.session_files {
            Some(files) => files.sign_in(&request.cookies).await,
            None => SignIn::default(),
        })
    }

    /// What the session's row says. A row that is too old signs no user in, but an unfinished sign-in remains
    /// unfinished: the age is the gate's rule, not Piwigo's.
    fn sign_in(&self, door: &DoorAndSession) -> SignIn {
        let Some(row) = &door.session else { return SignIn::default() };
        let sign_in = row.sign_in.unwrap_or_else(|error| {
            if !self.session_was_unreadable.swap(true, Ordering::Relaxed) {
                tracing::warn!(%error, "a visitor counts as a guest; this is said once");
            }
            SignIn::default()
        });
        let is_too_old = self
            .settings
            .session_max_age
            .is_some_and(|max_age| row.age.is_none_or(|age| age.max(0).unsigned_abs() > max_age.as_secs()));
        SignIn { user: sign_in.user.filter(|_| !is_too_old), ..sign_in }
    }
}

/// The result of the second round: accounts and their grants.
struct Rights {
    users: Rows<UserRow>,
    grants: Rows<GrantRow>,
}

impl Rights {
    async fn ask(
        database: &Database,
        ids: [u32; IDS],
        grants: impl Future<Output = Result<Rows<GrantRow>, DatabaseError>>,
        with_credentials: bool,
    ) -> Result<Self, DatabaseError> {
        let (users, grants) = tokio::try_join!(database.users(ids, with_credentials), grants)?;
        Ok(Rights { users, grants })
    }

    fn has(&self, user: u32, album: u32) -> bool {
        self.grants.iter().any(|grant| grant.user == user && grant.album == album)
    }
}

/// The private album that opened the file, if one did.
fn private_album(verdict: &Verdict, claims: &[Claim]) -> Option<u32> {
    let Verdict::Allow { claim, because: Grant::Album(id) } = *verdict else { return None };
    claims[claim].image.albums.iter().find(|album| album.id == id && album.private).map(|album| album.id)
}
