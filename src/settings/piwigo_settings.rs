//! Turns all layers of Piwigo's own settings into those that a verdict needs: the `[piwigo]` table of
//! `gate.toml` over the config table over Piwigo's files over Piwigo's defaults (docs/spec/piwigo.md §7.1 and
//! §7.3).

use super::{PiwigoFiles, SettingsError};
use crate::piwigo::conf_keys::{self, ConfKey, SetIn};
use crate::piwigo::gallery::{ConfigRows, Gallery, History, SITE};
use crate::piwigo::layout::Layout;
use crate::piwigo::php::value::PhpValue;
use crate::piwigo::sizes::stored::{DerivativeConfig, DerivativeConfigProblem};

impl Gallery {
    /// Resolves the settings; `rows` is the config table, empty until the database has been queried.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn resolve(files: &PiwigoFiles, rows: &ConfigRows, url_prefix: &str) -> Result<Self, SettingsError> {
        let settings = Layers { files, rows };
        let data_dir = settings.directory(conf_keys::DATA_LOCATION, "_data/")?;
        let derivative_dir = match files.constant_directory("PWG_DERIVATIVE_DIR")? {
            Some(directory) => directory,
            None => format!("{data_dir}i/"),
        };
        let stored = rows
            .iter()
            .find(|(param, _)| param == conf_keys::DERIVATIVES.name)
            .map(|(_, value)| value.as_slice());
        let (derivatives, problem) = DerivativeConfig::from_stored(stored);
        match problem {
            Some(problem) if problem != DerivativeConfigProblem::Missing => tracing::warn!("{problem}"),
            _ => {}
        }
        let guest_id = settings.number(conf_keys::GUEST_ID, 2)?;
        let layout = Layout {
            url_prefix: url_prefix.to_owned(),
            derivative_dir,
            data_dir,
            parent_sites: parent_sites(rows, url_prefix),
        };
        // Only the printed server files need this key, so a value that only PHP can evaluate does not keep
        // the gate from serving.
        let upload_dir =
            settings.text(conf_keys::UPLOAD_DIR).map(|text| text.unwrap_or_else(|| "./upload".into()));
        Ok(Gallery {
            layout,
            upload_dir: upload_dir.ok().as_deref().and_then(relative_directory),
            derivatives,
            foreign_sessions: settings
                .text(conf_keys::SESSION_SAVE_HANDLER)?
                .filter(|handler| handler != "db"),
            session_name: settings.text(conf_keys::SESSION_NAME)?.unwrap_or_else(|| "pwg_id".into()),
            session_use_ip_address: settings.boolean(conf_keys::SESSION_USE_IP_ADDRESS, true)?,
            default_user_id: settings.number(conf_keys::DEFAULT_USER_ID, guest_id)?,
            webmaster_id: settings.number(conf_keys::WEBMASTER_ID, 1)?,
            remember_me_name: settings
                .text(conf_keys::REMEMBER_ME_NAME)?
                .unwrap_or_else(|| "pwg_remember".into()),
            remember_me_length: settings.number(conf_keys::REMEMBER_ME_LENGTH, 5_184_000)?.into(),
            apache_authentication: settings.boolean(conf_keys::APACHE_AUTHENTICATION, false)?,
            external_authentification: settings.boolean(conf_keys::EXTERNAL_AUTHENTIFICATION, false)?,
            strip_metadata_below: settings.number(conf_keys::STRIP_METADATA_BELOW, 256_000)?,
            history: History {
                users: settings.boolean(conf_keys::LOG, false)?,
                admins: settings.boolean(conf_keys::HISTORY_ADMIN, false)?,
                guests: settings.boolean(conf_keys::HISTORY_GUEST, true)?,
            },
            guest_id,
            guest_access: settings.boolean(conf_keys::GUEST_ACCESS, true)?,
            picture_extensions: settings
                .words(conf_keys::PICTURE_EXT, &["jpg", "jpeg", "png", "gif", "webp"])?,
            formats: settings.boolean(conf_keys::ENABLE_FORMATS, false)?,
            derivative_url_style: settings.number(conf_keys::DERIVATIVE_URL_STYLE, 0).ok(),
        })
    }
}

/// One look-up through all layers.
struct Layers<'a> {
    files: &'a PiwigoFiles,
    rows: &'a ConfigRows,
}

impl Layers<'_> {
    fn value(&self, key: ConfKey) -> Result<Option<PhpValue>, SettingsError> {
        if let Some(value) = self.files.overridden(key.name) {
            return Ok(Some(value.clone()));
        }
        let is_in_table = key.set_in != SetIn::Files;
        if let Some((_, value)) = self.rows.iter().find(|(param, _)| is_in_table && param == key.name) {
            // Piwigo turns exactly these two words into booleans; every other value stays text.
            return Ok(Some(match value.as_slice() {
                b"true" => PhpValue::Bool(true),
                b"false" => PhpValue::Bool(false),
                text => PhpValue::Bytes(text.to_vec()),
            }));
        }
        self.files.conf(key.name).map(Option::<&PhpValue>::cloned)
    }

    fn text(&self, key: ConfKey) -> Result<Option<String>, SettingsError> {
        match self.value(key)? {
            None => Ok(None),
            Some(PhpValue::Bytes(bytes)) => {
                String::from_utf8(bytes).map(Some).map_err(|_| wrong_type(key, "UTF-8 text"))
            }
            // `session_save_handler` may be unset by a null or false: that is "not db" too.
            Some(PhpValue::Null | PhpValue::Bool(_)) => Ok(Some(String::new())),
            Some(PhpValue::Int(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(wrong_type(key, "text")),
        }
    }

    fn boolean(&self, key: ConfKey, default: bool) -> Result<bool, SettingsError> {
        // PHP treats 0, "", "0" and null as false.
        match self.value(key)? {
            None => Ok(default),
            Some(PhpValue::Bool(value)) => Ok(value),
            Some(PhpValue::Int(number)) => Ok(number != 0),
            Some(PhpValue::Null) => Ok(false),
            Some(PhpValue::Bytes(text)) => Ok(!text.is_empty() && text != b"0"),
            Some(_) => Err(wrong_type(key, "true or false")),
        }
    }

    fn number(&self, key: ConfKey, default: u32) -> Result<u32, SettingsError> {
        match self.value(key)? {
            None => Ok(default),
            Some(value) => value
                .as_int()
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| wrong_type(key, "a number")),
        }
    }

    fn words(&self, key: ConfKey, default: &[&str]) -> Result<Vec<String>, SettingsError> {
        let Some(value) = self.value(key)? else {
            return Ok(default.iter().map(ToString::to_string).collect());
        };
        value
            .as_array()
            .and_then(|array| {
                array
                    .iter()
                    .map(|(_, word)| word.as_str().map(str::to_ascii_lowercase))
                    .collect::<Option<Vec<_>>>()
            })
            .ok_or_else(|| wrong_type(key, "a list of words"))
    }

    /// A folder below the root, with a trailing slash.
    fn directory(&self, key: ConfKey, default: &str) -> Result<String, SettingsError> {
        let text = self.text(key)?.unwrap_or_else(|| default.to_owned());
        relative_directory(&text).ok_or_else(|| wrong_type(key, "a folder below the gallery's root"))
    }
}

/// Normalises `./_data`, `_data/` and the like to `_data/`; `None` for a path that leaves the root.
pub(super) fn relative_directory(text: &str) -> Option<String> {
    let trimmed = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
    let plain = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && !segment.contains(|c: char| c.is_control() || c == '\\')
    };
    trimmed.split('/').all(plain).then(|| format!("{trimmed}/"))
}

/// The directories beside the gallery's own that sites name. The function leaves out a directory whose URL
/// leads back into the gallery, because it would give the gallery's files a second URL;
/// [`crate::gate::snapshot`] leaves out those that lead there on disk.
fn parent_sites(rows: &ConfigRows, url_prefix: &str) -> Vec<String> {
    let own = url_prefix.rsplit_once('/').map(|(_, own)| format!("{own}/"));
    rows.iter()
        .filter(|(param, _)| param == SITE)
        .filter_map(|(_, site)| {
            std::str::from_utf8(site).ok()?.strip_prefix("../").and_then(relative_directory)
        })
        .filter(|site| own.as_ref().is_none_or(|own| !site.starts_with(own)))
        .collect()
}

fn wrong_type(key: ConfKey, expected: &'static str) -> SettingsError {
    SettingsError::PiwigoType { key: key.name.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(config: &str, rows: &[(&str, &str)]) -> Result<Gallery, SettingsError> {
        let files = PiwigoFiles::from_text(config, "<?php $prefixeTable = 'piwigo_';");
        let rows: Vec<_> =
            rows.iter().map(|(param, value)| ((*param).to_owned(), value.as_bytes().to_vec())).collect();
        Gallery::resolve(&files, &rows, "")
    }

    #[test]
    fn a_stock_gallery_has_piwigos_defaults() {
        let gallery = resolve("<?php", &[]).unwrap();
        assert_eq!(gallery.session_name, "pwg_id");
        assert!(gallery.session_use_ip_address && gallery.guest_access && !gallery.formats);
        assert_eq!(gallery.guest_id, 2);
        assert_eq!(gallery.layout.derivative_dir, "_data/i/");
        assert_eq!(gallery.derivatives.enabled.len(), 9);
    }

    #[test]
    fn the_config_table_wins_over_the_files() {
        let config =
            "<?php $conf['guest_access'] = true; $conf['remember_me_name'] = 'a'; $conf['guest_id'] = 7;";
        let rows = [("guest_access", "false"), ("remember_me_name", "b"), ("upload_dir", "./photos")];
        let gallery = resolve(config, &rows).unwrap();
        assert!(!gallery.guest_access);
        assert_eq!((gallery.remember_me_name.as_str(), gallery.guest_id), ("b", 7));
        assert_eq!(gallery.upload_dir.as_deref(), Some("photos/"));
    }

    /// Piwigo uses these keys before it reads the table, or in a script that does not read it.
    #[test]
    fn what_piwigo_uses_before_the_table_comes_from_the_files() {
        let rows = [
            ("session_name", "b"),
            ("session_save_handler", "files"),
            ("data_location", "elsewhere/"),
            ("derivatives_strip_metadata_threshold", "1"),
        ];
        let gallery = resolve("<?php $conf['session_name'] = 'a';", &rows).unwrap();
        assert_eq!(gallery.session_name, "a");
        assert_eq!(gallery.foreign_sessions, None);
        assert_eq!(gallery.layout.data_dir, "_data/");
        assert_eq!(gallery.strip_metadata_below, 256_000);
    }

    #[test]
    fn php_truth() {
        for (text, expected) in [("true", true), ("false", false), ("1", true), ("0", false), ("", false)] {
            assert_eq!(resolve("<?php", &[("enable_formats", text)]).unwrap().formats, expected, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_an_error() {
        let table = [
            "<?php $conf['data_location'] = '../elsewhere/';",
            "<?php $conf['picture_ext'] = 'jpg';",
            "<?php $conf['guest_id'] = 'two';",
            "<?php $conf['guest_access'] = getenv('GUESTS');",
        ];
        for config in table {
            assert!(resolve(config, &[]).is_err(), "{config}");
        }
    }

    #[test]
    fn any_session_handler_but_db_is_phps_own() {
        let table = [
            ("", None),
            ("$conf['session_save_handler'] = 'db';", None),
            ("$conf['session_save_handler'] = 'files';", Some("files")),
            ("$conf['session_save_handler'] = '';", Some("")),
            ("$conf['session_save_handler'] = null;", Some("")),
        ];
        for (config, handler) in table {
            let gallery = resolve(&format!("<?php {config}"), &[]).unwrap();
            assert_eq!(gallery.foreign_sessions.as_deref(), handler, "{config}");
        }
    }

    #[test]
    fn only_directories_beside_the_gallery_are_parent_sites() {
        let files = PiwigoFiles::from_text("<?php", "<?php $prefixeTable = 'piwigo_';");
        let sites =
            ["./galleries/", "../ext/", "../a b/c/", "../../up/", "../", "/abs/", "../piwigo/x/", "../.ssh/"];
        let rows: Vec<_> = sites.map(|site| (SITE.to_owned(), site.as_bytes().to_vec())).into();
        let gallery = Gallery::resolve(&files, &rows, "/piwigo").unwrap();
        assert_eq!(gallery.layout.parent_sites, ["ext/", "a b/c/"]);
    }

    #[test]
    fn picture_extensions_are_compared_in_lower_case() {
        let gallery = resolve("<?php $conf['picture_ext'] = array('jpg', 'JPG', 'Heic');", &[]).unwrap();
        assert_eq!(gallery.picture_extensions, ["jpg", "jpg", "heic"]);
    }
}
