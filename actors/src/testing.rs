//! Fakes, recorders and a fixed clock for tests.
