//! Which messages become one inbox file, and when.
