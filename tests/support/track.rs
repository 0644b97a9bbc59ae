//! Tracks as ATAK sends them, about 700 bytes each, with a number in their uid.
//!
//! As on the air, everything that changes between two reports changes here: place, height, error, times, course,
//! speed, battery and callsign, and with them the lengths of the values.

#![allow(dead_code)]

/// The uid of track 0.
pub const UID: &[u8] = b"ANDROID-589520cc00000000";

/// Tracks made beforehand; then they come again, under other uids.
const MADE: u64 = 512;

/// The events' bytes, made once; the uid is rewritten in place for each number.
pub struct Track {
    made: Vec<Vec<u8>>,
    uid: usize,
}

impl Track {
    pub fn new() -> Self {
        let mut noise = Noise(1);
        let made: Vec<_> = (0..MADE).map(|number| text(number, &mut noise)).collect();
        let uid = position(&made[0], UID);
        Self { made, uid }
    }

    /// The track of that number.
    pub fn number(&mut self, number: u64) -> &[u8] {
        let bytes = &mut self.made[(number % MADE) as usize];
        write_number(&mut bytes[self.uid..self.uid + UID.len()], number);
        bytes
    }
}

/// When the track of that number was made, milliseconds since 1970.
pub fn made_ms(number: u64) -> i64 {
    MADE_MS[(number % MADE) as usize]
}

/// Looked up, because asking is not what is measured.
static MADE_MS: [i64; MADE as usize] = {
    // 2026-11-20T00:00:00Z
    const DAY: u64 = 1_795_132_800_000;
    let mut times = [0; MADE as usize];
    let mut number = 0;
    while number < MADE {
        let millis = 1_789 * number + 56_789;
        let seconds = 3600 * (12 + number / 450) + 60 * 34 + millis / 1000 % 600;
        times[number as usize] = (DAY + 1000 * seconds + millis % 1000) as i64;
        number += 1;
    }
    times
};

/// Where the uid stands.
pub fn position(bytes: &[u8], uid: &[u8]) -> usize {
    let mut windows = bytes.windows(uid.len());
    windows
        .position(|window| window == uid)
        .expect("the uid stands in the event")
}

/// Writes the last eight digits of a uid, which are hexadecimal as Android's are; all at once, because making the input
/// is not what is measured.
pub fn write_number(uid: &mut [u8], number: u64) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from((number as u32).swap_bytes());
    let word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    let word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    let digits = (word >> 4 | word << 8) & (ONES * 0x0f);
    let letters = (digits + ONES * 6) >> 4 & ONES;
    let text = digits + ONES * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10);
    if let Some(last) = uid.last_chunk_mut() {
        *last = text.to_le_bytes();
    }
}

fn text(number: u64, noise: &mut Noise) -> Vec<u8> {
    let (hour, millis) = (12 + number / 450, 1_789 * number + 56_789);
    let time = |offset: u64| {
        let seconds = millis / 1000 % 600 + offset;
        let (minute, second) = (34 + seconds / 60, seconds % 60);
        let millis = millis % 1000;
        format!("2026-11-20T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    };
    let (now, stale) = (time(0), time(375));
    // Some receivers round, others hand on every digit of a double; `{:?}` writes the shortest that means the same.
    let lat = (38.85 + noise.below(0.1)) * 1e11;
    let (lat, lon) = (lat.round() / 1e11, -77.06364199776728 + noise.below(0.1));
    let (hae, error) = (127.00476702242095 + noise.below(40.0), noise.below(20.0));
    let error = (error * 10.0).round() / 10.0;
    let (course, speed) = (noise.below(360.0), 0.5 + noise.below(4.0));
    let (battery, callsign) = (11 + number % 89, format!("VIPER {}", number % 60));
    let uid = std::str::from_utf8(UID).expect("ASCII");
    format!(
        "<event version=\"2.0\" uid=\"{uid}\" type=\"a-f-G-U-C\" \
         time=\"{now}\" start=\"{now}\" stale=\"{stale}\" how=\"m-g\">\
         <point lat=\"{lat:?}\" lon=\"{lon:?}\" hae=\"{hae:?}\" ce=\"{error:?}\" le=\"9999999.0\"/>\
         <detail><contact endpoint=\"*:-1:stcp\" phone=\"+13145550142\" callsign=\"{callsign}\"/><uid Droid=\"{callsign}\"/>\
         <precisionlocation altsrc=\"GPS\" geopointsrc=\"GPS\"/><__group role=\"Team Member\" name=\"Cyan\"/>\
         <status battery=\"{battery}\"/><track course=\"{course:?}\" speed=\"{speed:?}\"/></detail></event>"
    )
    .into_bytes()
}

/// Numbers that look like chance, and are the same in every run.
struct Noise(u64);

impl Noise {
    /// From 0 to `limit`, all bits of the mantissa in use.
    fn below(&mut self, limit: f64) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64 * limit
    }
}
