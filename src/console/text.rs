//! Text for any terminal: ASCII, at most 79 columns (a line of 80 makes some terminals skip one).

/// Longest line, columns.
pub(super) const WIDTH: usize = 79;

/// Columns of a label.
const LABEL: usize = 14;

/// A page that grows line by line.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A paragraph; what does not fit goes on in the next line, further in.
    pub(super) fn line(&mut self, text: &str) -> &mut Self {
        self.indented("", text, "  ")
    }

    /// A value with a label in front.
    pub(super) fn label(&mut self, label: &str, value: &str) -> &mut Self {
        let margin = " ".repeat(LABEL);
        let longest = value.split(' ').map(str::len).max().unwrap_or(0);
        match value {
            "" => self,
            // A fingerprint must be in one piece to be copied.
            _ if LABEL + longest > WIDTH => {
                if !label.is_empty() {
                    self.line(label);
                }
                self.inner(value)
            }
            _ => self.indented(&format!("{label:<LABEL$}"), value, &margin),
        }
    }

    /// A paragraph that belongs to the line above.
    pub(super) fn inner(&mut self, text: &str) -> &mut Self {
        self.indented("  ", text, "  ")
    }

    /// Lines as they are (PEM, a diff): nothing is broken between words, only what is too long.
    pub(super) fn verbatim(&mut self, text: &str) -> &mut Self {
        for line in text.lines() {
            let mut rest = ascii(line);
            while rest.len() > WIDTH {
                let tail = rest.split_off(WIDTH);
                self.push(&rest);
                rest = tail;
            }
            self.push(&rest);
        }
        self
    }

    pub(super) fn blank(&mut self) -> &mut Self {
        self.push("");
        self
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn indented(&mut self, first: &str, text: &str, next: &str) -> &mut Self {
        let mut line = ascii(first);
        let mut has_words = false;
        for word in ascii(text).split(' ').filter(|word| !word.is_empty()) {
            let mut word = word;
            if has_words && line.len() + 1 + word.len() > WIDTH {
                self.push(line.trim_end());
                line = next.to_owned();
                has_words = false;
            }
            while line.len() + word.len() + usize::from(has_words) > WIDTH {
                let (head, tail) = word.split_at(WIDTH.saturating_sub(line.len()).max(1));
                self.push(&format!("{line}{head}"));
                line = next.to_owned();
                word = tail;
            }
            if has_words {
                line.push(' ');
            }
            line.push_str(word);
            has_words = true;
        }
        self.push(line.trim_end());
        self
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// Text in letters that every terminal has, and nothing that could steer it.
pub(super) fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ' '..='~' => plain.push(letter),
            '\t' => plain.push(' '),
            '\u{2013}' | '\u{2014}' => plain.push('-'),
            '\u{2018}' | '\u{2019}' => plain.push('\''),
            '\u{201c}' | '\u{201d}' => plain.push('"'),
            '\u{2026}' => plain.push_str("..."),
            _ => plain.push('?'),
        }
    }
    plain
}

/// Text cut or padded to a width.
pub(super) fn column(text: &str, width: usize) -> String {
    let mut text = ascii(text);
    if text.len() > width {
        text.truncate(width.saturating_sub(1));
        text.push('~');
    }
    format!("{text:<width$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_broken_between_words() {
        let mut page = Page::new();
        page.label("name", &"word ".repeat(30));
        let text = page.into_text();
        assert!(text.starts_with("name          word word"), "{text}");
        assert!(
            text.lines()
                .nth(1)
                .unwrap()
                .starts_with("              word"),
            "{text}"
        );
        assert_eq!(column("\u{c9}lan-abcdef", 5), "?lan~");
    }

    proptest! {
        #[test]
        fn whatever_is_shown_is_narrow_ascii(label in ".{0,20}", text in ".{0,400}") {
            let mut page = Page::new();
            page.line(&text).label(&label, &text).verbatim(&text);
            let shown = page.into_text();
            // A label too long for the line is no label of ours.
            prop_assert!(shown.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
            prop_assert!(shown.lines().all(|line| line.len() <= WIDTH), "{}", shown);
        }
    }
}
