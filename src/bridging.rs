//! Passes requests of OpenAI clients on as they are, and only changes how they prove who they are.
//!
//! Two listeners of the same make: the [`bridge`] beside the client takes any credential and shows
//! the remote side its token; the [`upstream_proxy`] there takes the token and shows the API its
//! key. Both keep nothing: a request goes up through the port
//! [`PassOn`](postroom_actors::ports::passing::PassOn), which relays share, and its answer comes
//! back piece by piece. A client that goes away takes its request with it.

pub mod bridge;
pub mod door;
mod headers;
mod paths;
pub mod probe;
mod remote_health;
mod route;
mod upload;
pub mod upstream_proxy;
pub mod visitors;

pub use self::route::{PassingLimits, Route};

/// What a listener calls itself in `GET /health`, by which the other side and commands know it.
pub mod service {
    /// The local side.
    pub const BRIDGE: &str = "postroom bridge";
    /// The remote side.
    pub const UPSTREAM_PROXY: &str = "postroom upstream-proxy";
}
