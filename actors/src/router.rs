//! Accepts messages: chooses the form, commits, answers, tells the owners.
