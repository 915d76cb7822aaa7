//! Who may do what to a file, read off owner, group and mode: for accounts other than the one that asks.
//! Access lists (ACL) are not looked at.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Names that distributions give to the web server's user.
const WEB_USERS: [&str; 6] = ["www-data", "nginx", "apache", "http", "caddy", "lighttpd"];

/// What is to be done, as in a mode's digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Read = 4,
    Write = 2,
    /// Of a directory: go through it.
    Enter = 1,
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    /// Its own group is the last one.
    groups: Vec<u32>,
}

impl Account {
    /// Whose process this is.
    pub(crate) fn mine() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let more = rustix::process::getgroups().unwrap_or_default();
        let groups = more.into_iter().chain([rustix::process::getegid()]).map(rustix::process::Gid::as_raw);
        Account { name: name_of(uid), uid, groups: groups.collect() }
    }

    /// The account with this number, even if it has no name.
    pub(crate) fn numbered(uid: u32) -> Self {
        Self::named(&name_of(uid)).unwrap_or(Account { name: uid.to_string(), uid, groups: Vec::new() })
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::find(name, &read("/etc/passwd"), &read("/etc/group"))
    }

    /// The web server's: `given`, or the first of the usual names that exists.
    pub(crate) fn of_web_server(given: Option<&str>) -> Option<Self> {
        match given {
            Some(name) => Self::named(name),
            None => WEB_USERS.iter().find_map(|name| Self::named(name)),
        }
    }

    pub(crate) fn find(name: &str, users: &str, groups: &str) -> Option<Self> {
        let fields = |line: &'_ str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let user =
            users.lines().map(fields).find(|fields| fields.first().is_some_and(|first| first == name))?;
        let (uid, gid) = (user.get(2)?.parse().ok()?, user.get(3)?.parse().ok()?);
        let is_member = |fields: &Vec<String>| {
            fields.get(3).is_some_and(|members| members.split(',').any(|member| member.trim() == name))
        };
        let more =
            groups.lines().map(fields).filter(is_member).filter_map(|fields| fields.get(2)?.parse().ok());
        Some(Account { name: name.to_owned(), uid, groups: more.chain([gid]).collect() })
    }

    /// The number of the group that it has by itself.
    pub(crate) fn own_group(&self) -> Option<u32> {
        self.groups.last().copied()
    }

    pub(crate) fn is_in(&self, group: u32) -> bool {
        self.groups.contains(&group)
    }

    /// Whether owner, group and mode give this account the right.
    fn holds(&self, right: Right, owner: u32, group: u32, mode: u32) -> bool {
        if self.uid == 0 {
            return true;
        }
        // The first class that fits decides, also where a later one would allow more.
        let class = match () {
            () if owner == self.uid => mode >> 6,
            () if self.groups.contains(&group) => mode >> 3,
            () => mode,
        };
        class & right as u32 != 0
    }

    /// Whether this account may do that to `path`.
    ///
    /// # Errors
    /// The directory or file that stands in the way.
    pub(crate) fn may(&self, right: Right, path: &Path) -> Result<(), PathBuf> {
        let path = path.canonicalize().map_err(|_| path.to_owned())?;
        for place in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            let needed = if place == path { right } else { Right::Enter };
            let metadata = fs::metadata(place).map_err(|_| place.to_owned())?;
            if !self.holds(needed, metadata.uid(), metadata.gid(), metadata.mode()) {
                return Err(place.to_owned());
            }
        }
        Ok(())
    }
}

/// A user's name, or else the number.
pub(crate) fn name_of(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    users.lines().find_map(of_line).unwrap_or_else(|| uid.to_string())
}

/// A group's name, if it has one.
pub(crate) fn group_name_of(gid: u32) -> Option<String> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    };
    groups.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nbroken\nme:x:1000:1000::/:/bin/sh\n";
    const GROUPS: &str = "root:x:0:\nwww-data:x:33:me\nphotos:x:50:you,www-data\nbroken\n";

    #[test]
    fn an_account_has_its_own_group_and_those_that_name_it() {
        let find = |name| Account::find(name, USERS, GROUPS);
        assert_eq!(find("www-data").unwrap().groups, [50, 33]);
        assert_eq!(find("me").unwrap().groups, [33, 1000]);
        assert!(find("nobody").is_none() && find("broken").is_none());
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let account = |name| Account::find(name, USERS, GROUPS).unwrap();
        // Who, right, owner, group, mode.
        let table = [
            ("www-data", Right::Write, 33, 33, 0o660, true),
            ("www-data", Right::Write, 1, 33, 0o660, true),
            ("www-data", Right::Write, 1, 50, 0o060, true),
            ("www-data", Right::Write, 1, 1, 0o660, false),
            ("www-data", Right::Write, 1, 1, 0o666, true),
            ("www-data", Right::Write, 33, 33, 0o066, false),
            ("www-data", Right::Write, 1, 33, 0o606, false),
            ("me", Right::Enter, 1, 1, 0o711, true),
            ("me", Right::Read, 1, 1, 0o711, false),
            ("root", Right::Write, 1, 1, 0, true),
        ];
        for (name, right, owner, group, mode, may) in table {
            assert_eq!(
                account(name).holds(right, owner, group, mode),
                may,
                "{name} {right:?} {owner} {group} {mode:o}"
            );
        }
    }

    #[test]
    fn a_closed_directory_above_stands_in_the_way() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let inner = directory.path().join("in");
        fs::create_dir(&inner).unwrap();
        let file = inner.join("file");
        fs::write(&file, "").unwrap();
        open(&file, 0o666);
        open(directory.path(), 0o755);
        let stranger = Account { name: "stranger".into(), uid: 4_000_000, groups: vec![4_000_000] };
        open(&inner, 0o755);
        assert_eq!(stranger.may(Right::Write, &file), Ok(()));
        open(&inner, 0o700);
        assert_eq!(stranger.may(Right::Write, &file), Err(inner.canonicalize().unwrap()));
        assert!(Account::mine().may(Right::Write, &file).is_ok());
    }
}
