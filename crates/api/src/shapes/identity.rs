//! Who calls (AWS STS).

use crate::wire::shapes;

shapes! {
    IDENTITY;

    /// Input of `GetCallerIdentity`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetCallerIdentityInput {}

    /// Output of `GetCallerIdentity`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetCallerIdentityOutput {
        /// The account id for its root, else the principal's unique id.
        user_id: String = "UserId",
        account: String = "Account",
        arn: String = "Arn",
    }
}
