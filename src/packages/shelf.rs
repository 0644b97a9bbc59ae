//! What is in the store, as far as it is kept in memory: sizes, order of use, and the room that is left. Pure.
//!
//! The sum that must not exceed `bytes`: packages, parts of packages that rest, and what those coming in were granted.
//! What must go goes in this order: parts that rest, oldest first; packages, the one used longest ago first. What is
//! being read stays.

use super::error::StoreError;
use super::hash::Hash;

/// Most packages coming in at once, from everywhere.
pub const COMING_IN: usize = 6;
/// Most parts that are kept to be gone on with.
pub const PARTS: usize = 8;
/// Bytes of memory for one package's place.
pub const PLACE: u64 = size_of::<Place>() as u64;

/// How much the store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// All together, bytes.
    pub bytes: u64,
    /// One package, bytes.
    pub largest: u64,
    /// How many packages.
    pub count: usize,
    /// After how long they go, milliseconds.
    pub age_ms: u64,
    /// What must stay free on the disk, bytes.
    pub free_space: u64,
}

#[derive(Debug, Clone)]
struct Place {
    hash: Hash,
    size: u64,
    submitted: u64,
    used: u64,
    readers: u32,
}

#[derive(Debug, Clone)]
struct Part {
    hash: Hash,
    bytes: u64,
    /// Somebody is writing to it.
    is_busy: bool,
    /// Its last use, in the order of the box's uses and in its monotonic time.
    used: u64,
    used_ms: u64,
}

/// What must go to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// A part that rests.
    Part(Hash),
    /// A package.
    Package(Hash),
}

/// The index; see above.
#[derive(Debug)]
pub struct Shelf {
    bounds: Bounds,
    places: Vec<Place>,
    parts: Vec<Part>,
    serial: u64,
    coming_in: usize,
    /// Bytes that those coming in were granted, and those that they announced beyond that.
    granted: u64,
    announced: u64,
}

impl Shelf {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            places: Vec::new(),
            parts: Vec::new(),
            serial: 0,
            coming_in: 0,
            granted: 0,
            announced: 0,
        }
    }

    /// How much it may hold.
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Other bounds; what is too much goes with the next package, or by [`Self::outdated`].
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// How many packages there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Bytes of all packages.
    pub fn bytes(&self) -> u64 {
        self.places.iter().map(|place| place.size).sum()
    }

    /// Bytes of parts that rest.
    pub fn part_bytes(&self) -> u64 {
        let resting = self.parts.iter().filter(|part| !part.is_busy);
        resting.map(|part| part.bytes).sum()
    }

    /// How many packages are coming in.
    pub const fn coming_in(&self) -> usize {
        self.coming_in
    }

    /// Every package's hash.
    pub fn hashes(&self) -> Vec<Hash> {
        self.places.iter().map(|place| place.hash).collect()
    }

    /// The size of a package.
    pub fn size(&self, hash: &Hash) -> Option<u64> {
        let place = self.position(hash).ok()?;
        Some(self.places[place].size)
    }

    /// A package was asked for.
    pub fn touch(&mut self, hash: &Hash) -> Option<u64> {
        let place = self.position(hash).ok()?;
        self.serial += 1;
        self.places[place].used = self.serial;
        Some(self.places[place].size)
    }

    /// Puts a package in; it counts as used.
    pub fn insert(&mut self, hash: Hash, size: u64, submitted: u64) {
        self.serial += 1;
        let place = Place {
            hash,
            size,
            submitted,
            used: self.serial,
            readers: 0,
        };
        match self.position(&hash) {
            Ok(there) => self.places[there] = place,
            Err(free) => {
                self.places.reserve_exact(1);
                self.places.insert(free, place);
            }
        }
    }

    /// Takes a package out.
    pub fn remove(&mut self, hash: &Hash) -> Option<u64> {
        let place = self.position(hash).ok()?;
        Some(self.places.remove(place).size)
    }

    /// Somebody reads a package, or does not any more.
    pub fn reads(&mut self, hash: &Hash, begins: bool) {
        if let Ok(place) = self.position(hash) {
            let readers = &mut self.places[place].readers;
            *readers = match begins {
                true => readers.saturating_add(1),
                false => readers.saturating_sub(1),
            };
        }
    }

    /// A package begins to come in, of which `size` is announced, `at` bytes are there and lie in a part.
    ///
    /// # Errors
    /// Where it can find no room whatever goes.
    pub fn begin(&mut self, size: Option<u64>, at: u64) -> Result<(), StoreError> {
        let largest = self.bounds.largest.min(self.bounds.bytes);
        let least = size.unwrap_or(0).max(at);
        if least > largest {
            return Err(StoreError::TooLarge {
                size: least,
                largest,
            });
        }
        if self.coming_in >= COMING_IN {
            return Err(StoreError::TooMany);
        }
        if self.pinned() + self.granted + self.announced + least > self.bounds.bytes {
            return Err(StoreError::Full);
        }
        self.coming_in += 1;
        self.granted += at;
        self.announced += least - at;
        Ok(())
    }

    /// One that comes in wants `more` bytes, of which `announced` were; `free` bytes are free on the disk. What must
    /// go for it.
    ///
    /// # Errors
    /// If there is no room even then: nothing is to go.
    pub fn grant(
        &mut self,
        more: u64,
        announced: u64,
        free: u64,
    ) -> Result<Vec<Victim>, StoreError> {
        let others = self.announced.saturating_sub(announced);
        if self.pinned() + self.granted + others + more > self.bounds.bytes {
            return Err(StoreError::Full);
        }
        let held = self.bytes() + self.part_bytes() + self.granted;
        let too_much = (held + more).saturating_sub(self.bounds.bytes);
        let too_few = (self.bounds.free_space + more).saturating_sub(free);
        let wanted = too_much.max(too_few);
        let (victims, freed) = self.victims(wanted, 0);
        if freed < wanted {
            return Err(StoreError::LowSpace {
                floor: self.bounds.free_space,
            });
        }
        self.granted += more;
        self.announced -= announced.min(self.announced);
        Ok(victims)
    }

    /// One that came in is done, or was given up: what it was granted and what was announced beyond.
    pub fn end(&mut self, granted: u64, announced: u64) {
        self.coming_in = self.coming_in.saturating_sub(1);
        self.granted = self.granted.saturating_sub(granted);
        self.announced = self.announced.saturating_sub(announced);
    }

    /// What must go so that one more package has a place.
    ///
    /// # Errors
    /// If all are being read.
    pub fn place(&self) -> Result<Vec<Victim>, StoreError> {
        let too_many = (self.places.len() + 1).saturating_sub(self.bounds.count.max(1));
        let victims = match too_many {
            0 => Vec::new(),
            _ => self.oldest().take(too_many).collect::<Vec<_>>(),
        };
        match victims.len() < too_many {
            true => Err(StoreError::Full),
            false => Ok(victims
                .into_iter()
                .map(|(hash, _)| Victim::Package(hash))
                .collect()),
        }
    }

    /// What is beyond the bounds without anything coming in.
    pub fn excess(&self) -> Vec<Victim> {
        let held = self.bytes() + self.part_bytes() + self.granted;
        let too_many = self.places.len().saturating_sub(self.bounds.count);
        self.victims(held.saturating_sub(self.bounds.bytes), too_many)
            .0
    }

    /// What is older than it may be, at a wall clock's `now_ms`.
    pub fn outdated(&self, now_ms: u64) -> Vec<Victim> {
        let before = now_ms.saturating_sub(self.bounds.age_ms);
        let old = self.places.iter();
        let old = old.filter(|place| place.readers == 0 && place.submitted < before);
        old.map(|place| Victim::Package(place.hash)).collect()
    }

    /// Begins to use the part of a package; how long it is, none if there is none.
    ///
    /// # Errors
    /// If somebody else does.
    pub fn take_part(&mut self, hash: &Hash) -> Result<Option<u64>, StoreError> {
        let Some(part) = self.parts.iter_mut().find(|part| part.hash == *hash) else {
            self.parts.push(Part {
                hash: *hash,
                bytes: 0,
                is_busy: true,
                used: 0,
                used_ms: 0,
            });
            return Ok(None);
        };
        if part.is_busy {
            return Err(StoreError::Busy(*hash));
        }
        part.is_busy = true;
        Ok(Some(part.bytes))
    }

    /// A part rests from now on, or is no more when it has no bytes. What is beyond [`PARTS`] must go.
    pub fn rest_part(&mut self, hash: &Hash, bytes: u64, now_ms: u64) -> Vec<Victim> {
        self.drop_part(hash);
        if bytes == 0 {
            return Vec::new();
        }
        self.serial += 1;
        self.parts.push(Part {
            hash: *hash,
            bytes,
            is_busy: false,
            used: self.serial,
            used_ms: now_ms,
        });
        let resting = self.parts.iter().filter(|part| !part.is_busy).count();
        let parts = self.oldest_parts().take(resting.saturating_sub(PARTS));
        parts.map(|(hash, _)| Victim::Part(hash)).collect()
    }

    /// A part is gone.
    pub fn drop_part(&mut self, hash: &Hash) {
        self.parts.retain(|part| part.hash != *hash);
    }

    /// Whether a part may be removed.
    pub fn may_remove_part(&self, hash: &Hash) -> bool {
        let part = self.parts.iter().find(|part| part.hash == *hash);
        part.is_some_and(|part| !part.is_busy)
    }

    /// Parts that rested longer than `most_ms`.
    pub fn stale_parts(&self, now_ms: u64, most_ms: u64) -> Vec<Victim> {
        let old = |part: &&Part| !part.is_busy && now_ms.saturating_sub(part.used_ms) > most_ms;
        let parts = self.parts.iter().filter(old);
        parts.map(|part| Victim::Part(part.hash)).collect()
    }

    fn pinned(&self) -> u64 {
        let read = self.places.iter().filter(|place| place.readers > 0);
        read.map(|place| place.size).sum()
    }

    fn position(&self, hash: &Hash) -> Result<usize, usize> {
        self.places.binary_search_by(|place| place.hash.cmp(hash))
    }

    fn oldest(&self) -> impl Iterator<Item = (Hash, u64)> {
        let mut places: Vec<&Place> = self
            .places
            .iter()
            .filter(|place| place.readers == 0)
            .collect();
        places.sort_unstable_by_key(|place| place.used);
        places.into_iter().map(|place| (place.hash, place.size))
    }

    fn oldest_parts(&self) -> impl Iterator<Item = (Hash, u64)> {
        let mut parts: Vec<&Part> = self.parts.iter().filter(|part| !part.is_busy).collect();
        parts.sort_unstable_by_key(|part| part.used);
        parts.into_iter().map(|part| (part.hash, part.bytes))
    }

    /// Enough to free so many bytes and packages, and how many bytes it frees.
    fn victims(&self, bytes: u64, count: usize) -> (Vec<Victim>, u64) {
        let (mut victims, mut freed, mut packages) = (Vec::new(), 0, 0);
        if bytes == 0 && count == 0 {
            return (victims, freed);
        }
        for (hash, size) in self.oldest_parts() {
            if freed >= bytes {
                break;
            }
            victims.push(Victim::Part(hash));
            freed += size;
        }
        for (hash, size) in self.oldest() {
            if freed >= bytes && packages >= count {
                break;
            }
            victims.push(Victim::Package(hash));
            freed += size;
            packages += 1;
        }
        (victims, freed)
    }
}

#[cfg(test)]
mod tests;
