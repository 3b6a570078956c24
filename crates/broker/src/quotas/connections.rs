//! How many connections are made a second: in all, and from one address. Pure.

use std::{net::IpAddr, time::Duration};

use milena_env::HashMap;

use super::rate::{Rate, Window};
use crate::limits::QUOTA_PARTIES_MAX;

/// What may be made a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreationLimits {
    pub(crate) window: Window,
    /// `max.connection.creation.rate`
    pub(crate) of_all: Option<f64>,
    /// The quota of the address.
    pub(crate) of_ip: Option<f64>,
}

/// When a connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// And nobody else before.
    After(Duration),
    /// Never. It is closed after so long, or whoever made it would make another one at once.
    Refused(Duration),
}

#[derive(Debug, Default)]
pub(crate) struct CreationRates {
    of_all: Rate,
    by_ip: HashMap<IpAddr, Rate>,
}

impl CreationRates {
    /// Somebody has connected.
    pub(crate) fn connected(&mut self, limits: CreationLimits, now: Duration, ip: IpAddr) -> Turn {
        let window = limits.window;
        if let Some(limit) = limits.of_ip {
            if self.by_ip.len() >= QUOTA_PARTIES_MAX && !self.by_ip.contains_key(&ip) {
                self.by_ip.retain(|_, rate| !rate.is_idle(window, now));
                if self.by_ip.len() >= QUOTA_PARTIES_MAX {
                    self.by_ip.clear();
                }
            }
            let rate = self.by_ip.entry(ip).or_default();
            rate.record(window, now, 1.0);
            let wait = rate.excess(window, now, limit);
            if !wait.is_zero() {
                // Only those that are let in count.
                rate.take_back(1.0);
                return Turn::Refused(wait.min(window.sample));
            }
        }
        let Some(limit) = limits.of_all else { return Turn::Now };
        self.of_all.record(window, now, 1.0);
        match self.of_all.excess(window, now, limit).min(window.sample) {
            Duration::ZERO => Turn::Now,
            wait => Turn::After(wait),
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    const WINDOW: Window = Window { samples: 3, sample: Duration::from_secs(1) };
    const UNLIMITED: CreationLimits = CreationLimits { window: WINDOW, of_all: None, of_ip: None };

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn an_address_that_connects_too_often_is_refused_and_no_other() {
        let limits = CreationLimits { of_ip: Some(2.0), ..UNLIMITED };
        let mut rates = CreationRates::default();
        let mut turn = |ip, seconds| rates.connected(limits, Duration::from_secs(seconds), ip);
        // Two seconds' worth at once.
        let turns: Vec<Turn> = (0..6).map(|_| turn(ip(1), 0)).collect();
        assert_eq!(turns[..4], [Turn::Now; 4]);
        assert_eq!(turns[4..], [Turn::Refused(Duration::from_millis(500)); 2]);
        assert_eq!(turn(ip(2), 0), Turn::Now);
        assert_eq!(turn(ip(1), 3), Turn::Now);
    }

    #[test]
    fn all_wait_where_all_connect_too_often() {
        let limits = CreationLimits { of_all: Some(2.0), ..UNLIMITED };
        let mut rates = CreationRates::default();
        let mut turn = |last| rates.connected(limits, Duration::ZERO, ip(last));
        assert!((0..4).all(|last| turn(last) == Turn::Now));
        assert_eq!(turn(4), Turn::After(Duration::from_millis(500)));
        assert_eq!(turn(5), Turn::After(Duration::from_secs(1)));
        assert_eq!(turn(6), Turn::After(Duration::from_secs(1)), "never longer than a sample");
        let mut unlimited = CreationRates::default();
        let turn = |_| unlimited.connected(UNLIMITED, Duration::ZERO, ip(1)) == Turn::Now;
        assert!((0..1000).all(turn));
    }
}
