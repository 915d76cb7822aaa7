//! Who gets what, as a table written by hand: for each kind of place a picture can be in, the reason why each
//! visitor gets its files or does not.

/// Why a visitor gets a file, or does not. Each reason belongs to one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RightReason {
    /// In a public album.
    Public,
    /// In two albums; the public one is enough.
    AlsoPublic,
    /// The album was granted to the user.
    ByHand,
    /// The album was granted to a group of the user.
    ByGroup,
    /// The user has no right to high definition, but the original is the page's own picture.
    Small,
    /// Status admin or webmaster.
    Admin,
    /// A file that is there, asked for by who may see it, in a size that was never made.
    NotMade,
    /// A private album that was not granted.
    NotGranted,
    /// A private album whose grant was taken away on the page.
    TakenAway,
    /// The gate is switched off on the page: the web server asks nobody.
    Unguarded,
    /// `visible = 'false'`.
    Locked,
    /// The privacy level of the picture is above the user's.
    Level,
    /// In no album.
    Orphan,
    /// No right to high definition.
    NoHigh,
    /// The address leads to no record.
    NoRecord,
    /// The address is not written as the gallery writes it.
    NotPlain,
    /// The web server has nothing of that kind to give away.
    NotServed,
}

impl RightReason {
    /// The HTTP status that goes with the reason. Denied and unknown look the same; only who may have a file
    /// learns that it is missing.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Public
            | Self::AlsoPublic
            | Self::ByHand
            | Self::ByGroup
            | Self::Small
            | Self::Admin
            | Self::Unguarded => 200,
            Self::NotGranted
            | Self::TakenAway
            | Self::Locked
            | Self::Level
            | Self::Orphan
            | Self::NoHigh
            | Self::NoRecord
            | Self::NotPlain => 403,
            Self::NotMade | Self::NotServed => 404,
        }
    }

    /// One sentence for people, about the visitor of this name.
    pub(super) fn sentence(self, name: &str) -> String {
        match self {
            Self::Public => "The album is public.".to_owned(),
            Self::AlsoPublic => "It is also in a public album, and one album is enough.".to_owned(),
            Self::ByHand => format!("The album is private, and {name} was granted it by name."),
            Self::ByGroup => format!("The album is private, and {name} is in a group that was granted it."),
            Self::Small => format!(
                "{name} has no right to originals, but this one is no larger than the pictures on pages."
            ),
            Self::Admin => "Administrators see every file that has a record.".to_owned(),
            Self::NotMade => {
                format!("{name} may see it, so the answer may say that this size was never made.")
            }
            Self::NotGranted => format!("The album is private, and {name} was not granted it."),
            Self::TakenAway => format!("The album is private, and {name}'s right to it was taken away."),
            Self::Unguarded => {
                "Without the gate, the web server gives the file to everybody who has its address.".to_owned()
            }
            Self::Locked => "The album is locked: administrators only.".to_owned(),
            Self::Level => "The picture is for administrators only (privacy level 8).".to_owned(),
            Self::Orphan => "The picture is in no album yet: administrators only.".to_owned(),
            Self::NoHigh => format!("{name} may see the picture, but not in high definition."),
            Self::NoRecord => "No record of the gallery names this file.".to_owned(),
            Self::NotPlain => "The address is not written the way the gallery writes it.".to_owned(),
            Self::NotServed => "The web server gives nothing away from here.".to_owned(),
        }
    }
}

/// One reason for each visitor, in the order guest, alice, bob, carol, admin.
pub(super) type Row = [RightReason; 5];

/// The rules as a table. Piwigo: `action.php`, `get_sql_condition_FandF`; a RAW file counts as an original,
/// and administrators see everything that has a record.
#[rustfmt::skip]
pub(super) mod rows {
    use super::Row;
    use super::RightReason::{
        Admin, AlsoPublic, ByGroup, ByHand, Level, Locked, NoHigh, NoRecord, NotGranted, NotMade, NotPlain,
        NotServed, Orphan, Public, Small,
    };

    //                                guest       alice       bob         carol       admin
    pub(crate) const PUBLIC: Row          = [Public,     Public,     Public,     Public,     Public];
    pub(crate) const PUBLIC_ORIGINAL: Row = [Public,     Public,     Public,     Small,      Public];
    pub(crate) const BOTH: Row            = [AlsoPublic, AlsoPublic, AlsoPublic, AlsoPublic, AlsoPublic];
    pub(crate) const BOTH_ORIGINAL: Row   = [AlsoPublic, AlsoPublic, AlsoPublic, Small,      AlsoPublic];
    pub(crate) const FAMILY: Row          = [NotGranted, ByHand,     ByGroup,    ByHand,     Admin];
    pub(crate) const FAMILY_HIGH: Row     = [NotGranted, ByHand,     ByGroup,    NoHigh,     Admin];
    pub(crate) const FAMILY_NOT_MADE: Row = [NotGranted, NotMade,    NotMade,    NotMade,    NotMade];
    pub(crate) const NIGHT: Row           = [NotGranted, NotGranted, ByGroup,    NotGranted, Admin];
    pub(crate) const LOCKED: Row          = [Locked,     Locked,     Locked,     Locked,     Admin];
    pub(crate) const LEVEL: Row           = [Level,      Level,      Level,      Level,      Admin];
    pub(crate) const ORPHAN: Row          = [Orphan,     Orphan,     Orphan,     Orphan,     Admin];
    pub(crate) const NO_RECORD: Row       = [NoRecord,   NoRecord,   NoRecord,   NoRecord,   NoRecord];
    pub(crate) const NOT_PLAIN: Row       = [NotPlain,   NotPlain,   NotPlain,   NotPlain,   NotPlain];
    pub(crate) const NOT_SERVED: Row      = [NotServed,  NotServed,  NotServed,  NotServed,  NotServed];
}
