//! `multipart/form-data`, read as it comes. Pure.
