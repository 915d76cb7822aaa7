//! Turns refusals into lines of the log, within limits: for one address more than fail2ban needs (`maxretry`
//! in the printed jail, 200 in ten minutes), for all addresses together no flood. Omitted lines are counted.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bounded_map::Halves;
use crate::throttle::PAUSE;

/// Lines about one address, or one /64 network of IPv6: 400 at once, then one a second.
const OF_ONE: Rate = Rate { at_once: 400, each: Duration::from_secs(1) };

/// Lines about all addresses together: 4000 at once (about 1 MB), then twenty a second.
const OF_ALL: Rate = Rate { at_once: 4000, each: Duration::from_millis(50) };

/// Addresses remembered in each of two halves. A forgotten address starts anew, within the limit for all
/// addresses.
const ADDRESSES: usize = 1024;

/// How many lines may be written.
#[derive(Clone, Copy)]
struct Rate {
    at_once: u32,
    each: Duration,
}

/// The lines written so far, as the moment at which the rate has made up for all of them.
#[derive(Clone, Copy)]
struct Lines(Instant);

impl Lines {
    /// Whether one more fits.
    fn has_room(self, now: Instant, rate: Rate) -> bool {
        self.0.saturating_duration_since(now) + rate.each <= rate.each * rate.at_once
    }

    fn plus_one(self, now: Instant, rate: Rate) -> Self {
        Lines(self.0.max(now) + rate.each)
    }
}

/// The lines written recently, and the number of lines left out.
pub struct Budget(Mutex<State>);

struct State {
    all: Lines,
    clients: Halves<IpAddr, Lines>,
    left_out: u64,
    told_at: Option<Instant>,
}

/// What to write about one refusal.
#[derive(Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Its own line.
    pub line: bool,
    /// A line with the number of lines left out since the last such line.
    pub left_out: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Budget(Mutex::new(State {
            all: Lines(Instant::now()),
            clients: Halves::new(ADDRESSES),
            left_out: 0,
            told_at: None,
        }))
    }
}

impl Budget {
    /// Counts one refusal of a client; `None` if its address is not known.
    pub fn count(&self, client: Option<IpAddr>) -> Allowance {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count(client, Instant::now())
    }
}

impl State {
    fn count(&mut self, client: Option<IpAddr>, now: Instant) -> Allowance {
        let client = client.map(network);
        let of_client = client.map(|client| self.clients.get(&client).copied().unwrap_or(Lines(now)));
        let line =
            self.all.has_room(now, OF_ALL) && of_client.is_none_or(|lines| lines.has_room(now, OF_ONE));
        if line {
            self.all = self.all.plus_one(now, OF_ALL);
            if let (Some(client), Some(lines)) = (client, of_client) {
                self.clients.put(client, lines.plus_one(now, OF_ONE));
            }
        } else {
            self.left_out += 1;
        }
        let is_due = self.told_at.is_none_or(|told| now.duration_since(told) >= PAUSE);
        let left_out = (self.left_out > 0 && is_due).then(|| {
            self.told_at = Some(now);
            std::mem::take(&mut self.left_out)
        });
        Allowance { line, left_out }
    }
}

/// The part of an address that its owner cannot choose.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(now: Instant) -> State {
        State { all: Lines(now), clients: Halves::new(ADDRESSES), left_out: 0, told_at: None }
    }

    fn lines(state: &mut State, client: &str, count: usize, now: Instant) -> usize {
        let client = Some(client.parse().unwrap());
        (0..count).filter(|_| state.count(client, now).line).count()
    }

    #[test]
    fn each_address_gets_more_lines_than_a_jail_needs_and_then_a_few() {
        let start = Instant::now();
        let mut state = state(start);
        assert_eq!(lines(&mut state, "192.0.2.1", 1000, start), 400);
        assert_eq!(lines(&mut state, "192.0.2.2", 1000, start), 400, "another address has its own");
        let later = start + Duration::from_secs(10);
        assert_eq!(lines(&mut state, "192.0.2.1", 1000, later), 10);
        let much_later = start + Duration::from_secs(10_000);
        assert_eq!(lines(&mut state, "192.0.2.1", 1000, much_later), 400);
    }

    #[test]
    fn who_can_choose_among_many_addresses_has_those_of_one() {
        let start = Instant::now();
        let mut state = state(start);
        let written =
            |state: &mut State, number: u32| lines(state, &format!("2001:db8::{number:x}"), 1, start);
        assert_eq!((0..1000).map(|number| written(&mut state, number)).sum::<usize>(), 400);
        assert_eq!(lines(&mut state, "2001:db8:0:1::1", 1000, start), 400);
        assert_eq!(lines(&mut state, "::ffff:192.0.2.1", 300, start), 300);
        assert_eq!(lines(&mut state, "192.0.2.1", 300, start), 100, "the same address in another spelling");
    }

    #[test]
    fn a_flood_from_everywhere_is_bounded() {
        let start = Instant::now();
        let mut state = state(start);
        let flood = |state: &mut State, now| {
            (0..20_000_u32)
                .filter(|number| state.count(Some(IpAddr::V4(number.to_be().into())), now).line)
                .count()
        };
        assert_eq!(flood(&mut state, start), 4000);
        assert_eq!(flood(&mut state, start + Duration::from_secs(2)), 40);
        assert!(state.clients.len() <= 2 * ADDRESSES);
    }

    #[test]
    fn what_is_left_out_is_told_at_once_and_then_once_a_minute() {
        let start = Instant::now();
        let mut state = state(start);
        let count = |state: &mut State, now| state.count(None, now).left_out;
        for _ in 0..4000 {
            assert_eq!(state.count(None, start), Allowance { line: true, left_out: None });
        }
        assert_eq!(state.count(None, start), Allowance { line: false, left_out: Some(1) });
        assert_eq!([count(&mut state, start), count(&mut state, start)], [None, None]);
        // The flood is over: the next line reports the rest.
        assert_eq!(state.count(None, start + PAUSE), Allowance { line: true, left_out: Some(2) });
        assert_eq!(state.count(None, start + 2 * PAUSE), Allowance { line: true, left_out: None });
    }
}
