//! The inbox folder on disk.
