//! The status LED seen from outside: edges back to the name of a pattern, and the kernel's pattern texts to edges.

/// One stretch of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Lit or dark.
    pub lit: bool,
    /// How long, milliseconds.
    pub ms: u64,
}

/// Edges (moment, lit) and the end of the look, as stretches.
pub fn stretches(edges: &[(u64, bool)], end_ms: u64) -> Vec<Stretch> {
    let ends = edges
        .iter()
        .skip(1)
        .map(|edge| edge.0)
        .chain(std::iter::once(end_ms));
    let mut found: Vec<Stretch> = Vec::new();
    for (&(begin, lit), end) in edges.iter().zip(ends) {
        let ms = end.saturating_sub(begin);
        match found.last_mut() {
            Some(last) if last.lit == lit => last.ms += ms,
            _ => found.push(Stretch { lit, ms }),
        }
    }
    found.retain(|stretch| stretch.ms > 0);
    found
}

/// The kernel's pattern text as stretches: what its software pattern does with it, in one pass (Linux, the `pattern`
/// trigger). Panics where the kernel would refuse the text, or dim slowly.
#[track_caller]
pub fn played(text: &str, full: u32) -> Vec<Stretch> {
    assert!(text.len() < 4096, "longer than a page: {}", text.len());
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect();
    assert!(
        numbers.len().is_multiple_of(2) && numbers.len() >= 4,
        "{text}"
    );
    let pairs: Vec<(u64, u64)> = numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    assert!(pairs.len() <= 1024, "{} pairs", pairs.len());
    let mut found: Vec<Stretch> = Vec::new();
    let mut at = 0;
    while at < pairs.len() {
        let (level, ms) = pairs[at];
        assert!(level == 0 || level == u64::from(full), "brightness {level}");
        let next = pairs[(at + 1) % pairs.len()];
        assert_eq!(next.0, level, "a slow change at pair {at} of {text}");
        at += if next.1 == 0 { 2 } else { 1 };
        let lit = level > 0;
        match found.last_mut() {
            Some(last) if last.lit == lit => last.ms += ms,
            _ => found.push(Stretch { lit, ms }),
        }
    }
    found
}

/// The word of the pattern that these stretches show; the first and the last are not trusted. Exact timing: what is
/// measured from outside is for `tests/image/led_decode.py`.
pub fn decode(found: &[Stretch]) -> String {
    match found {
        [] => return "unknown".into(),
        [only] if only.ms < 4500 => return "unknown".into(),
        [only] => return if only.lit { "steady" } else { "off" }.into(),
        _ => {}
    }
    let whole = &found[1..found.len() - 1];
    let lengths = |lit: bool| -> Vec<u64> {
        let mut lengths: Vec<u64> = whole
            .iter()
            .filter(|stretch| stretch.lit == lit)
            .map(|stretch| stretch.ms)
            .collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    };
    match (lengths(true).as_slice(), lengths(false).as_slice()) {
        ([] | [3800], [200]) => "wink".into(),
        ([1000], [1000]) => "slow".into(),
        ([300], [300]) => "medium".into(),
        ([100], [100]) => "fast".into(),
        ([50], [50]) => "flicker".into(),
        ([150], [150, 1050]) => "double".into(),
        ([300], [300, 1500]) => groups(whole),
        _ => "unknown".into(),
    }
}

fn groups(whole: &[Stretch]) -> String {
    let gap = |stretch: &Stretch| !stretch.lit && stretch.ms == 1500;
    let mut counts: Vec<usize> = whole
        .split(gap)
        .map(|group| group.iter().filter(|stretch| stretch.lit).count())
        .collect();
    // What stands before the first gap and behind the last is cut.
    counts.pop();
    if !counts.is_empty() {
        counts.remove(0);
    }
    counts.dedup();
    match counts.as_slice() {
        [count] => format!("blinks_{count}"),
        _ => "unknown".into(),
    }
}
