//! The account as a whole.

use crate::wire::shapes;
use std::collections::BTreeMap;

shapes! {
    ACCOUNT;

    /// A tag.
    #[derive(Clone, PartialEq, Eq, Default)]
    Tag {
        key: String = "Key",
        value: String = "Value",
    }

    /// Output of `GetAccountSummary`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetAccountSummaryOutput {
        summary_map: BTreeMap<String, u32> = "SummaryMap" always,
    }
}
