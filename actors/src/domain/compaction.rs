//! How much of a message its inbox item holds.
