//! The broker itself: its actors, the ports they need and the rules they follow.
//!
//! Nothing here touches a file, a socket, a process or a clock: the traits of [`ports`] do, and
//! the `postroom` package implements them. The rules are pure functions in [`domain`].
//!
//! | message | sent by | handled by | reply | when the mailbox is full |
//! |---|---|---|---|---|
//! | [`router::Accept`] | HTTP handlers | [`router::Router`] | oneshot, after the commit | 503 to the client |
//! | [`inbox_writer::AppendToInbox`] | `Router` | [`inbox_writer::InboxWriter`] | none | `Router` waits: accepting slows down |
//! | [`inbox_writer::ReplyArrived`] | `BackendRelay` | [`inbox_writer::InboxWriter`] | none | dropped: the item is written without it after `reply_wait` |
//! | [`router::ContextsMarked`] | `InboxWriter` | [`router::Router`] | none | dropped: a deleted mark is noticed one message late |
//! | [`backend_relay::AdmitRelay`] | relay tasks | [`backend_relay::BackendRelay`] | the backends to try | the relay task waits, then the empty completion |
//! | [`backend_relay::AdmitRetry`] | relay tasks | [`backend_relay::BackendRelay`] | whether to try once more | no further try |
//! | [`backend_relay::RelayProgress`] | relay tasks | [`backend_relay::BackendRelay`] | none | the relay task waits |
//! | [`agent_directory::HireAgent`], `TellAgent`, `RemoveAgent`, `TakeInAgents` | HTTP handlers, startup | [`agent_directory::AgentDirectory`] | oneshot | 503 to the client |
//! | [`agent_supervisor::QueueTask`] | HTTP handlers | [`agent_supervisor::AgentSupervisor`] | oneshot, after the commit | 503 to the client |
//! | [`agent_supervisor::CancelTask`], `CancelTurn`, `AnswerTask` | HTTP handlers | [`agent_supervisor::AgentSupervisor`] | oneshot | 503 to the client |
//! | [`agent_supervisor::SetRunState`], `Retire`, `WindDown` | `AgentDirectory`, shutdown | [`agent_supervisor::AgentSupervisor`] | oneshot | told to whoever asked; shutdown goes on at its deadline |
//! | [`agent_supervisor::CallbackReceived`] | `Courier` | [`agent_supervisor::AgentSupervisor`] | none | dropped: who follows the turn misses a line |
//! | [`agent_supervisor::QueueTask`] | `Courier` | [`agent_supervisor::AgentSupervisor`] | oneshot, after the commit | the message is kept, and tried again on its schedule |
//! | [`courier::SendMessage`] | HTTP handlers | [`courier::Courier`] | oneshot, after the commit | 503 to the client |
//! | [`courier::WatchDelivery`] | HTTP handlers | [`courier::Courier`] | oneshot, at the end of the delivery | the handler looks into the store |
//! | [`courier::CancelDelivery`], `RetryDelivery` | HTTP handlers | [`courier::Courier`] | oneshot, after the commit | 503 to the client |
//! | [`lifecycle::GetStatus`] | HTTP handlers | every actor | its state | shown as unreachable |
//! | [`lifecycle::Drain`] | shutdown | [`inbox_writer::InboxWriter`], [`courier::Courier`] | when nothing waits; when no try is under way | shutdown goes on at its deadline |

pub mod activity;
pub mod agent_directory;
pub mod agent_supervisor;
pub mod backend_relay;
pub mod catalogue;
pub mod courier;
pub mod delivery;
pub mod domain;
pub mod feed;
pub mod inbox_writer;
pub mod lifecycle;
pub mod log_fields;
pub mod ports;
pub mod router;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token_usage;
