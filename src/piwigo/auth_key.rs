//! Parses the keys that sign a visitor in without a cookie (Piwigo: `auth_key_login`): the `?auth=` keys that
//! Piwigo mails, and API keys with a secret. Checks only their form.

/// A key from a request. Its `Debug` text holds no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthKey {
    /// A key of 30 letters and digits.
    Mailed(String),
    /// `pkid-DATE-NAME` and its secret.
    Api {
        /// The value to look for in `user_auth_keys.auth_key`.
        id: String,
        /// The secret, whose hash is in `user_auth_keys.apikey_secret`.
        secret: String,
    },
}

impl AuthKey {
    /// Parses a key. Keeps the case of its letters: the gate compares them exactly, although Piwigo's
    /// database ignores case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if is_word(text, 30) {
            return Some(AuthKey::Mailed(text.to_owned()));
        }
        let (id, secret) = text.split_once(':')?;
        let (date, name) = id.strip_prefix("pkid-")?.split_once('-')?;
        let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        (is_date && is_word(name, 20) && is_word(secret, 40))
            .then(|| AuthKey::Api { id: id.to_owned(), secret: secret.to_owned() })
    }

    /// The value to look for in `user_auth_keys.auth_key`.
    pub fn id(&self) -> &str {
        match self {
            AuthKey::Mailed(id) | AuthKey::Api { id, .. } => id,
        }
    }
}

impl std::fmt::Debug for AuthKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            AuthKey::Mailed(_) => "a mailed key",
            AuthKey::Api { .. } => "an API key",
        })
    }
}

fn is_word(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns the percent-decoded value of the parameter `auth` of a raw query; `None` if it is absent, given
/// twice or an array.
pub fn parameter(query: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    for part in query.split(|&byte| byte == b'&') {
        let at = part.iter().position(|&byte| byte == b'=').unwrap_or(part.len());
        let name: Vec<u8> = percent_encoding::percent_decode(&part[..at]).collect();
        if name == b"auth" || name.starts_with(b"auth[") {
            if found.is_some() || name != b"auth" {
                return None;
            }
            let value = part.get(at + 1..).unwrap_or_default();
            found = Some(percent_encoding::percent_decode(value).collect());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_forms() {
        let api = "pkid-20260102-abcdefghij0123456789:abcdefghijabcdefghijabcdefghijabcdefghij";
        assert_eq!(AuthKey::parse(api.as_bytes()).unwrap().id(), "pkid-20260102-abcdefghij0123456789");
        let mailed = "abcdefghijabcdefghijabcdefghi0";
        assert_eq!(AuthKey::parse(mailed.as_bytes()), Some(AuthKey::Mailed(mailed.into())));
        for bad in [
            "",
            "abcdefghijabcdefghijabcdefghi",
            "abcdefghijabcdefghijabcdefghi0\n",
            "abcdefghijabcdefghijabcdefgh'0",
            "pkid-20260102-abcdefghij0123456789",
            "pkid-2026010-abcdefghij0123456789:abcdefghijabcdefghijabcdefghijabcdefghij",
            "pkid-20260102-abcdefghij0123456789:short",
        ] {
            assert_eq!(AuthKey::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(!format!("{:?}", AuthKey::parse(api.as_bytes())).contains("abcdef"));
    }

    #[test]
    fn the_parameter_of_a_query() {
        let table: [(&str, Option<&str>); 8] = [
            ("auth=k", Some("k")),
            ("id=1&auth=a%3Ab&part=e", Some("a:b")),
            ("a%75th=k", Some("k")),
            ("auth", Some("")),
            ("id=1", None),
            ("auth=a&auth=b", None),
            ("auth=a&auth[]=b", None),
            ("xauth=k&authx=k", None),
        ];
        for (query, expected) in table {
            assert_eq!(parameter(query.as_bytes()).as_deref(), expected.map(str::as_bytes), "{query}");
        }
    }
}
