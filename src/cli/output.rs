//! Standard output, and text fit for a terminal.

use std::io::{self, Write};

use serde::Serialize;

use super::failure::{Exit, Failure};

/// Writes to standard output. A reader that has gone (`| head`) is no failure.
///
/// # Errors
/// If standard output cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Io, format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// One line of JSON, with its line's end.
///
/// # Errors
/// If the value has no JSON form, which is a defect of the program.
pub fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    match serde_json::to_string(value) {
        Ok(line) => Ok(line + "\n"),
        Err(error) => Err(Failure::new(Exit::Internal, error.to_string())),
    }
}

/// Text from elsewhere without what could steer a terminal.
pub fn clean(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(visible).collect()
}

/// The same for text of several lines.
pub fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(clean).collect();
    lines.join("\n")
}

/// Text cut or padded to a width in characters.
pub fn column(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

/// Text broken into lines of at most `width` characters, each with `indent` in front.
pub fn wrap(text: &str, indent: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in clean(text).split_whitespace() {
        let needed = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && indent.chars().count() + needed > width {
            lines.extend([indent, &line, "\n"]);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.extend([indent, &line, "\n"]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_steered_and_columns_hold() {
        assert_eq!(clean("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(column("abc", 5), "abc  ");
        assert_eq!(column("Élan-abcdef", 5), "Élan…");
        assert_eq!(wrap("one two three", "  ", 9), "  one two\n  three\n");
        assert_eq!(wrap("", "  ", 9), "");
    }
}
