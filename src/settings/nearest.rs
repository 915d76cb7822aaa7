//! Turns a misspelt name into the name that was meant.

/// The known name nearest to `word`, if they differ in a few letters.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let word = plain(word);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&word, &plain(name)), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Serde's message for an unknown key, with the nearest name instead of all names; `None` for any other
/// message.
pub(super) fn unknown_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let key = key.escape_debug();
    Some(match nearest(&key.to_string(), known.iter().copied()) {
        Some(name) => format!("there is no setting {key}; do you mean {name}?"),
        None => format!("there is no setting {key}; docs/settings.md names all of them"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_letters_make_the_difference() {
        let known = ["gallery", "listen", "max_connections", "deny_status", "log"];
        for (word, expected) in [
            ("galery", Some("gallery")),
            ("Listen", Some("listen")),
            ("max-connections", Some("max_connections")),
            ("max_conections", Some("max_connections")),
            ("denystatus", Some("deny_status")),
            ("lgo", Some("log")),
            ("password", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn the_message_of_an_unknown_key_names_the_nearest() {
        let said = unknown_key("unknown field `galery`, expected one of `gallery`, `listen`").unwrap();
        assert_eq!(said, "there is no setting galery; do you mean gallery?");
        let said = unknown_key("unknown field `x\ny`, expected `gallery`").unwrap();
        assert_eq!(said, "there is no setting x\\ny; docs/settings.md names all of them");
        assert_eq!(unknown_key("invalid type: integer `1`, expected a string"), None);
    }
}
