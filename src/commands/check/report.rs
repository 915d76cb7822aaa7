//! The result of `check` for one URL, as data: `--json` prints it, and the text is written from it.

use serde::Serialize;

use super::{CheckError, Who};
use crate::gate::{Considered, Gate, Judgement, refusal};
use crate::http::reply::{Handover, Reply, SendMode};
use crate::http::request::{Request, Server};
use crate::piwigo::records::Ownership;
use crate::piwigo::sizes::name::Kind;
use crate::piwigo::visitor::{Identity, Status};
use crate::settings::DenyWith;
use crate::verdict::access::{self, AlbumRule, Grant, HighRule, Verdict};
use crate::verdict::uri::{Part, Target};

/// One URL, one visitor, one verdict.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The path asked for, percent-encoded as given; without host and without any key.
    pub path: String,
    /// The photo whose page was asked about, where the path is that of one of its files.
    pub photo: Option<u32>,
    /// How it was read.
    pub read_as: ReadAs,
    /// The visitor; missing if the verdict does not depend on one.
    pub visitor: Option<Person>,
    /// Whether this visitor may enter the gallery.
    pub gallery: Option<Door>,
    /// The rows that own the file.
    pub records: Vec<Record>,
    /// The character set in which paths are compared, where Piwigo's `DB_CHARSET` names one that cannot hold
    /// every text.
    pub charset: Option<String>,
    /// The request is for `action.php`, which Piwigo answers here: the gate has no verdict.
    pub left_to_piwigo: bool,
    /// Whether the visitor may have the file.
    pub allowed: bool,
    /// Why, in words.
    pub reason: String,
    /// Why the gate cannot send an allowed file that lies on disk, for instance because of a link that is
    /// not followed.
    pub out_of_reach: Option<String>,
    /// The answer to each kind of server.
    pub answers: Vec<Prediction>,
    /// What a visitor who is not signed in gets, if that differs.
    pub sign_in: Option<String>,
}

/// How a URL was read.
#[derive(Debug, Serialize)]
pub struct ReadAs {
    /// `file`, `derivative`, `icon`, `record` (`action.php`) or `nothing`.
    pub what: &'static str,
    /// The path of the file, or of a resized picture's source, relative to the gallery; for a record, its
    /// numbers in words.
    pub source: Option<String>,
    /// The size's token, such as `th`.
    pub size: Option<String>,
    /// Why it names nothing.
    pub problem: Option<String>,
}

/// The visitor.
#[derive(Debug, Serialize)]
pub struct Person {
    /// The account's id.
    pub id: u32,
    /// Its name, where `--user` gave it.
    pub name: Option<String>,
    /// Its status, as it counts.
    pub status: &'static str,
    /// Its level.
    pub level: u32,
    /// Its right to originals.
    pub enabled_high: bool,
    /// How the visitor was recognised: `user` (`--user`), `session`, `remember-me`, `remote-user`,
    /// `mailed-key`, `api-key`, `unfinished` (signed in by password, and without the second factor a guest)
    /// or `none`.
    pub by: &'static str,
    /// The same in words.
    pub how: String,
}

/// The gallery as a whole.
#[derive(Debug, Serialize)]
pub struct Door {
    /// It is locked (and the visitor is no administrator).
    pub locked_out: bool,
    /// A visitor of this status may see something.
    pub may_enter: bool,
}

/// One row that owns the file.
#[derive(Debug, Serialize)]
pub struct Record {
    /// `images.id`.
    pub image: u32,
    /// Its path, relative to the gallery.
    pub path: String,
    /// What the file is for this row: `original`, `representative`, `format` or `companion`.
    pub owns_as: &'static str,
    /// An administrator sees every record.
    pub administrator: bool,
    /// Its albums.
    pub albums: Vec<Rule>,
    /// The albums whose cover it is, if covers open files.
    pub covers: Vec<Rule>,
    /// Its level.
    pub level: u32,
    /// Whether the level is not above the visitor's.
    pub level_passes: bool,
    /// The right to originals: `not needed`, `held`, `lacking`, or `not downloadable` (held, but no album
    /// that opens the image allows downloads).
    pub originals: &'static str,
    /// Whether this row alone opens the file.
    pub opens: bool,
}

/// The verdict of one album.
#[derive(Debug, Serialize)]
pub struct Rule {
    /// `categories.id`.
    pub album: u32,
    /// Whether it opens what is in it.
    pub opens: bool,
    /// Why, in words.
    pub why: &'static str,
}

/// The answer to one kind of server.
#[derive(Debug, Serialize)]
pub struct Prediction {
    /// Which server, in words.
    pub server: &'static str,
    /// The setting `deliver` for this server.
    pub deliver: &'static str,
    /// The status.
    pub status: u16,
    /// The header that makes the server send the file, if any.
    pub header: Option<String>,
    /// What that means.
    pub meaning: &'static str,
}

/// A server whose file was printed before the gate asked how the server reads `X-Sendfile`.
const UNSETTLED: &str = "Apache or Caddy, a file without GATE_XSENDFILE";

const SERVERS: [(SendMode, &str, &str); 6] = [
    (SendMode::XAccelRedirect, "nginx", "x-accel-redirect"),
    (SendMode::XSendfile, "Apache, mod_xsendfile", "x-sendfile"),
    (SendMode::XSendfileEncoded, "lighttpd", "x-sendfile-encoded"),
    (SendMode::Location, "Apache, .htaccess", "location"),
    (SendMode::Authorize, "auth_request, authorizers", "authorize"),
    (SendMode::Stream, "any other", "stream"),
];

/// Considers the request as `serve` does and reports the result.
pub(super) async fn report(
    gate: &Gate,
    who: &Who,
    as_user: Option<u32>,
    request: &Request<'_>,
) -> Result<Report, CheckError> {
    let considered = gate.consider(request, as_user).await?;
    let out_of_reach = out_of_reach(&considered);
    let (mut answers, mut by_old_file) = (Vec::new(), None);
    for (deliver, server, name) in SERVERS {
        let by_nginx = deliver == SendMode::XAccelRedirect;
        let server_is = if by_nginx { Server::Nginx } else { request.server };
        let asked_by = |sendfile_is_raw| Request {
            server: server_is,
            cookies: request.cookies.clone(),
            sendfile_is_raw,
            // As in the files that `config` prints now.
            hands_over_downloads: !matches!(deliver, SendMode::XSendfileEncoded | SendMode::Stream),
            ..*request
        };
        let reply = gate.reply(&asked_by(true), &considered, deliver).await;
        let reply = if deliver == SendMode::Authorize { reply.for_authorizer() } else { reply };
        let mut answer = answer(server, name, &reply);
        if out_of_reach.is_some() && matches!(reply, Reply::Missing) {
            answer.meaning = "the visitor may have the file, but the gate cannot reach it";
        }
        if deliver == SendMode::Authorize
            && Target::is_script_form(request.uri, &considered.ready.gallery.layout)
        {
            answer.meaning = if considered.is_left_to_piwigo {
                "refused; but the printed file asks Piwigo's action.php, and not the gate"
            } else {
                "refused: where the server only asks, scripts cannot be guarded, only files"
            };
        }
        answers.push(answer);
        if deliver == SendMode::XSendfile && matches!(reply, Reply::Allowed { .. }) {
            let unsettled = gate.reply(&asked_by(false), &considered, deliver).await;
            by_old_file = matches!(unsettled, Reply::Missing).then_some(Prediction {
                server: UNSETTLED,
                deliver: name,
                status: unsettled.status(),
                header: None,
                meaning: "not sent: that server might decode the % in the path; print its file anew",
            });
        }
    }
    answers.extend(by_old_file);
    let navigation = Request { is_navigation: true, cookies: request.cookies.clone(), ..*request };
    let sign_in = match gate.reply(&navigation, &considered, SendMode::XAccelRedirect).await {
        Reply::SignIn { location } if gate.settings().deny == DenyWith::Login => Some(location),
        _ => None,
    };
    let explained = considered.judgement.as_ref().map(|judgement| {
        let state = considered.ready.gallery.state(judgement.locked);
        let kind = considered.target.as_ref().ok().and_then(Target::kind);
        let policy = &gate.settings().policy;
        access::explain(&judgement.visitor, &judgement.claims, kind, &state, policy)
    });
    let (allowed, mut reason) = outcome(&considered, &answers);
    if let Some(why_guest) = explained.as_ref().and_then(|rules| rules.why_guest).filter(|_| !allowed) {
        reason = format!("{reason}; the visitor counts as a guest: {why_guest}");
    }
    let records = match (&considered.judgement, &explained) {
        (Some(judgement), Some(explained)) => judgement
            .claims
            .iter()
            .zip(&explained.claims)
            .map(|(claim, rules)| record(claim, rules))
            .collect(),
        _ => Vec::new(),
    };
    Ok(Report {
        path: refusal::Path(request.uri).to_string(),
        photo: None,
        read_as: read_as(&considered),
        visitor: considered.judgement.as_ref().map(|judgement| person(who, judgement)),
        gallery: explained.map(|rules| Door { locked_out: rules.locked_out, may_enter: rules.may_enter }),
        records,
        charset: considered.ready.database.narrow_charset().map(str::to_owned),
        left_to_piwigo: considered.is_left_to_piwigo,
        allowed,
        reason,
        out_of_reach,
        answers,
        sign_in,
    })
}

/// Why the gate cannot send the allowed file or resized picture that lies on disk; `None` also if there is
/// no such file.
fn out_of_reach(considered: &Considered) -> Option<String> {
    let judgement = considered.judgement.as_ref()?;
    let Verdict::Allow { claim, .. } = judgement.verdict else { return None };
    let file = judgement.claims.get(claim)?.file.clone();
    let resized = considered
        .target
        .as_ref()
        .ok()
        .and_then(Target::kind)
        .and_then(|kind| considered.ready.gallery.layout.derivative(&file, kind));
    let troubles = [Some(file), resized].into_iter().flatten().filter_map(|path| {
        considered
            .ready
            .tree
            .look(&path)
            .err()
            .filter(|reason| !reason.is_absent())
            .map(|reason| reason.to_string())
    });
    troubles.into_iter().next()
}

fn read_as(considered: &Considered) -> ReadAs {
    let (what, source, kind, problem) = match &considered.target {
        Ok(Target::File(source)) => ("file", Some(source.path.clone()), None, None),
        Ok(Target::Derivative { source, kind }) => {
            ("derivative", Some(source.path.clone()), Some(*kind), None)
        }
        Ok(Target::Icon(icon)) => ("icon", Some(icon.source.clone()), Some(icon.kind), None),
        Ok(Target::Record(record)) => ("record", Some(part(record.part)), None, None),
        Err(refusal) => ("nothing", None, None, Some(refusal.to_string())),
    };
    ReadAs { what, source, size: kind.map(Kind::token), problem }
}

/// A file that `action.php` names by numbers, in words.
fn part(part: Part) -> String {
    match part {
        Part::Element(id) => format!("original of image {id}"),
        Part::Representative(id) => format!("representative picture of image {id}"),
        Part::Format { format, image: None } => format!("format {format}"),
        Part::Format { format, image: Some(image) } => format!("format {format} of image {image}"),
    }
}

/// How the gate recognised a visitor, as a word for programs and as words for people.
fn by_identity(identity: Identity) -> (&'static str, String) {
    let (by, how) = match identity {
        Identity::Guest => ("none", "the guest"),
        Identity::Unfinished => ("unfinished", "the guest: the second factor of the sign-in is missing"),
        Identity::Session => ("session", "by the session that the cookie names"),
        Identity::RememberMe => ("remember-me", "by the remember-me cookie"),
        Identity::RemoteUser => ("remote-user", "by the web server's own user"),
        Identity::MailedKey => ("mailed-key", "by the key in the address (?auth=)"),
        Identity::ApiKey => ("api-key", "by an API key"),
    };
    (by, how.to_owned())
}

fn person(who: &Who, judgement: &Judgement) -> Person {
    let visitor = &judgement.visitor;
    let named = matches!(who, Who::User(_));
    let (by, how) = match (who, judgement.signed_in) {
        (_, Some(id)) if visitor.identity == Identity::Unfinished => {
            let (by, _) = by_identity(visitor.identity);
            (by, format!("account {id} counts as the guest: the second factor of the sign-in is missing"))
        }
        _ if !named && visitor.identity != Identity::Guest => by_identity(visitor.identity),
        (_, Some(id)) if id != visitor.id => (
            "none",
            format!("account {id} is deleted, or deactivated by status guest: it counts as the guest"),
        ),
        (Who::User(_), _) => ("user", "judged as a session of this account would be".to_owned()),
        (_, Some(_)) => by_identity(Identity::Guest),
        (Who::Cookies { .. }, None) if judgement.has_session => (
            "none",
            "the guest: the cookie's session exists, but nobody is signed in with it, or it is too old".to_owned(),
        ),
        (Who::Cookies { .. }, None) => (
            "none",
            "the guest: no session belongs to this cookie and address (sessions are bound to the first half of an \
             IPv4 address)"
                .to_owned(),
        ),
        (Who::Guest, None) => ("none", "the guest: nobody is named (--user or --cookie)".to_owned()),
    };
    let name = match who {
        Who::User(name) if named && judgement.signed_in == Some(visitor.id) => Some(name.clone()),
        _ => None,
    };
    Person {
        id: visitor.id,
        name,
        status: match visitor.status {
            Status::Webmaster => "webmaster",
            Status::Admin => "admin",
            Status::Normal => "normal",
            Status::Generic => "generic",
            Status::Guest => "guest",
            Status::Unknown => "unknown",
        },
        level: visitor.level,
        enabled_high: visitor.enabled_high,
        by,
        how,
    }
}

fn record(claim: &crate::piwigo::records::Claim, rules: &access::ClaimRules) -> Record {
    let told = |albums: &[(u32, AlbumRule)]| {
        albums.iter().map(|&(album, rule)| Rule { album, opens: rule.opens(), why: why(rule) }).collect()
    };
    Record {
        image: claim.image.id,
        path: claim.image.path.clone(),
        owns_as: match claim.ownership {
            Ownership::Original => "original",
            Ownership::Representative => "representative",
            Ownership::Format => "format",
            Ownership::Companion => "companion",
        },
        administrator: rules.administrator,
        albums: told(&rules.albums),
        covers: told(&rules.covers),
        level: rules.level,
        level_passes: rules.level_passes,
        originals: match rules.high {
            HighRule::NotNeeded => "not needed",
            HighRule::Held => "held",
            HighRule::Lacking => "lacking",
            HighRule::NotDownloadable => "not downloadable",
        },
        opens: rules.outcome().is_ok(),
    }
}

fn why(rule: AlbumRule) -> &'static str {
    match rule {
        AlbumRule::Public => "public",
        AlbumRule::Granted => "private, and granted to the visitor or to one of their groups",
        AlbumRule::LockedButAdmin => "locked, but the visitor is an administrator",
        AlbumRule::Private => "private, and granted neither to the visitor nor to one of their groups",
        AlbumRule::Locked => "locked: only administrators see it, whatever was granted",
    }
}

fn outcome(considered: &Considered, answers: &[Prediction]) -> (bool, String) {
    if considered.is_left_to_piwigo {
        return (false, "Piwigo's own action.php decides, the gate does not (action_php)".into());
    }
    match (&considered.target, &considered.judgement) {
        (Err(refusal), _) => (false, refusal.to_string()),
        (Ok(_), None) if answers.first().is_some_and(|answer| answer.header.is_some()) => {
            (true, "a picture of a file type, the same for everybody".into())
        }
        (Ok(_), None) => (false, "there is no such picture of a file type".into()),
        (Ok(_), Some(judgement)) => match judgement.verdict {
            Verdict::GalleryLocked => {
                (false, "the gallery is locked: administrators alone get anything".into())
            }
            Verdict::Deny(denial) => (false, denial.to_string()),
            Verdict::Allow { because, claim } => (
                true,
                match because {
                    Grant::Administrator => {
                        "administrators see every file that has a record (setting admins = all)".into()
                    }
                    Grant::Album(id) => {
                        let image = judgement.claims[claim].image.id;
                        format!("album {id} opens image {image} to the visitor")
                    }
                    Grant::Cover(id) => {
                        format!(
                            "it is the cover of album {id}, which is open to the visitor (setting covers)"
                        )
                    }
                },
            ),
        },
    }
}

const REDIRECTS: [&str; 3] = ["X-Accel-Redirect: ", "X-Sendfile: ", "Location: "];

fn answer(server: &'static str, deliver: &'static str, reply: &Reply) -> Prediction {
    let mut head = Vec::new();
    reply.encode(true, &mut head);
    let text = String::from_utf8_lossy(&head);
    let header = text.lines().find(|line| REDIRECTS.iter().any(|redirect| line.starts_with(redirect)));
    let to_piwigo = header.is_some_and(|header| header.contains("i.php?/"));
    let meaning = match reply {
        Reply::Allowed {
            handover: Handover::AccelActionPhp { .. } | Handover::LocalActionPhp { .. },
            ..
        } => "Piwigo's action.php decides and answers",
        Reply::Allowed { handover: Handover::Address(_), .. } => "the gate sends the picture's address",
        Reply::Allowed { .. } if to_piwigo => "Piwigo makes this size first and sends it",
        Reply::Allowed { .. } if header.is_some() => "the server sends this file",
        Reply::Allowed { .. } if deliver == "stream" => "the gate sends this file",
        Reply::Allowed { .. } => "the server sends what it was asked for",
        Reply::Missing => "the visitor may have the file, but it is not on disk",
        Reply::GalleryLocked => "the gallery is locked",
        Reply::Unavailable => "something failed",
        _ => "refused, like a file that does not exist",
    };
    Prediction { server, deliver, status: reply.status(), header: header.map(str::to_owned), meaning }
}
