//! Sends requests upstream and streams the answers back: one component for relay and bridge.
