//! Turns the request's cookie into what the PHP session says of its visitor, if PHP keeps sessions in files
//! (`$conf['session_save_handler']` other than `db`). Read-only; it opens session files only, by the rules of
//! PHP's own handler `files`. These session names have no prefix made of the visitor's address
//! (docs/spec/piwigo.md §2.1).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use crate::piwigo::session::{self, SignIn, UnreadableSession};

/// Largest session file, in bytes; Piwigo's have some hundred.
const MAX_FILE: u64 = 1024 * 1024;

/// Most levels of directories named by the first characters of the id: PHP's `session.save_path = "N;/path"`.
pub const MAX_DEPTH: usize = 5;

/// PHP's default for `session.name`.
pub const DEFAULT_COOKIE: &str = "PHPSESSID";

/// Where PHP keeps its sessions.
#[derive(Clone, Debug)]
pub struct SessionFiles {
    /// The directory of PHP's `session.save_path`.
    pub directory: PathBuf,
    /// Levels of directories below it, at most [`MAX_DEPTH`].
    pub depth: usize,
    /// Name of the session cookie: PHP's `session.name`.
    pub cookie: String,
    /// Time since its last use after which a session no longer counts.
    pub max_age: Option<Duration>,
    /// The log already has the warning that a session cannot be read.
    was_unreadable: Arc<AtomicBool>,
}

/// Why an existing session file signs no user in.
#[derive(Debug, thiserror::Error)]
enum SessionFileError {
    /// The gate may not read it.
    #[error("{0}; let the gate run as the user that the gallery's PHP runs as")]
    Unreadable(#[from] io::Error),
    /// A link, a directory, a pipe.
    #[error("it is no regular file")]
    NotAFile,
    /// It belongs to a user whom PHP would not trust either; any user may have created it.
    #[error(
        "it belongs to user {0}, who is neither the gate's user nor root nor the directory's owner; let the gate run \
         as the user that the gallery's PHP runs as"
    )]
    Strangers(u32),
    /// It is larger than any session.
    #[error("it is larger than {MAX_FILE} bytes")]
    TooLarge,
    /// It is not in an encoding that the gate reads.
    #[error(transparent)]
    Data(#[from] UnreadableSession),
}

impl SessionFiles {
    /// Sessions below `directory`, in `depth` levels of directories; the cookie `cookie` holds their ids.
    pub fn new(directory: PathBuf, depth: usize, cookie: String, max_age: Option<Duration>) -> Self {
        SessionFiles { directory, depth, cookie, max_age, was_unreadable: Arc::default() }
    }

    /// Reads what the request's session says of its visitor. Any error makes the visitor a guest; the first
    /// one is logged.
    pub async fn sign_in(&self, cookie_header: &[u8]) -> SignIn {
        let path = session::session_id(cookie_header, &self.cookie).and_then(|id| self.path(&id));
        let Some(path) = path else { return SignIn::default() };
        let (max_age, directory) = (self.max_age, self.directory.clone());
        let reading = tokio::task::spawn_blocking(move || read(&path, &directory, max_age));
        match reading.await.unwrap_or_else(|error| Err(io::Error::other(error).into())) {
            Ok(sign_in) => sign_in,
            Err(error) => {
                if !self.was_unreadable.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        directory = %self.directory.display(),
                        %error,
                        "a session file cannot be used and its visitor counts as a guest; this is said once"
                    );
                }
                SignIn::default()
            }
        }
    }

    /// The file of a session id, named as PHP's `ps_files_path_create` names it. The id holds only letters,
    /// digits, commas and dashes, so it cannot lead out of the directory.
    fn path(&self, id: &str) -> Option<PathBuf> {
        let mut path = self.directory.clone();
        for place in 0..self.depth {
            path.push(id.get(place..=place)?);
        }
        path.push(format!("sess_{id}"));
        Some(path)
    }
}

/// Reads one session. A missing file is no error: the user has signed out. A session that is too old signs no
/// user in, but an unfinished sign-in remains unfinished: the age is the gate's rule, not Piwigo's.
fn read(path: &Path, directory: &Path, max_age: Option<Duration>) -> Result<SignIn, SessionFileError> {
    let Some(file) = open(path, directory)? else { return Ok(SignIn::default()) };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(SessionFileError::NotAFile);
    }
    // Many session directories are writable for every user, so only a file's owner shows that PHP wrote it.
    let trusted = [0, rustix::process::geteuid().as_raw()];
    if !trusted.contains(&metadata.uid()) && metadata.uid() != fs::metadata(directory)?.uid() {
        return Err(SessionFileError::Strangers(metadata.uid()));
    }
    // PHP touches the file at the end of each request. A time in the future counts as age zero.
    let age = SystemTime::now().duration_since(metadata.modified()?).unwrap_or_default();
    let mut data = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut data)?;
    if data.len() as u64 > MAX_FILE {
        return Err(SessionFileError::TooLarge);
    }
    let sign_in = session::sign_in(&data)?;
    let is_too_old = max_age.is_some_and(|max_age| age > max_age);
    Ok(SignIn { user: sign_in.user.filter(|_| !is_too_old), ..sign_in })
}

/// Opens a session file; does not follow a link and does not wait for a pipe's other end.
fn open(path: &Path, directory: &Path) -> Result<Option<File>, SessionFileError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    match OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path) {
        Ok(file) => Ok(Some(file)),
        // A missing directory is an error: the gate could read no session at all.
        Err(error) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            Err(SessionFileError::NotAFile)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    const ID: &str = "jtovfh7e4j5ba84nc25hca04tj";

    fn cookie() -> Vec<u8> {
        format!("a=b; PHPSESSID={ID}").into_bytes()
    }

    fn sessions(directory: &Path, depth: usize, max_age: Option<u64>) -> SessionFiles {
        let max_age = max_age.map(Duration::from_secs);
        SessionFiles::new(directory.to_owned(), depth, DEFAULT_COOKIE.to_owned(), max_age)
    }

    #[tokio::test]
    async fn what_a_file_holds_is_who_is_signed_in() {
        let directory = tempfile::tempdir().unwrap();
        let sessions = sessions(directory.path(), 0, None);
        let path = directory.path().join(format!("sess_{ID}"));
        assert_eq!(sessions.sign_in(&cookie()).await.user, None, "no file");
        assert!(!sessions.was_unreadable.load(Ordering::Relaxed), "a session that was signed out is no news");
        let table = [
            ("pwg_uid|i:5;".to_owned(), Some(5)),
            (String::new(), None),
            ("pwg_uid|i:5;junk".to_owned(), None),
            ("a:1:{s:7:\"pwg_uid\";i:1;}".to_owned(), Some(1)),
            ("\u{7}pwg_uidi:1;".to_owned(), Some(1)),
            ("\0\0\0\u{2}\u{14}\u{1}\u{11}\u{7}pwg_uid\u{6}\u{1}".to_owned(), None),
            (format!("pwg_uid|i:5;x|s:1000000:\"{}\";", "x".repeat(1_000_000)), Some(5)),
            (format!("pwg_uid|i:5;x|s:1100000:\"{}\";", "x".repeat(1_100_000)), None),
        ];
        for (data, user) in table {
            fs::write(&path, &data).unwrap();
            assert_eq!(sessions.sign_in(&cookie()).await.user, user, "{} bytes", data.len());
        }
    }

    #[tokio::test]
    async fn an_unfinished_sign_in_stays_one_whatever_its_age() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(format!("sess_{ID}"));
        fs::write(&path, "pwg_uid|i:5;tf_tries_validated|b:0;").unwrap();
        let time = SystemTime::now() - Duration::from_hours(2);
        OpenOptions::new().append(true).open(&path).unwrap().set_modified(time).unwrap();
        for (max_age, user) in [(None, Some(5)), (Some(3600), None)] {
            let expected = SignIn { user, is_unfinished: true };
            assert_eq!(sessions(directory.path(), 0, max_age).sign_in(&cookie()).await, expected);
        }
    }

    #[tokio::test]
    async fn an_id_is_nothing_but_a_name_in_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("in");
        fs::create_dir_all(inner.join("sess_aaaaaaaaaaaaaaaaaaaa")).unwrap();
        fs::write(directory.path().join("sess_aaaaaaaaaaaaaaaaaaaaa"), "pwg_uid|i:5;").unwrap();
        fs::write(inner.join("sess_short"), "pwg_uid|i:5;").unwrap();
        fs::write(inner.join("sess_aaaaaaaaaaaaaaa.aaaaaa"), "pwg_uid|i:5;").unwrap();
        for id in [
            "../sess_aaaaaaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaaaaa/../../sess_aaaaaaaaaaaaaaaaaaaaa",
            "%2e%2e%2fsess_aaaaaaaaaaaaaaaaaaaaa",
            "short",
            "aaaaaaaaaaaaaaa.aaaaaa",
            "aaaaaaaaaaaaaaaaaaaa",
            "",
        ] {
            let header = format!("PHPSESSID={id}");
            assert_eq!(sessions(&inner, 0, None).sign_in(header.as_bytes()).await.user, None, "{id}");
        }
    }

    #[tokio::test]
    async fn directories_by_the_first_characters_of_the_id() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("j/t")).unwrap();
        fs::write(directory.path().join(format!("j/t/sess_{ID}")), "pwg_uid|i:5;").unwrap();
        for (depth, user) in [(0, None), (1, None), (2, Some(5)), (3, None)] {
            assert_eq!(
                sessions(directory.path(), depth, None).sign_in(&cookie()).await.user,
                user,
                "{depth}"
            );
        }
    }

    #[test]
    fn only_regular_files_of_trusted_owners() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let path = directory.join("sess_x");
        let outcome = || match read(&path, directory, None) {
            Ok(SignIn { user: Some(_), .. }) => "user",
            Ok(SignIn { user: None, .. }) => "none",
            Err(SessionFileError::NotAFile) => "no file",
            Err(SessionFileError::Strangers(_)) => "stranger's",
            Err(_) => "error",
        };
        let real = directory.join("real");
        fs::write(&real, "pwg_uid|i:5;").unwrap();
        symlink(&real, &path).unwrap();
        assert_eq!(outcome(), "no file", "a link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(outcome(), "no file", "a directory");
        fs::remove_dir(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(outcome(), "no file", "a pipe that nobody writes to");
        fs::remove_file(&path).unwrap();
        assert_eq!(outcome(), "none");
        fs::rename(&real, &path).unwrap();
        assert_eq!(outcome(), "user");
        // Only root can create another user's file.
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o1733)).unwrap();
            chown(&path, Some(65534), None).unwrap();
            assert_eq!(outcome(), "stranger's");
            chown(directory, Some(65534), None).unwrap();
            assert_eq!(outcome(), "user", "the directory's owner");
        }
    }

    #[tokio::test]
    async fn a_session_ages_since_its_last_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(format!("sess_{ID}"));
        fs::write(&path, "pwg_uid|i:5;").unwrap();
        for (age, max_age, user) in [
            (7200, None, Some(5)),
            (7200, Some(3600), None),
            (1800, Some(3600), Some(5)),
            (0, Some(60), Some(5)),
        ] {
            let time = SystemTime::now() - Duration::from_secs(age);
            OpenOptions::new().append(true).open(&path).unwrap().set_modified(time).unwrap();
            assert_eq!(
                sessions(directory.path(), 0, max_age).sign_in(&cookie()).await.user,
                user,
                "{age} {max_age:?}"
            );
        }
    }
}
