//! Generated cases, from vocabularies so small that they often fit one another.

use serde_json::{Value, json};

/// Numbers from a seed, the same ones everywhere (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x0123_4567_89ab_cdef)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

const PRINCIPALS: &[&str] = &[
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:user/team/bob",
    "arn:aws:iam::111122223333:role/app",
    "arn:aws:iam::111122223333:role/team/app",
    "arn:aws:sts::111122223333:assumed-role/app/s1",
    "arn:aws:sts::111122223333:assumed-role/app/s2",
    "arn:aws:iam::444455556666:user/carol",
    "arn:aws:iam::444455556666:role/app",
    "arn:aws:iam::111122223333:root",
    "111122223333",
    "arn:aws:iam::444455556666:root",
    "444455556666",
    "*",
];

const ACTIONS: &[&str] = &[
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:CreateGrant",
    "kms:ReEncryptFrom",
    "kms:ListKeys",
];

const ACTION_PATTERNS: &[&str] = &[
    "kms:Encrypt",
    "kms:Decrypt",
    "KMS:decrypt",
    "kms:*",
    "*",
    "kms:*crypt",
    "kms:?ecrypt",
    "kms:De*",
    "kms:*e*y*",
    "kms:ListKeys",
    "kms:Enc",
    "s3:*",
];

const RESOURCES: &[&str] = &[
    "arn:aws:kms:us-east-1:111122223333:key/k1",
    "arn:aws:kms:eu-west-1:111122223333:key/k2*",
    "arn:aws:kms:us-east-1:444455556666:key/k1",
    "*",
    "arn:aws:kms:us-east-1:111122223333:alias/red",
];

const RESOURCE_PATTERNS: &[&str] = &[
    "*",
    "*",
    "*",
    "arn:aws:kms:us-east-1:111122223333:key/k1",
    "arn:aws:kms:*:111122223333:key/*",
    "arn:aws:kms:us-east-1:*:key/k?",
    "arn:aws:kms:*",
    "arn:aws:kms:*k1",
    "arn:aws:kms:us-east-1:111122223333:KEY/k1",
    "arn:aws:kms:*:*:key/${aws:PrincipalTag/key}",
    "arn:aws:kms:*:*:*/${AWS:principaltag/Key, 'k1'}",
    "arn:aws:kms:*:*:key/k2${*}",
    "arn:*:${aws:username}*",
];

/// A condition key with what a request may have under it, and what policies ask of it.
struct Key {
    name: &'static str,
    operators: &'static [&'static str],
    present: &'static [&'static str],
    wanted: &'static [&'static str],
    many: bool,
}

const STRING: &[&str] = &[
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "Null",
];
const NUMERIC: &[&str] = &[
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
];
const DATE: &[&str] = &[
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
];
const ARN: &[&str] = &["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike", "StringLike", "Null"];

const TEAMS: &[&str] = &["red", "Red", "r*d", "blue", "", "k1"];
const WANTED_TEAMS: &[&str] = &[
    "red",
    "blue",
    "RED",
    "r*",
    "?ed",
    "*",
    "",
    "r${*}d",
    "${aws:username}",
    "${aws:PrincipalTag/team}",
    "${aws:PrincipalTag/none, 'red'}",
    "${aws:TagKeys}",
    "*${aws:username}*",
    "true",
    "false",
];

const KEYS: &[Key] = &[
    Key {
        name: "aws:PrincipalTag/team",
        operators: STRING,
        present: TEAMS,
        wanted: WANTED_TEAMS,
        many: false,
    },
    Key { name: "aws:username", operators: STRING, present: TEAMS, wanted: WANTED_TEAMS, many: false },
    Key {
        name: "kms:EncryptionContext:Team",
        operators: STRING,
        present: TEAMS,
        wanted: WANTED_TEAMS,
        many: false,
    },
    Key {
        name: "aws:PrincipalTag/key",
        operators: STRING,
        present: &["k1", "k2*", "*"],
        wanted: WANTED_TEAMS,
        many: false,
    },
    Key { name: "aws:TagKeys", operators: STRING, present: TEAMS, wanted: WANTED_TEAMS, many: true },
    Key {
        name: "kms:ScheduleKeyDeletionPendingWindowInDays",
        operators: NUMERIC,
        present: &["7", "7.0", "30", "x"],
        wanted: &["7", "10", "30", "7.00", "ten", "7.5"],
        many: false,
    },
    Key {
        name: "aws:CurrentTime",
        operators: DATE,
        present: &["2026-11-26T12:00:00Z", "1795694400", "2026-11-26T12:00:00.5+02:00", "now"],
        wanted: &[
            "2026-11-26T12:00:00Z",
            "2026-11-26T13:00:00+01:00",
            "2026",
            "2026-11-26",
            "2026-12",
            "2026-11-26T12:00Z",
            "1795694400",
            "2026-13-01",
        ],
        many: false,
    },
    Key {
        name: "aws:SecureTransport",
        operators: &["Bool", "Bool", "Null"],
        present: &["true", "false", "TRUE", "yes"],
        wanted: &["true", "false", "True", "yes"],
        many: false,
    },
    Key {
        name: "kms:Binary",
        operators: &["BinaryEquals"],
        present: &["QQ==", "QUI="],
        wanted: &["QQ==", "QUI=", "qq=="],
        many: false,
    },
    Key {
        name: "aws:SourceIp",
        operators: &["IpAddress", "NotIpAddress"],
        present: &["203.0.113.7", "10.1.2.3", "2001:db8::7", "here"],
        wanted: &[
            "203.0.113.0/24",
            "10.0.0.0/8",
            "203.0.113.7",
            "2001:DB8::/32",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/40",
            "x",
        ],
        many: false,
    },
    Key {
        name: "aws:PrincipalArn",
        operators: ARN,
        present: &["arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:role/a:b", "alice"],
        wanted: &[
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::*:user/*",
            "arn:aws:iam::*",
            "arn:*:*:*:*:*",
            "arn:aws:iam::111122223333:${kms:Kind}/*",
            "${aws:PrincipalArn}",
            "arn:aws:iam:*:*/*",
            "*",
            "true",
        ],
        many: false,
    },
    Key {
        name: "kms:Kind",
        operators: STRING,
        present: &["user", "role", "*"],
        wanted: &["user", "role", "*"],
        many: false,
    },
    Key {
        name: "kms:ResourceAliases",
        operators: ARN,
        present: &["alias/a", "alias/b"],
        wanted: &["alias/*", "alias/b"],
        many: true,
    },
];

/// A case by its number.
pub(crate) fn case(seed: u64) -> Value {
    let dice = &mut Dice::new(seed);
    let principal = principal(dice);
    let resource = dice.one(RESOURCES);
    let account = match resource.split(':').nth(4) {
        Some(account) => account.to_owned(),
        None => principal["account"].as_str().unwrap().to_owned(),
    };
    let is_session = principal["type"] == "assumed-role";
    let identity: Vec<Value> = (0..dice.below(3))
        .map(|number| json!({"name": format!("p{number}"), "kind": dice.one(&["inline", "managed", "group"]), "document": policy(dice, false)}))
        .collect();
    let sessions = if is_session && dice.percent(40) { 1 + dice.below(2) } else { 0 };
    let sessions: Vec<Value> = (0..sessions).map(|_| policy(dice, false)).collect();
    let grants: Vec<Value> = (0..if dice.percent(25) { 2 } else { 0 }).map(|_| grant(dice)).collect();
    json!({
        "id": seed.to_string(),
        "request": {
            "principal": principal,
            "action": dice.one(ACTIONS),
            "resource": resource,
            "resource_account": account,
            "context": context(dice),
        },
        "identity_policies": identity,
        "session_policies": sessions,
        "grants": grants,
        "permission_boundary": if dice.percent(25) { policy(dice, false) } else { Value::Null },
        "key_policy": if dice.percent(85) { policy(dice, true) } else { Value::Null },
    })
}

fn principal(dice: &mut Dice) -> Value {
    let user = |account: &str, path: &str, name: &str| json!({"type": "user", "account": account, "arn": format!("arn:aws:iam::{account}:user/{path}{name}"), "name": name});
    let session = |account: &str, path: &str, session: &str| {
        json!({"type": "assumed-role", "account": account, "name": "app", "session": session,
            "arn": format!("arn:aws:sts::{account}:assumed-role/app/{session}"),
            "role_arn": format!("arn:aws:iam::{account}:role/{path}app")})
    };
    match dice.below(10) {
        0..=2 => user("111122223333", "", "alice"),
        3 => user("111122223333", "team/", "bob"),
        4 | 5 => session("111122223333", "", "s1"),
        6 => session("111122223333", "team/", "s2"),
        7 => user("444455556666", "", "carol"),
        8 => session("444455556666", "", "s1"),
        _ => {
            let account = dice.one(&["111122223333", "444455556666"]);
            json!({"type": "root", "account": account, "arn": format!("arn:aws:iam::{account}:root")})
        }
    }
}

fn context(dice: &mut Dice) -> Value {
    let mut context = serde_json::Map::new();
    for key in KEYS {
        if !dice.percent(60) {
            continue;
        }
        let name = cased(dice, key.name);
        let value = if key.many {
            (0..dice.below(4)).map(|_| dice.one(key.present)).collect()
        } else {
            Value::from(dice.one(key.present))
        };
        context.insert(name, value);
    }
    Value::Object(context)
}

/// Now and then in another case, but where a grant's constraint would tell.
fn cased(dice: &mut Dice, name: &str) -> String {
    match dice.below(6) {
        _ if name.contains("EncryptionContext") => name.to_owned(),
        0 => name.to_uppercase(),
        1 => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

fn policy(dice: &mut Dice, of_key: bool) -> Value {
    let version = match dice.below(10) {
        0 => None,
        1 => Some("2008-10-17"),
        _ => Some("2012-10-17"),
    };
    let count = 1 + dice.below(3);
    let statements: Vec<Value> = (0..count).map(|_| statement(dice, of_key)).collect();
    let mut policy = match statements.as_slice() {
        [one] if dice.percent(30) => json!({"Statement": one}),
        all => json!({"Statement": all}),
    };
    if let Some(version) = version {
        policy["Version"] = version.into();
    }
    policy
}

/// A statement of a key's policy, or of an identity's.
pub(crate) fn statement(dice: &mut Dice, of_key: bool) -> Value {
    let mut statement = serde_json::Map::new();
    let effect = if dice.percent(80) { "Allow" } else { "Deny" };
    statement.insert("Effect".to_owned(), effect.into());
    if of_key {
        let member = if dice.percent(90) { "Principal" } else { "NotPrincipal" };
        let principals = match dice.below(6) {
            0 => Value::from("*"),
            1 => json!({"AWS": dice.one(PRINCIPALS), "Service": "s3.amazonaws.com"}),
            _ => json!({"AWS": some(dice, PRINCIPALS)}),
        };
        statement.insert(member.to_owned(), principals);
    }
    let action = if dice.percent(88) { "Action" } else { "NotAction" };
    statement.insert(action.to_owned(), some(dice, ACTION_PATTERNS));
    let resource = if dice.percent(90) { "Resource" } else { "NotResource" };
    statement.insert(resource.to_owned(), some(dice, RESOURCE_PATTERNS));
    let conditions = [0, 0, 1, 1, 2][dice.below(5)];
    let mut operators = serde_json::Map::new();
    for _ in 0..conditions {
        let key = &KEYS[dice.below(KEYS.len())];
        // Now and then an operator that doesn't suit its key.
        let operators_of =
            if dice.percent(5) { KEYS[dice.below(KEYS.len())].operators } else { key.operators };
        let mut operator = dice.one(operators_of).to_owned();
        if operator != "Null" && dice.percent(15) {
            operator += "IfExists";
        }
        if dice.percent(if key.many { 85 } else { 10 }) {
            operator = format!("{}:{operator}", dice.one(&["ForAllValues", "ForAnyValue"]));
        }
        let keys = operators.entry(operator).or_insert_with(|| json!({}));
        let name = cased(dice, key.name);
        keys[name] = some(dice, key.wanted);
    }
    if conditions > 0 || dice.percent(5) {
        statement.insert("Condition".to_owned(), Value::Object(operators));
    }
    Value::Object(statement)
}

/// One, alone or in a list, or several.
fn some(dice: &mut Dice, of: &[&str]) -> Value {
    match dice.below(4) {
        0 | 1 => dice.one(of).into(),
        count => (1..count + 1).map(|_| Value::from(dice.one(of))).collect(),
    }
}

fn grant(dice: &mut Dice) -> Value {
    let arns: Vec<&str> = PRINCIPALS.iter().copied().filter(|name| name.starts_with("arn")).collect();
    let operations = ["Encrypt", "Decrypt", "DescribeKey", "CreateGrant", "ReEncryptFrom"];
    let constraints = match dice.below(5) {
        0 => json!({"EncryptionContextEquals": {"Team": dice.one(TEAMS)}}),
        1 => json!({"EncryptionContextSubset": {"Team": dice.one(TEAMS)}}),
        2 => json!({"EncryptionContextSubset": {"team": "red"}}),
        3 => json!({}),
        _ => Value::Null,
    };
    let operations: Vec<&str> = (0..1 + dice.below(3)).map(|_| dice.one(&operations)).collect();
    json!({"grantee": dice.one(&arns), "operations": operations, "constraints": constraints})
}
