//! CloudTrail-shaped audit records, chained.
