//! Requests in the form that present OpenClaw releases send.
