//! The side towards the web server: sockets, connections, their number and their times.
//!
//! | part | in → out |
//! |---|---|
//! | [`listen`] | an address → a listening socket |
//! | [`serve`] | accepts connections, answers their requests, ends with a drain |
//! | `places` | the cap on connections: which one is closed when a newcomer needs a place |
//! | [`limits`] | numbers and times that bound what a peer can use up |
//! | [`notify`] | "requests can come" → systemd, where it waits for that |

pub mod limits;
pub mod listen;
pub mod notify;
pub mod serve;

mod places;
