//! The real events of `tests/corpus`.

use std::fs;
use std::path::Path;

/// Every event of the corpus: where it lies, and everything from `<event` to the last `</event>`.
pub fn corpus() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut events = Vec::new();
    for folder in ["captures", "package", "takcot"] {
        for entry in fs::read_dir(root.join(folder)).expect("the corpus") {
            let path = entry.expect("a file").path();
            let text = fs::read_to_string(&path).expect("UTF-8");
            let start = text.find("<event").expect("an event");
            let end = text.rfind("</event>").expect("its end") + "</event>".len();
            events.push((path.display().to_string(), text[start..end].to_owned()));
        }
    }
    events.sort();
    assert_eq!(events.len(), 41, "the corpus is complete");
    events
}
