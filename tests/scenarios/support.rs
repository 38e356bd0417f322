//! A broker to try things on, and what belongs around it.

pub mod agents;
pub mod backend;
pub mod broker;
pub mod client;
pub mod dashboard;
pub mod events;
pub mod messages;
pub mod mock_llm;
pub mod peers;
pub mod processes;
pub mod raw;
pub mod real_cli;
pub mod sides;
pub mod small_disk;
mod stand_in;
pub mod tools;
pub mod user_home;
pub mod wait;
