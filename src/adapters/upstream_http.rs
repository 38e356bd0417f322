//! The way out to backends, over hyper.
