//! The key that was probably meant.

/// The candidate nearest to what was written, if any is near enough to be meant.
///
/// Near: at most a third of its letters differ, a swap of neighbours counting once; or one is a whole word of the
/// other (`cert` for `ca_cert`).
pub fn nearest<'a>(written: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase().replace('-', "_");
    candidates
        .iter()
        .map(|&candidate| (distance(&written, candidate), candidate))
        .filter(|&(distance, candidate)| {
            distance <= candidate.len().max(written.len()).div_ceil(3)
                || shares_word(&written, candidate)
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

fn shares_word(written: &str, candidate: &str) -> bool {
    !written.is_empty()
        && (candidate.split('_').any(|word| word == written)
            || written.split('_').any(|word| word == candidate))
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, &a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in right.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == right[j - 1] && left[i - 1] == b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEYS: &[&str] = &[
        "name",
        "address",
        "ca_cert",
        "fingerprint",
        "keepalive_seconds",
    ];

    #[test]
    fn slips_are_understood() {
        for (written, meant) in [
            ("adress", "address"),
            ("Address", "address"),
            ("addres", "address"),
            ("nmae", "name"),
            ("ca-cert", "ca_cert"),
            ("cert", "ca_cert"),
            ("finger_print", "fingerprint"),
            ("keepalive", "keepalive_seconds"),
        ] {
            assert_eq!(nearest(written, KEYS), Some(meant), "{written}");
        }
    }

    #[test]
    fn nonsense_is_not() {
        for written in ["", "x", "colour", "multicast"] {
            assert_eq!(nearest(written, KEYS), None, "{written}");
        }
    }

    proptest! {
        #[test]
        fn one_slip_always_finds_the_key(key in 0..KEYS.len(), at in 0usize..32, letter in "[a-z]") {
            let key = KEYS[key];
            let at = at % key.len();
            let replaced = format!("{}{letter}{}", &key[..at], &key[at + 1..]);
            let doubled = format!("{}{letter}{}", &key[..at], &key[at..]);
            let missing = format!("{}{}", &key[..at], &key[at + 1..]);
            for written in [replaced, doubled, missing] {
                prop_assert_eq!(nearest(&written, KEYS), Some(key), "{}", written);
            }
        }

        #[test]
        fn the_distance_is_symmetric_and_zero_only_for_equals(a in "[ab_]{0,8}", b in "[ab_]{0,8}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }
    }
}
