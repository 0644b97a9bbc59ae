//! Where a file is that an option names.

use std::path::Path;

/// The box reads the file later, from another directory.
pub(super) fn absolute(file: &Path) -> String {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    whole.display().to_string()
}
