//! Reads the remember-me cookie and checks its signature (Piwigo: `calculate_auto_login_key`, `auto_login`).
//! The gate opens no session and renews no cookie.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

/// The contents of a remember-me cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberMe {
    /// `users.id`.
    pub user: u32,
    /// When Piwigo wrote the cookie, in seconds since 1970.
    pub time: u64,
    /// The signature, in base64.
    key: Vec<u8>,
}

impl RememberMe {
    /// Parses the cookie's decoded value, `UID-TIME-KEY`. Accepts numbers only in the canonical form that
    /// Piwigo writes.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut parts = text.split('-');
        let (user, time, key) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(RememberMe { user: number(user)?, time: number(time)?, key: key.as_bytes().to_vec() })
    }

    /// Whether the cookie is at most `length` seconds old and not from the future. `now` is in seconds since
    /// 1970.
    pub fn is_current(&self, now: u64, length: u64) -> bool {
        self.time <= now && now - self.time <= length
    }

    /// Whether this gallery signed the cookie for the user. `username` and `password` are the stored columns;
    /// pass an empty slice for a missing password. Compares in constant time.
    pub fn is_signed_by(&self, secret_key: &[u8], username: &[u8], password: &[u8]) -> bool {
        // With an empty secret, any client could sign a cookie.
        if secret_key.is_empty() {
            return false;
        }
        let key = [secret_key, password].concat();
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&key) else { return false };
        mac.update(self.time.to_string().as_bytes());
        mac.update(self.user.to_string().as_bytes());
        mac.update(&without_slashes(username));
        let expected = STANDARD.encode(mac.finalize().into_bytes());
        expected.as_bytes().ct_eq(&self.key).into()
    }
}

/// Parses a decimal number without sign, leading zero or blank.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && !text.starts_with('0') { text.parse().ok() } else { None }
}

/// PHP's `stripslashes`.
fn without_slashes(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'0') => plain.push(0),
                Some(&escaped) => plain.push(escaped),
                None => {}
            },
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef01234567";
    const HASH: &str = "$P$GABCDEFGHIJKLMNOPQRSTUVWXYZ0123";

    /// The cookies of docs/spec/piwigo.md §9.1, computed by PHP.
    #[test]
    fn cookies_that_piwigo_signed() {
        let md5 = "5f4dcc3b5aa765d61d8327deb882cf99";
        let table = [
            ("1-1700000000-B56+VcKTDDkC9WKST2b6Hxbi91I=", "admin", HASH),
            ("1-1700000001-vnfM9FXEQpXaZkpetZP9kFGc/rU=", "admin", HASH),
            ("12-1700000000-d6f2QxmTcI9gKSVdYEn/A9CtKyg=", "Zoé", HASH),
            ("12-1700000000-u++73kdSQVYvKqLNwRxcRmai1lI=", "bob", ""),
            ("3-1700000000-Yr0WdRthEdkr0DrncL4dQdZMzu8=", "o'neil", md5),
        ];
        for (cookie, username, password) in table {
            let cookie = RememberMe::parse(cookie.as_bytes()).unwrap();
            assert!(cookie.is_signed_by(SECRET, username.as_bytes(), password.as_bytes()), "{cookie:?}");
            assert!(!cookie.is_signed_by(b"other", username.as_bytes(), password.as_bytes()), "{cookie:?}");
            assert!(!cookie.is_signed_by(SECRET, b"other", password.as_bytes()), "{cookie:?}");
            assert!(!cookie.is_signed_by(SECRET, username.as_bytes(), b"other"), "{cookie:?}");
        }
        let anybodys = Hmac::<Sha1>::new_from_slice(b"").unwrap().chain_update("17000000001bob").finalize();
        let forged = format!("1-1700000000-{}", STANDARD.encode(anybodys.into_bytes()));
        assert!(!RememberMe::parse(forged.as_bytes()).unwrap().is_signed_by(b"", b"bob", b""), "no secret");
        let real = RememberMe::parse(b"1-1795285412-/Dr4ioN0/eC/PrZA9ZoiSqlrQs8=").unwrap();
        assert!(real.is_signed_by(
            b"4d7203509cb8dd6c0c244f0b55f3b801292f98ab",
            b"webmaster",
            b"$P$GOvW6Xn.qGJ9bhnAAPH6PjCT0Pkp5P1"
        ));
    }

    #[test]
    fn a_slash_in_a_username_is_stripped_once() {
        for (stored, plain) in [("o\\'neil", "o'neil"), ("a\\\\b", "a\\b"), ("end\\", "end"), ("n\\0", "n\0")]
        {
            assert_eq!(without_slashes(stored.as_bytes()), plain.as_bytes(), "{stored}");
        }
    }

    #[test]
    fn only_what_piwigo_writes_is_read() {
        for bad in [
            "",
            "1-2",
            "1-2-a-b",
            "-2-k",
            "01-2-k",
            "1-02-k",
            "+1-2-k",
            " 1-2-k",
            "1.0-2-k",
            "0-1-k",
            "9999999999-1-k",
        ] {
            assert_eq!(RememberMe::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn neither_too_old_nor_from_the_future() {
        let cookie = RememberMe::parse(b"1-1000-k").unwrap();
        for (now, expected) in [(1000, true), (1060, true), (1061, false), (999, false)] {
            assert_eq!(cookie.is_current(now, 60), expected, "{now}");
        }
    }
}
