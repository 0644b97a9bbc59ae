//! Distinct tracks of a realistic size, made before the clock starts.

use super::support::stamp_of_now;

/// What stands before a track's number in its uid, and nowhere else.
pub const MARK: &[u8] = b"bench-";

/// All tracks of one run, one after the other.
pub struct Tracks {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Tracks {
    /// So many tracks.
    pub fn new(count: usize) -> Self {
        let (time, stale) = stamp_of_now(3_600_000);
        let mut tracks = Self {
            bytes: Vec::with_capacity(count * 720),
            ends: Vec::with_capacity(count),
        };
        for number in 0..count {
            let (row, column) = (number / 1000, number % 1000);
            let event = format!(
                "<event version=\"2.0\" uid=\"bench-{number}\" type=\"a-f-G-U-C\" how=\"m-g\" time=\"{time}\" \
                 start=\"{time}\" stale=\"{stale}\"><point lat=\"47.{row:04}123\" lon=\"12.{column:04}456\" \
                 hae=\"1204.6\" ce=\"4.7\" le=\"9999999.0\"/><detail><takv os=\"34\" \
                 version=\"5.4.0.16 (a1b2c3d4).1733000000-CIV\" device=\"SAMSUNG SM-S911B\" platform=\"ATAK-CIV\"/>\
                 <contact callsign=\"HAWK-{number}\"/><uid Droid=\"HAWK-{number}\"/>\
                 <precisionlocation altsrc=\"GPS\" geopointsrc=\"GPS\"/><__group role=\"Team Member\" name=\"Cyan\"/>\
                 <status battery=\"87\"/><remarks>Convoy of four, north-east on the valley road, next report at the bridge.</remarks>\
                 <_flow-tags_ TAK-Server-0123456789abcdef0123456789abcdef=\"{time}\"/><track course=\"{column}.25\" speed=\"3.5\"/></detail></event>\n"
            );
            tracks.bytes.extend_from_slice(event.as_bytes());
            tracks.ends.push(tracks.bytes.len());
        }
        tracks
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Mean size of one, bytes.
    pub fn mean_size(&self) -> usize {
        self.bytes.len() / self.ends.len().max(1)
    }

    /// The bytes of some that follow each other.
    pub fn slice(&self, range: std::ops::Range<usize>) -> &[u8] {
        let start = range
            .start
            .checked_sub(1)
            .map_or(0, |before| self.ends[before]);
        let end = range.end.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.bytes[start..end.max(start)]
    }
}
