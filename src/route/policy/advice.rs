//! What is worth a warning in a filter.
