//! The key management service: accounts, keys, aliases, authorisation, operations.
