//! Shows the gallery of the verb `demo` in a real browser.

mod demo_in_browser;
#[path = "../support/mod.rs"]
mod support;
