//! Sealed records over a transactional key-value store, and the providers of its root key.
