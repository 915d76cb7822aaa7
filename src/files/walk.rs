//! A way from a directory to what is below it, one segment at a time and by descriptors, so that nobody can
//! change it behind our back. A symbolic link is read, and followed by the same steps, only as the setting
//! `symlinks` allows.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::{Symlinks, Tree};

/// Links on one way, at most, as in the kernel.
const MAX_LINKS: usize = 40;

/// Steps of one way, at most: links may lead back and forth.
const MAX_STEPS: usize = 1024;

/// A directory to start from. Its own permission to be listed is not needed, and a directory that is mounted
/// when somebody comes is mounted.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Why the way ends early.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// What the system said.
    System(Errno),
    /// There is no file at its end.
    NotAFile,
    /// This link is not followed.
    Link(PathBuf),
}

impl From<Errno> for Lost {
    fn from(errno: Errno) -> Self {
        Lost::System(errno)
    }
}

enum Step<'a> {
    Enter(Cow<'a, OsStr>),
    /// Here a link's target has been reached: it must belong to this user, the link's owner.
    Belongs {
        owner: u32,
        link: PathBuf,
    },
}

/// A way under way.
pub(crate) struct Walk<'a> {
    tree: &'a Tree,
    /// The directory that has been reached; `None`: to be opened again by its path.
    directory: Option<OwnedFd>,
    /// Its path, in which no part is a link.
    at: PathBuf,
    /// The next last.
    todo: Vec<Step<'a>>,
    steps: usize,
    links: usize,
    /// The first link that was followed.
    link: Option<PathBuf>,
}

impl<'a> Walk<'a> {
    /// Starts in `base`, which is reached however its path leads there.
    pub(crate) fn start(tree: &'a Tree, base: &Path) -> Result<Self, Errno> {
        let directory = Some(openat(CWD, base, DIRECTORY, Mode::empty())?);
        Ok(Walk { tree, directory, at: base.to_owned(), todo: Vec::new(), steps: 0, links: 0, link: None })
    }

    /// The directory that has been reached.
    pub(crate) fn into_directory(mut self) -> Result<OwnedFd, Lost> {
        self.reopen()?;
        self.directory.ok_or(Lost::NotAFile)
    }

    /// The same, borrowed.
    pub(crate) fn directory(&mut self) -> Result<BorrowedFd<'_>, Lost> {
        self.reopen()?;
        self.directory.as_ref().map(|directory| directory.as_fd()).ok_or(Lost::NotAFile)
    }

    /// Goes on into the directory `segment`, and through links until there.
    pub(crate) fn enter(&mut self, segment: &'a str) -> Result<(), Lost> {
        self.todo.push(Step::Enter(Cow::Borrowed(OsStr::new(segment))));
        while let Some(step) = self.todo.pop() {
            self.take(step)?;
        }
        self.allowed()
    }

    /// Whether a link was followed.
    pub(crate) fn met_link(&self) -> bool {
        self.link.is_some()
    }

    /// Goes on along `path` to the file at its end, to which `arrive` is called with its directory and its
    /// name in it; that must not follow a link, but say [`Errno::LOOP`].
    pub(crate) fn arrive<T>(
        &mut self,
        path: &'a str,
        arrive: impl Fn(BorrowedFd<'_>, &OsStr) -> Result<(T, Stat), Errno>,
    ) -> Result<(T, Stat), Lost> {
        self.push(path.split('/').map(|segment| Cow::Borrowed(OsStr::new(segment))));
        while let Some(step) = self.todo.pop() {
            let is_last = self.todo.iter().all(|step| matches!(step, Step::Belongs { .. }));
            match step {
                Step::Enter(name) if is_last && !matches!(name.as_bytes(), b"" | b"." | b"..") => {
                    match arrive(self.directory()?, &name) {
                        Err(Errno::LOOP) => self.follow(&name)?,
                        Err(errno) => return Err(errno.into()),
                        Ok((thing, stat)) => {
                            self.allowed()?;
                            self.belongs(&stat)?;
                            let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
                            return if is_file { Ok((thing, stat)) } else { Err(Lost::NotAFile) };
                        }
                    }
                }
                step => self.take(step)?,
            }
        }
        Err(Lost::NotAFile)
    }

    /// One step that must end in a directory.
    fn take(&mut self, step: Step<'a>) -> Result<(), Lost> {
        let name = match step {
            Step::Enter(name) => name,
            Step::Belongs { .. } => {
                let stat = fstat(self.directory()?)?;
                self.todo.push(step);
                return self.belongs(&stat);
            }
        };
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Errno::LOOP.into());
        }
        match name.as_bytes() {
            b"" | b"." => Ok(()),
            // No part of it is a link, so this is what the system would do.
            b".." => {
                self.at.pop();
                self.directory = None;
                Ok(())
            }
            _ => match openat(self.directory()?, &*name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(directory) => {
                    self.directory = Some(directory);
                    self.at.push(&*name);
                    Ok(())
                }
                Err(Errno::LOOP | Errno::NOTDIR) => self.follow(&name),
                Err(errno) => Err(errno.into()),
            },
        }
    }

    /// Puts a link's target in its place. What it says and whose it is are read of one and the same link.
    fn follow(&mut self, name: &OsStr) -> Result<(), Lost> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = openat(self.directory()?, name, flags, Mode::empty())?;
        let stat = fstat(&link)?;
        if !FileType::from_raw_mode(stat.st_mode).is_symlink() {
            return Err(Errno::NOTDIR.into());
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = PathBuf::from(OsString::from_vec(readlinkat(&link, "", Vec::new())?.into_bytes()));
        let link = self.at.join(name);
        if *self.tree.symlinks() == Symlinks::SameOwner && !self.tree.trusts(&stat) {
            self.todo.push(Step::Belongs { owner: stat.st_uid, link: link.clone() });
        }
        self.link.get_or_insert(link);
        if target.is_absolute() {
            self.at = PathBuf::from("/");
            self.directory = None;
        }
        let segments = target.as_os_str().as_bytes().split(|&byte| byte == b'/');
        self.push(segments.map(|segment| Cow::Owned(OsStr::from_bytes(segment).to_owned())));
        Ok(())
    }

    fn push(&mut self, segments: impl DoubleEndedIterator<Item = Cow<'a, OsStr>>) {
        self.todo.extend(segments.rev().map(Step::Enter));
    }

    /// The links that end in what has been reached belong to its owner.
    fn belongs(&mut self, reached: &Stat) -> Result<(), Lost> {
        while let Some(Step::Belongs { .. }) = self.todo.last() {
            if let Some(Step::Belongs { owner, link }) = self.todo.pop()
                && owner != reached.st_uid
            {
                return Err(Lost::Link(link));
            }
        }
        Ok(())
    }

    /// The directory that has been reached is where files may lie.
    fn allowed(&mut self) -> Result<(), Lost> {
        if self.tree.holds(&self.at) {
            return Ok(());
        }
        Err(self.link.clone().map_or(Lost::NotAFile, Lost::Link))
    }

    /// Opens `at` from the top, without any link: if there is one now, somebody is changing the way.
    fn reopen(&mut self) -> Result<(), Lost> {
        if self.directory.is_some() {
            return Ok(());
        }
        let mut directory = openat(CWD, "/", DIRECTORY, Mode::empty())?;
        for part in self.at.components() {
            if let Component::Normal(name) = part {
                self.steps += 1;
                if self.steps > MAX_STEPS {
                    return Err(Errno::LOOP.into());
                }
                directory = openat(&directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
            }
        }
        self.directory = Some(directory);
        Ok(())
    }
}
