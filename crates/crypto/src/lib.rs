//! Key material and what is done with it: locked memory, blobs, derivation, wrapping. The only caller of aws-lc.
