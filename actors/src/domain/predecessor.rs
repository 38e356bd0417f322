//! Requests as the predecessor, ai-agent-proxy 2.3, reads them.
