//! What an inbox file holds.
