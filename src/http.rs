//! The HTTP surface: route table, limits, request ids.
