//! Envelope encryption of files and streams in AWS Encryption SDK format.
