//! How often a wrong password may be tried: few times from one address, and not too often from all of them together.

use std::net::{IpAddr, Ipv6Addr};

/// Tries that an address has at once, and the time until it has one more, milliseconds.
const OF_ONE: (u32, u64) = (5, 12_000);
/// The same for all addresses together.
const OF_ALL: (u32, u64) = (40, 2_000);
/// Addresses that are remembered; the one unheard of for longest makes room.
const ADDRESSES: usize = 64;

/// Tries left, refilled with time.
#[derive(Debug, Clone, Copy)]
struct Tries {
    left: u32,
    since_ms: u64,
}

impl Tries {
    fn full((most, _): (u32, u64), now_ms: u64) -> Self {
        Self {
            left: most,
            since_ms: now_ms,
        }
    }

    fn refill(&mut self, (most, every): (u32, u64), now_ms: u64) {
        let more = now_ms.saturating_sub(self.since_ms) / every;
        self.since_ms += more * every;
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(most);
        if self.left == most {
            self.since_ms = now_ms;
        }
    }

    /// Milliseconds until there is a try again.
    fn wait_ms(&self, (_, every): (u32, u64), now_ms: u64) -> u64 {
        match self.left {
            0 => (self.since_ms + every).saturating_sub(now_ms).max(1),
            _ => 0,
        }
    }
}

/// What is remembered of failed tries.
#[derive(Debug)]
pub struct Throttle {
    all: Tries,
    each: Vec<(IpAddr, Tries)>,
}

impl Throttle {
    /// Every try is there yet. `now_ms` is monotonic, here and below.
    pub fn new(now_ms: u64) -> Self {
        Self {
            all: Tries::full(OF_ALL, now_ms),
            each: Vec::new(),
        }
    }

    /// Takes a try from an address.
    ///
    /// # Errors
    /// How long it must wait, milliseconds.
    pub fn take(&mut self, from: IpAddr, now_ms: u64) -> Result<(), u64> {
        let from = origin(from);
        self.all.refill(OF_ALL, now_ms);
        let place = self.place(from, now_ms);
        let one = &mut self.each[place].1;
        one.refill(OF_ONE, now_ms);
        let wait = one
            .wait_ms(OF_ONE, now_ms)
            .max(self.all.wait_ms(OF_ALL, now_ms));
        if wait > 0 {
            return Err(wait);
        }
        one.left -= 1;
        self.all.left -= 1;
        Ok(())
    }

    /// The password was right: the try is given back.
    pub fn give_back(&mut self, from: IpAddr) {
        let from = origin(from);
        self.all.left = (self.all.left + 1).min(OF_ALL.0);
        if let Some((_, one)) = self.each.iter_mut().find(|(address, _)| *address == from) {
            one.left = (one.left + 1).min(OF_ONE.0);
        }
    }

    fn place(&mut self, from: IpAddr, now_ms: u64) -> usize {
        if let Some(place) = self.each.iter().position(|(address, _)| *address == from) {
            return place;
        }
        if self.each.len() == ADDRESSES {
            let oldest = self.each.iter().enumerate();
            let oldest = oldest.min_by_key(|(_, (_, tries))| tries.since_ms);
            if let Some((place, _)) = oldest {
                self.each.swap_remove(place);
            }
        }
        self.each.push((from, Tries::full(OF_ONE, now_ms)));
        self.each.len() - 1
    }
}

/// What counts as one address: a site has a whole IPv6 /64.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::from(u64::MAX) << 64);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + number))
    }

    #[test]
    fn five_tries_then_one_every_twelve_seconds_and_others_are_not_kept_out() {
        let mut throttle = Throttle::new(0);
        for _ in 0..5 {
            assert_eq!(throttle.take(address(1), 0), Ok(()));
        }
        assert_eq!(throttle.take(address(1), 2_000), Err(10_000));
        assert_eq!(throttle.take(address(2), 2_000), Ok(()));
        assert_eq!(throttle.take(address(1), 12_000), Ok(()));
        assert!(throttle.take(address(1), 12_000).is_err());
    }

    #[test]
    fn who_was_right_has_lost_nothing() {
        let mut throttle = Throttle::new(0);
        for _ in 0..100 {
            assert_eq!(throttle.take(address(1), 0), Ok(()));
            throttle.give_back(address(1));
        }
    }

    #[test]
    fn many_addresses_together_are_held_back_too_and_take_no_memory() {
        let mut throttle = Throttle::new(0);
        let tried = (0..1000).filter(|number| throttle.take(address(*number), 0).is_ok());
        assert_eq!(tried.count(), 40);
        assert!(throttle.each.len() <= ADDRESSES);
        let six = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(origin(six("2001:db8::1")), origin(six("2001:db8::2")));
    }
}
