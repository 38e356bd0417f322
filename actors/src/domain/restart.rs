//! How often a failed actor is started again.
