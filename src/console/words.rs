//! A command line cut into words.

/// Words between spaces; "quotes" hold spaces together.
///
/// # Errors
/// In words, when a quote is not closed.
pub(super) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut letters = line.trim().chars().peekable();
    while letters.peek().is_some() {
        let mut word = String::new();
        let mut is_quoted = false;
        while let Some(letter) = letters.next_if(|letter| is_quoted || *letter != ' ') {
            match letter {
                '"' => is_quoted = !is_quoted,
                _ => word.push(letter),
            }
        }
        if is_quoted {
            return Err("a quote is not closed");
        }
        words.push(word);
        while letters.next_if_eq(&' ').is_some() {}
    }
    Ok(words)
}

/// The rest of a line behind its first words, as it was written.
pub(super) fn behind(line: &str, words: usize) -> &str {
    let mut rest = line.trim();
    for _ in 0..words {
        rest = rest
            .split_once(' ')
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    rest
}

/// A time as `5` (minutes), `5m`, `90s` or `1h`, in seconds.
pub(super) fn seconds(text: &str) -> Option<u32> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.chars().last()?),
        None => (text, 'm'),
    };
    let number: u32 = number.parse().ok()?;
    let each = match unit {
        's' => 1,
        'm' => 60,
        _ => 3600,
    };
    number.checked_mul(each).filter(|&seconds| seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes() {
        let words = split("  set node.name  \"two words\" x\"y z\" \"\"").unwrap();
        assert_eq!(words, ["set", "node.name", "two words", "xy z", ""]);
        assert!(split("a \"b").is_err());
        assert_eq!(split("").unwrap(), Vec::<String>::new());
        assert_eq!(behind(" set  a.b   c d ", 2), "c d");
        assert_eq!(behind("set", 2), "");
    }

    #[test]
    fn times_have_units() {
        for (text, meant) in [
            ("5", Some(300)),
            ("5m", Some(300)),
            ("90s", Some(90)),
            ("1h", Some(3600)),
            ("0", None),
            ("", None),
            ("s", None),
            ("-1", None),
            ("99999999999", None),
            ("4294967295h", None),
        ] {
            assert_eq!(seconds(text), meant, "{text}");
        }
    }
}
