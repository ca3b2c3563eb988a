//! The managed policies of AWS that mean something here.
//!
//! Source: AWS managed policy reference guide.

use bulla_api::PARTITION;

/// A managed policy that belongs to no account.
#[derive(Debug)]
pub(crate) struct AwsManaged {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// The version in use.
    pub(crate) version: u64,
    pub(crate) created_ms: i64,
    pub(crate) document: &'static str,
}

impl AwsManaged {
    pub(crate) fn arn(&self) -> String {
        format!("arn:{PARTITION}:iam::aws:policy/{}", self.name)
    }
}

/// All of them, in the order of their names, byte by byte.
pub(crate) const ALL: [AwsManaged; 2] = [
    AwsManaged {
        id: "ANPAJNPP7PPPPMJRV2SA4",
        name: "AWSKeyManagementServicePowerUser",
        description: "Provides access to AWS Key Management Service (KMS).",
        version: 1,
        // 2015-02-06T18:40:40Z.
        created_ms: 1_423_248_040_000,
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:CreateAlias","kms:CreateKey","kms:DeleteAlias","kms:Describe*","kms:GenerateRandom","kms:Get*","kms:List*","kms:TagResource","kms:UntagResource","iam:ListGroups","iam:ListRoles","iam:ListUsers"],"Resource":"*"}]}"#,
    },
    AwsManaged {
        id: "ANPAIWMBCKSKIEE64ZLYK",
        name: "AdministratorAccess",
        description: "Provides full access to AWS services and resources.",
        version: 1,
        // 2015-02-06T18:39:46Z.
        created_ms: 1_423_247_986_000,
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    },
];

pub(crate) fn by_id(id: &str) -> Option<&'static AwsManaged> {
    ALL.iter().find(|policy| policy.id == id)
}

pub(crate) fn by_arn(arn: &str) -> Option<&'static AwsManaged> {
    ALL.iter().find(|policy| policy.arn() == arn)
}
