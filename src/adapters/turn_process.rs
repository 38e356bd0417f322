//! Runs turns as processes and leaves none behind.
