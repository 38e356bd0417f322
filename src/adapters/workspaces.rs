//! The agents' folders.
