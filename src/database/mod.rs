//! The statements that a verdict needs, on MySQL, MariaDB and SQLite alike. They only read, but for the rows
//! of `history`: for all else a database user with SELECT alone is enough. Paths and ids always travel as
//! bound parameters; only table names from Piwigo's own settings are part of the text, checked and quoted
//! when the statements are built.

mod address;
mod batch;
mod charset;
mod client;
mod connect;
mod engine;
mod full;
mod inspect;
mod lag;
mod pictures;
mod pool;
mod questions;
mod replicas;
pub mod resolver;
mod rows;
mod schema;
mod statements;

pub use address::{Address, AddressError};
pub use batch::Rows;
pub use client::Database;
pub use engine::{DatabaseError, Trouble};
pub use inspect::{Clock, Inspection, Paths, Sample, ServerFacts, Sort};
pub use pictures::{PictureRow, Which};
pub use replicas::Replicas;
pub use rows::{
    AuthKeyRow, CoverRow, Credentials, DoorAndSession, GrantRow, ImageRow, SessionRow, UserInfos, UserRow,
};
pub use schema::{Charset, Schema};
pub use statements::{IDS, MAX_STEMS, Tables};
