//! Writes HTML. What stands in the source goes in as it is; everything else is escaped, and there is no third way.

use std::fmt::{self, Display, Write};

/// Longest page, bytes. Lists end when it is near.
const LONGEST: usize = crate::budget::visitors::ANSWER as usize;
/// What is left for the end of a page when lists are told to stop.
const FOOT: usize = 12 * 1024;

/// HTML as it grows.
#[derive(Debug, Default)]
pub struct Html(String);

/// Passes on what is written, with everything escaped that means something in HTML, in text and in attributes.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(letter),
                // Control characters are no HTML, and those that turn the direction of writing could make one name
                // look like another.
                _ if letter.is_control() || turns(letter) => self.0.push('\u{FFFD}'),
                _ => self.0.push(letter),
            }
        }
        Ok(())
    }
}

const fn turns(letter: char) -> bool {
    matches!(letter, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

impl Html {
    /// HTML of the source.
    pub fn raw(&mut self, html: &'static str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    /// Anything else, escaped.
    pub fn text(&mut self, text: impl Display) -> &mut Self {
        // A String takes everything.
        let _ = write!(Escaping(&mut self.0), "{text}");
        self
    }

    /// ` name="value"`.
    pub fn attribute(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// `<name>text</name>`.
    pub fn element(&mut self, name: &'static str, text: impl Display) -> &mut Self {
        self.raw("<").raw(name).raw(">").text(text);
        self.raw("</").raw(name).raw(">")
    }

    /// A term and what it is, of a `<dl>`.
    pub fn fact(&mut self, term: &'static str, value: impl Display) -> &mut Self {
        self.raw("<div><dt>").raw(term).raw("</dt><dd>").text(value);
        self.raw("</dd></div>")
    }

    /// A list ends here: the page would become too long.
    pub fn is_full(&self) -> bool {
        self.0.len() + FOOT > LONGEST
    }

    /// The whole.
    pub fn finish(mut self) -> String {
        // What it grew by beyond its length would be kept until the last byte is sent.
        self.0.shrink_to_fit();
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_from_outside_becomes_html() {
        let mut html = Html::default();
        html.raw("<p")
            .attribute("title", "\"><script>alert(1)</script>");
        html.raw(">")
            .text("<img src=x onerror='a()'> & co\u{202E}\u{0}\u{7}");
        html.element("b", "</b><i>");
        let text = html.finish();
        assert_eq!(
            text,
            "<p title=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\">&lt;img src=x onerror=&#39;a()&#39;&gt; &amp; \
             co\u{FFFD}\u{FFFD}\u{FFFD}<b>&lt;/b&gt;&lt;i&gt;</b>"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_written_stays_text(name in any::<String>()) {
            let mut html = Html::default();
            html.text(&name);
            let text = html.finish();
            prop_assert!(!text.contains(['<', '>', '"', '\'']), "{text}");
        }
    }
}
