//! How much may be sent now over a link with a byte budget: a token bucket, and the account of what is under way.
//!
//! Pure: bytes that were seen on the wire and the time are arguments.

/// Depth of the bucket: what an idle link may send at once, milliseconds of its rate.
const DEPTH_MS: u64 = 500;
/// How far emergencies may overdraw it, milliseconds of its rate.
const OVERDRAFT_MS: u64 = 1_000;

/// A token bucket that goes into debt: a piece goes when the bucket is not in debt, however long it is, and what
/// follows waits until the debt is paid. Over any time T at most `rate * T + depth + one piece` are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    bytes_per_second: u64,
    /// Thousandths of a byte; negative = debt.
    level: i64,
    at_ms: u64,
}

impl Bucket {
    /// A full bucket. A rate of 0 counts as one byte per second.
    pub fn new(bytes_per_second: u64, now_ms: u64) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self {
            bytes_per_second,
            level: signed(bytes_per_second * DEPTH_MS),
            at_ms: now_ms,
        }
    }

    /// Adds what came in since the last call.
    pub fn refill(&mut self, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.at_ms);
        self.at_ms = self.at_ms.max(now_ms);
        let more = signed(self.bytes_per_second.saturating_mul(passed));
        let depth = signed(self.bytes_per_second * DEPTH_MS);
        self.level = self.level.saturating_add(more).min(depth);
    }

    /// Takes bytes out.
    pub fn charge(&mut self, bytes: u64) {
        self.level = self.level.saturating_sub(thousandths(bytes));
    }

    /// Puts back what was not sent after all.
    pub fn refund(&mut self, bytes: u64) {
        let depth = signed(self.bytes_per_second * DEPTH_MS);
        self.level = self.level.saturating_add(thousandths(bytes)).min(depth);
    }

    /// Milliseconds until the next piece may go; 0 = now.
    pub fn wait_ms(&self) -> u64 {
        let debt = self.level.min(0).unsigned_abs();
        debt.div_ceil(self.bytes_per_second)
    }

    /// Milliseconds of the rate that the bucket has in it; 0 in debt.
    pub fn credit_ms(&self) -> u64 {
        self.level.max(0).unsigned_abs() / self.bytes_per_second
    }

    /// Whether an emergency may go now although the bucket is in debt.
    pub fn bears_emergency(&self) -> bool {
        self.wait_ms() <= OVERDRAFT_MS
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn thousandths(bytes: u64) -> i64 {
    signed(bytes.saturating_mul(1000))
}

/// Bytes that TLS 1.3 adds to a record, HTTP/2 to a frame, and TCP over IPv4 with timestamps to a segment.
const RECORD: u64 = 22;
const FRAME: u64 = 9;
const SEGMENT: u64 = 52;
/// Payload of a segment on an ordinary path.
const SEGMENT_PAYLOAD: u64 = 1448;

/// Bytes on the wire for one write of that many bytes to the TLS stream, estimated: records, segments and their
/// headers. Acknowledgements of what the peer sends are not in it (52 bytes for each one or two of its segments), nor
/// the radio's own framing.
pub fn on_the_wire(written: u64) -> u64 {
    let records = written.div_ceil(16 * 1024).max(1);
    let ciphered = written + records * RECORD;
    ciphered + ciphered.div_ceil(SEGMENT_PAYLOAD) * SEGMENT
}

/// The bucket of one connection, charged at once for what is handed over and set right by what was seen on the wire.
#[derive(Debug, Clone)]
pub struct Account {
    bucket: Bucket,
    /// Charged, and not yet seen.
    expected: u64,
    /// What the wire had counted at the last look.
    seen: u64,
}

impl Account {
    /// For a connection that begins; `seen` is the wire's count so far.
    pub fn new(bytes_per_second: u64, seen: u64, now_ms: u64) -> Self {
        Self {
            bucket: Bucket::new(bytes_per_second, now_ms),
            expected: 0,
            seen,
        }
    }

    /// Looks at the wire: `seen` is its count of bytes written, `clear` says that nothing is under way to it any more.
    pub fn settle(&mut self, seen: u64, clear: bool, now_ms: u64) {
        self.bucket.refill(now_ms);
        let more = seen.saturating_sub(self.seen);
        self.seen = self.seen.max(seen);
        let foreseen = more.min(self.expected);
        self.expected -= foreseen;
        // Health checks, window updates, groups: what nobody handed over here is paid for as well.
        self.bucket.charge(more - foreseen);
        if clear {
            self.bucket.refund(self.expected);
            self.expected = 0;
        }
    }

    /// A piece of that many bytes is handed over.
    pub fn hand_over(&mut self, bytes: u64) {
        let bytes = on_the_wire(bytes + FRAME);
        self.bucket.charge(bytes);
        self.expected += bytes;
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whoever asks whenever: never more than the rate, the depth and one piece.
        #[test]
        fn no_more_than_the_rate_leaves(
            rate in 30_u64..100_000,
            asks in prop::collection::vec((0_u64..3_000, 1_u64..5_000), 1..200),
        ) {
            let mut bucket = Bucket::new(rate, 0);
            let (mut now, mut sent, mut longest) = (0, 0, 0);
            for (later, piece) in asks {
                now += later;
                bucket.refill(now);
                if bucket.wait_ms() == 0 {
                    bucket.charge(piece);
                    sent += piece;
                    longest = longest.max(piece);
                }
                prop_assert!(sent * 1000 <= rate * now + rate * DEPTH_MS + longest * 1000);
            }
        }

        /// A link that always has something to send gets its rate, and waits no longer than it was told.
        #[test]
        fn no_less_than_the_rate_leaves(rate in 30_u64..100_000, piece in 1_u64..5_000) {
            let mut bucket = Bucket::new(rate, 0);
            let (mut now, mut sent) = (0, 0);
            for _ in 0..100 {
                bucket.refill(now);
                let wait = bucket.wait_ms();
                now += wait;
                bucket.refill(now);
                prop_assert_eq!(bucket.wait_ms(), 0);
                bucket.charge(piece);
                sent += piece;
            }
            // Each wait is rounded up to a millisecond.
            prop_assert!((sent + 1) * 1000 >= rate * now.saturating_sub(100), "{sent} in {now} ms");
        }

        /// Estimates that are wrong do not add up: the account follows the wire.
        #[test]
        fn the_account_follows_the_wire(
            rate in 100_u64..10_000,
            steps in prop::collection::vec((1_u64..2_000, 1_u64..3_000), 1..100),
        ) {
            let mut account = Account::new(rate, 7, 0);
            let mut truth = Bucket::new(rate, 0);
            let (mut wire, mut now) = (7, 0);
            for (handed, really) in steps {
                account.hand_over(handed);
                wire += really;
                now += 400;
                account.settle(wire, true, now);
                truth.charge(really);
                truth.refill(now);
                let apart = account.bucket.level.abs_diff(truth.level);
                // A bucket that ran over in one of them loses at most what was at stake in that step.
                prop_assert!(apart <= 1000 * 6_000, "{apart}");
                account.bucket = truth.clone();
            }
        }
    }

    #[test]
    fn emergencies_overdraw_by_a_second_and_no_more() {
        let mut bucket = Bucket::new(1200, 0);
        bucket.charge(600 + 1200);
        assert_eq!(bucket.wait_ms(), 1000);
        assert!(bucket.bears_emergency());
        bucket.charge(2);
        assert!(!bucket.bears_emergency());
        bucket.refill(100);
        assert!(bucket.bears_emergency());
    }

    #[test]
    fn a_small_batch_costs_its_headers() {
        assert_eq!(on_the_wire(600), 600 + 22 + 52);
        assert_eq!(on_the_wire(20_000), 20_000 + 44 + 14 * 52);
        let mut account = Account::new(1200, 0, 0);
        account.hand_over(600);
        account.settle(600, false, 0);
        assert_eq!(account.expected, FRAME + 22 + 52);
        account.settle(600, true, 0);
        assert_eq!(account.expected, 0);
    }
}
