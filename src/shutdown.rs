//! Signals, and the order in which things stop.
