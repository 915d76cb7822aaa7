//! What the verbs `check` and `doctor` report.

mod check;
mod doctor;
mod doctor_lines;
mod doctor_php;
mod doctor_session;
mod doctor_whole;
#[path = "../support/mod.rs"]
mod support;
