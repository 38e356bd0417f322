//! A broker to try things on, and what belongs around it.

pub mod backend;
pub mod broker;
pub mod client;
pub mod raw;
pub mod tools;
pub mod wait;
