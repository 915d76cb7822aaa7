//! Reads any bytes as a `REQUEST_URI`: without a panic, and every accepted path is canonical, so that no
//! second reading of it (by a web server) could name another file.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../../src/piwigo/mod.rs"]
mod piwigo;
#[path = "../../src/verdict/uri/mod.rs"]
mod uri;

use libfuzzer_sys::fuzz_target;
use piwigo::sizes::stored::DerivativeConfig;
use piwigo::layout::Layout;
use uri::Target;

fuzz_target!(|uri: &[u8]| {
    let layout = Layout {
        url_prefix: String::new(),
        derivative_dir: "_data/i/".into(),
        data_dir: "_data/".into(),
        parent_sites: Vec::new(),
    };
    let path = match Target::read(uri, &layout, &DerivativeConfig::default()) {
        Ok(Target::File(source) | Target::Derivative { source, .. }) => source.path,
        Ok(Target::Icon(icon)) => {
            assert!(icon.source.contains("/icon/mimetypes/"));
            icon.source
        }
        Ok(Target::Record(_)) | Err(_) => return,
    };
    assert!(path.len() <= uri::MAX_PATH);
    for segment in path.split('/') {
        assert!(!segment.is_empty() && !segment.starts_with('.'), "{path:?}");
    }
    assert!(!path.bytes().any(|byte| byte < 0x20 || byte == 0x7f || byte == b'\\'), "{path:?}");
    for private in ["local/", "_data/", "include/"] {
        assert!(!path.starts_with(private), "{path:?}");
    }
});
