//! Which of two versions is the newer one, by the rules that Debian's packages use.

use std::cmp::Ordering;

/// Compares two versions: numbers by value, what stands between them by its letters, `~` before everything, so that
/// `1.2~rc1` comes before `1.2`.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.trim().as_bytes(), right.trim().as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let (left_words, right_words) = (run(&mut left, false), run(&mut right, false));
        let words = words(left_words, right_words);
        if words != Ordering::Equal {
            return words;
        }
        let (left_number, right_number) = (number(&mut left), number(&mut right));
        // Without its leading zeros, the longer number is the larger one: no number is too long.
        let numbers = (left_number.len(), left_number).cmp(&(right_number.len(), right_number));
        if numbers != Ordering::Equal {
            return numbers;
        }
    }
    Ordering::Equal
}

fn run<'a>(rest: &mut &'a [u8], digits: bool) -> &'a [u8] {
    let end = rest
        .iter()
        .position(|byte| byte.is_ascii_digit() != digits)
        .unwrap_or(rest.len());
    let (run, after) = rest.split_at(end);
    *rest = after;
    run
}

fn number<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let digits = run(rest, true);
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

fn words(left: &[u8], right: &[u8]) -> Ordering {
    let rank = |byte: Option<&u8>| match byte {
        Some(b'~') => 0,
        None => 1,
        Some(letter) if letter.is_ascii_alphabetic() => 2 + u16::from(*letter),
        Some(other) => 300 + u16::from(*other),
    };
    for at in 0..=left.len().max(right.len()) {
        let order = rank(left.get(at)).cmp(&rank(right.get(at)));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_stand_in_the_order_that_people_expect() {
        let ascending = [
            "0",
            "0.1",
            "0.1.0",
            "0.1.0+1",
            "0.1.1",
            "0.1.9",
            "0.1.10",
            "0.2.0~rc1",
            "0.2.0~rc2",
            "0.2.0",
            "0.10.0",
            "1.0.0",
            "2026.11.21",
            "2026.11.21.1",
            "99999999999999999999999999",
        ];
        for (at, older) in ascending.iter().enumerate() {
            for newer in &ascending[at + 1..] {
                assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            }
        }
        assert_eq!(compare("1.02", "1.2"), Ordering::Equal);
        assert_eq!(compare(" 1.2\n", "1.2"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn it_is_an_order(left in "[0-9a-c.~+-]{0,8}", right in "[0-9a-c.~+-]{0,8}", third in "[0-9a-c.~+-]{0,8}") {
            prop_assert_eq!(compare(&left, &left), Ordering::Equal);
            prop_assert_eq!(compare(&left, &right), compare(&right, &left).reverse());
            if compare(&left, &right) != Ordering::Greater && compare(&right, &third) != Ordering::Greater {
                prop_assert_ne!(compare(&left, &third), Ordering::Greater);
            }
        }
    }
}
