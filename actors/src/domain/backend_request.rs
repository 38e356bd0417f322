//! The request as a backend gets it.
