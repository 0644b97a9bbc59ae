//! A track as ATAK sends it, about 700 bytes, with a number in its uid.

#![allow(dead_code)]

/// The uid of track 0.
pub const UID: &[u8] = b"ANDROID-589520cc00000000";

const TEXT: &str = "<event version=\"2.0\" uid=\"ANDROID-589520cc00000000\" type=\"a-f-G-U-C\" \
    time=\"2026-11-20T12:34:56.789Z\" start=\"2026-11-20T12:34:56.789Z\" stale=\"2026-11-20T12:41:11.789Z\" how=\"m-g\">\
    <point lat=\"38.85662091734\" lon=\"-77.06364199776728\" hae=\"127.00476702242095\" ce=\"4.7\" le=\"9999999.0\"/>\
    <detail><contact endpoint=\"*:-1:stcp\" phone=\"+13145550142\" callsign=\"VIPER 6\"/><uid Droid=\"VIPER 6\"/>\
    <precisionlocation altsrc=\"GPS\" geopointsrc=\"GPS\"/><__group role=\"Team Member\" name=\"Cyan\"/>\
    <status battery=\"83\"/><track course=\"228.70356179340502\" speed=\"1.3416407864998738\"/></detail></event>";

/// The event's bytes, rewritten in place for each number.
pub struct Track {
    bytes: Vec<u8>,
    uid: usize,
}

impl Track {
    pub fn new() -> Self {
        let bytes = TEXT.as_bytes().to_vec();
        let uid = bytes
            .windows(UID.len())
            .position(|window| window == UID)
            .expect("the uid stands in the text");
        Self { bytes, uid }
    }

    /// The track of that number.
    pub fn number(&mut self, number: u64) -> &[u8] {
        write_number(&mut self.bytes[self.uid..self.uid + UID.len()], number);
        &self.bytes
    }
}

/// Writes the last eight digits of a uid.
pub fn write_number(uid: &mut [u8], mut number: u64) {
    for digit in uid.iter_mut().rev().take(8) {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
