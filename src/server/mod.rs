//! The side towards the web server: turns an address into sockets and their bytes into answered requests,
//! within limits of number and time.
//!
//! | part | in → out |
//! |---|---|
//! | [`listen`] | an address → a listening socket |
//! | [`serve`] | connections → answered requests, then a drain |
//! | `places` | the limit on connections → which one is closed when a new one needs a place |
//! | [`limits`] | numbers and times that bound what a peer can use up |
//! | [`notify`] | a state of the gate → a message to systemd |

pub mod limits;
pub mod listen;
pub mod notify;
pub mod serve;

mod places;
