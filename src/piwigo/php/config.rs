//! Reads the settings of a gallery's PHP configuration files (`local/config/config.inc.php`,
//! `local/config/database.inc.php`) without PHP. A setting written as literals has a value; asking for a
//! setting that only running the code would tell is an error, never a guess.

use std::collections::HashMap;
use std::sync::Arc;

use super::expression::{Index, KnownNames, MAX_ELEMENTS, key_text};
use super::skipped::Touched;
use super::statement::FileReader;
use super::token::tokenize;
use super::value::{PhpArray, PhpKey, PhpValue};

/// The size limit of a configuration file, in bytes. Piwigo's own default file has 40 KiB with its comments.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;

/// The settings of configuration files, in the order in which the files are read.
///
/// Before a file with `$conf['picture_ext'][] = 'heic';`, read Piwigo's `include/config_default.inc.php` or
/// set the defaults with [`PhpConfig::set_conf`]: adding to a key that has no value yet is not understood.
#[derive(Default)]
pub struct PhpConfig {
    conf: HashMap<Vec<u8>, Setting>,
    /// The state of every key not in `conf`, once a file has changed keys that cannot be determined.
    other_conf: Option<Unknown>,
    table_prefix: Option<Setting>,
    constants: HashMap<Vec<u8>, Setting>,
    other_constants: Option<Unknown>,
    unreadable: Option<SourcePosition>,
    includes: Vec<Include>,
}

/// PHP code that cannot be evaluated here computes the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: the value of {key} is the result of PHP code that cannot be evaluated here")]
pub struct NotUnderstood {
    /// The file's name, as given to [`PhpConfig::read`].
    pub file: String,
    /// The line in the file, counted from 1.
    pub line: u32,
    /// The setting as PHP writes it: `$conf['key']`, `$prefixeTable`, or a constant's name.
    pub key: String,
}

/// A file that a configuration file includes. The gate does not read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The including file's name, as given to [`PhpConfig::read`].
    pub file: String,
    /// The line in the including file, counted from 1.
    pub line: u32,
    /// The included file, as the source text of a PHP expression.
    pub expression: String,
}

impl PhpConfig {
    /// Returns an empty set of settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `$conf[key]`, as reading a file with this assignment would.
    pub fn set_conf(&mut self, key: &str, value: PhpValue) {
        self.assign_conf(&PhpKey::from_bytes(key.as_bytes()), Setting::Known(value));
    }

    /// Reads one more file. Its settings replace those of earlier files, except constants, which keep their
    /// first value. `file_name` appears in messages.
    pub fn read(&mut self, file_name: &str, source: &[u8]) {
        let file: Arc<str> = Arc::from(file_name);
        if source.len() > MAX_SOURCE_BYTES {
            self.refuse(SourcePosition { file, line: 1 });
            return;
        }
        match tokenize(source) {
            Ok(tokens) => FileReader::new(self, file, source, &tokens).read(),
            Err(error) => self.refuse(SourcePosition { file, line: error.line }),
        }
    }

    /// Returns the value of `$conf[key]`; `None` if no file sets it.
    pub fn conf(&self, key: &str) -> Result<Option<&PhpValue>, NotUnderstood> {
        self.readable(self.conf_setting(key.as_bytes()), || format!("$conf['{key}']"))
    }

    /// Returns the value of a constant; `None` if no file defines it.
    pub fn constant(&self, name: &str) -> Result<Option<&PhpValue>, NotUnderstood> {
        self.readable(self.constant_setting(name.as_bytes()), || name.to_owned())
    }

    /// Returns the value of `$prefixeTable`, the prefix of all table names; `None` if no file sets it.
    pub fn table_prefix(&self) -> Result<Option<&str>, NotUnderstood> {
        let value =
            self.readable(self.table_prefix.as_ref().map(Setting::found), || "$prefixeTable".to_owned())?;
        Ok(value.and_then(PhpValue::as_str))
    }

    /// Returns the included files, for a warning: the gate does not know their settings.
    pub fn includes(&self) -> &[Include] {
        &self.includes
    }

    fn readable<'a>(
        &self,
        found: Option<LookedUp<'a>>,
        key: impl Fn() -> String,
    ) -> Result<Option<&'a PhpValue>, NotUnderstood> {
        let place = match (&self.unreadable, found) {
            (None, None) => return Ok(None),
            (None, Some(Ok(value))) => return Ok(Some(value)),
            (Some(place), _) => place,
            (None, Some(Err(unknown))) => &unknown.place,
        };
        Err(NotUnderstood { file: place.file.to_string(), line: place.line, key: key() })
    }

    fn conf_setting(&self, key: &[u8]) -> Option<LookedUp<'_>> {
        match &self.other_conf {
            Some(unknown) if unknown.lasting => Some(Err(unknown)),
            other => self.conf.get(key).map(Setting::found).or(other.as_ref().map(Err)),
        }
    }

    fn constant_setting(&self, name: &[u8]) -> Option<LookedUp<'_>> {
        self.constants.get(name).map(Setting::found).or(self.other_constants.as_ref().map(Err))
    }

    /// `$conf[key] = …`
    pub(super) fn assign_conf(&mut self, key: &PhpKey, setting: Setting) {
        replace(self.conf.entry(key_text(key)), setting);
    }

    /// `$conf[key][path…] = value` at `place`.
    pub(super) fn assign_within_conf(
        &mut self,
        key: &PhpKey,
        path: &[Index],
        value: PhpValue,
        place: SourcePosition,
    ) {
        let done = match self.conf.get_mut(&key_text(key)) {
            Some(Setting::Known(slot)) => assign_within(slot, path, value),
            Some(Setting::Unknown(_)) => return,
            None => false,
        };
        if !done {
            self.assign_conf(key, Setting::Unknown(Unknown { place, lasting: false }));
        }
    }

    /// `$prefixeTable = …`
    pub(super) fn assign_table_prefix(&mut self, value: PhpValue, place: SourcePosition) {
        let setting = match value.as_str() {
            Some(_) => Setting::Known(value),
            None => Setting::Unknown(Unknown { place, lasting: false }),
        };
        match &self.table_prefix {
            Some(old) if old.is_lasting() => {}
            _ => self.table_prefix = Some(setting),
        }
    }

    /// `define(name, …)`: the first definition of a constant counts.
    pub(super) fn define(&mut self, name: &[u8], value: PhpValue) {
        let setting = match &self.other_constants {
            Some(unknown) => Setting::Unknown(unknown.clone()),
            None => Setting::Known(value),
        };
        self.constants.entry(name.to_vec()).or_insert(setting);
    }

    /// Records that code which was not evaluated may have done this.
    pub(super) fn touched(&mut self, what: &Touched, unknown: Unknown) {
        match what {
            Touched::Conf(key) => replace(self.conf.entry(key.clone()), Setting::Unknown(unknown)),
            Touched::AnyConf => {
                for setting in self.conf.values_mut().filter(|setting| !setting.is_lasting()) {
                    *setting = Setting::Unknown(unknown.clone());
                }
                let lasting = self.other_conf.as_ref().is_some_and(|old| old.lasting);
                if !lasting {
                    self.other_conf = Some(unknown);
                }
            }
            Touched::TablePrefix => {
                let lasting = self.table_prefix.as_ref().is_some_and(Setting::is_lasting);
                if !lasting {
                    self.table_prefix = Some(Setting::Unknown(unknown));
                }
            }
            Touched::Constant(name) => {
                self.constants.entry(name.clone()).or_insert(Setting::Unknown(unknown));
            }
            Touched::AnyConstant => {
                self.other_constants.get_or_insert(unknown);
            }
            Touched::Include(_) | Touched::Return => {}
            Touched::Goto => self.refuse(unknown.place),
        }
    }

    /// Records an included file.
    pub(super) fn include(&mut self, place: &SourcePosition, expression: &[u8]) {
        /// Enough to recognise a path.
        const MAX_EXPRESSION_LEN: usize = 200;
        /// Enough for a warning.
        const MAX_INCLUDES: usize = 100;
        if self.includes.len() < MAX_INCLUDES {
            let expression = expression.get(..MAX_EXPRESSION_LEN).unwrap_or(expression);
            let expression = String::from_utf8_lossy(expression).into_owned();
            self.includes.push(Include { file: place.file.to_string(), line: place.line, expression });
        }
    }

    /// Makes every setting unknown.
    pub(super) fn refuse(&mut self, place: SourcePosition) {
        self.unreadable.get_or_insert(place);
    }
}

impl KnownNames for PhpConfig {
    fn conf(&self, key: &[u8]) -> Option<&PhpValue> {
        self.conf_setting(key)?.ok()
    }

    fn constant(&self, name: &[u8]) -> Option<&PhpValue> {
        self.constant_setting(name)?.ok()
    }

    fn table_prefix(&self) -> Option<&PhpValue> {
        self.table_prefix.as_ref()?.found().ok()
    }
}

/// A line of a file.
#[derive(Debug, Clone)]
pub(super) struct SourcePosition {
    pub(super) file: Arc<str>,
    pub(super) line: u32,
}

/// Why a setting is not known.
#[derive(Debug, Clone)]
pub(super) struct Unknown {
    pub(super) place: SourcePosition,
    /// A later assignment does not make the setting known, because a function or a reference may change it
    /// again.
    pub(super) lasting: bool,
}

/// A setting that a file makes.
pub(super) enum Setting {
    Known(PhpValue),
    Unknown(Unknown),
}

type LookedUp<'a> = Result<&'a PhpValue, &'a Unknown>;

impl Setting {
    fn found(&self) -> LookedUp<'_> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Unknown(unknown) => Err(unknown),
        }
    }

    fn is_lasting(&self) -> bool {
        matches!(self, Self::Unknown(unknown) if unknown.lasting)
    }
}

fn replace(entry: std::collections::hash_map::Entry<'_, Vec<u8>, Setting>, setting: Setting) {
    let slot = entry.or_insert(Setting::Known(PhpValue::Null));
    if !slot.is_lasting() {
        *slot = setting;
    }
}

/// Assigns within an array. Returns `false` and assigns nothing if PHP would not simply assign.
fn assign_within(slot: &mut PhpValue, path: &[Index], value: PhpValue) -> bool {
    let Some((key, rest)) = path.split_first() else {
        *slot = value;
        return true;
    };
    if *slot == PhpValue::Null {
        *slot = PhpValue::Array(PhpArray::new());
    }
    let PhpValue::Array(array) = slot else { return false };
    let existing = match key {
        Index::Key(key) => array.element_mut(key),
        Index::Next => None,
    };
    if let Some(element) = existing {
        return assign_within(element, rest, value);
    }
    let mut element = PhpValue::Null;
    if array.len() >= MAX_ELEMENTS || !assign_within(&mut element, rest, value) {
        return false;
    }
    match key {
        Index::Key(key) => {
            array.insert(key.clone(), element);
            true
        }
        Index::Next => array.push(element),
    }
}
