//! The operations of AWS STS.

mod get_caller_identity;

use super::Executes;
