//! The second model: slow, obvious, and made from the rules alone. It reads a case's JSON as it stands, compiles nothing, matches
//! by recursion, and shares no line with the engine.
//!
//! Each rule is named after what it says. Source: IAM user guide, "Policy evaluation logic", "Condition operators", "Variables
//! and tags", "Principal", "NotPrincipal"; AWS KMS developer guide, "Key policies", "Grants".

use serde_json::Value;
use std::net::IpAddr;

type Object = serde_json::Map<String, Value>;

/// How a key policy's statement names the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Itself,
    ItsRole,
    ItsAccount,
}

/// The verdict of a case.
pub(crate) fn decide(case: &Value) -> &'static str {
    let case = Question { case };
    let statements_of = |policy: &Value| statements(policy);
    let identity: Vec<Statement> = list(&case.case["identity_policies"])
        .iter()
        .flat_map(|policy| statements_of(&policy["document"]))
        .collect();
    let boundary = statements(&case.case["permission_boundary"]);
    let session: Vec<Statement> = list(&case.case["session_policies"]).iter().flat_map(statements).collect();
    let key = statements(&case.case["key_policy"]);

    // An explicit denial wins.
    let plainly = |statement: &&Statement| case.fits(statement);
    let of_key = |statement: &Statement| case.fits(statement) && !case.names(statement).is_empty();
    if [&identity, &boundary, &session].into_iter().flatten().filter(plainly).any(Statement::denies)
        || key.iter().any(|statement| statement.denies() && of_key(statement))
    {
        return "ExplicitlyDenied";
    }

    let allows = |statements: &Vec<Statement>| statements.iter().filter(plainly).any(Statement::allows);
    let root = case.principal("type") == "root";
    let identity_allows = root || allows(&identity);
    let has_boundary = !case.case["permission_boundary"].is_null();
    let has_session = !list(&case.case["session_policies"]).is_empty();
    let limits_allow = (!has_boundary || allows(&boundary)) && (!has_session || allows(&session));
    let same_account = case.principal("account") == case.request("resource_account");

    let allowed = if case.request("resource").contains(":key/") {
        let mut named: Vec<Named> = key
            .iter()
            .filter(|statement| statement.allows() && of_key(statement))
            .flat_map(|statement| case.names(statement))
            .collect();
        for grant in list(&case.case["grants"]) {
            if case.granted(&grant) {
                named.extend(case.is_named_by("AWS", text(&grant["grantee"])));
            }
        }
        if same_account {
            named.contains(&Named::Itself)
                || named.contains(&Named::ItsRole) && limits_allow
                || named.contains(&Named::ItsAccount) && identity_allows && limits_allow
        } else {
            !named.is_empty() && identity_allows && limits_allow
        }
    } else {
        same_account && identity_allows && limits_allow
    };
    if allowed { "Allowed" } else { "ImplicitlyDenied" }
}

struct Statement {
    members: Object,
    /// Its policy is of version 2012-10-17.
    has_variables: bool,
}

impl Statement {
    fn allows(&self) -> bool {
        self.members["Effect"] == "Allow"
    }
    fn denies(&self) -> bool {
        self.members["Effect"] == "Deny"
    }
}

fn statements(policy: &Value) -> Vec<Statement> {
    let has_variables = policy["Version"] == "2012-10-17";
    list(&policy["Statement"])
        .into_iter()
        .map(|statement| Statement { members: statement.as_object().unwrap().clone(), has_variables })
        .collect()
}

fn is_id(name: &str) -> bool {
    name.starts_with("AIDA") || name.starts_with("AROA")
}

/// One, or a list, or none.
fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// Scalars are texts.
fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        _ => panic!("no text: {value}"),
    }
}

fn texts(value: &Value) -> Vec<String> {
    let scalar = |value: &Value| if value.is_number() { value.to_string() } else { text(value).to_owned() };
    list(value).iter().map(scalar).collect()
}

struct Question<'a> {
    case: &'a Value,
}

impl Question<'_> {
    fn request(&self, member: &str) -> &str {
        text(&self.case["request"][member])
    }

    fn principal(&self, member: &str) -> &str {
        text(&self.case["request"]["principal"][member])
    }

    /// The value of a condition key; keys don't tell case apart.
    fn value(&self, key: &str) -> Option<Value> {
        let context = self.case["request"]["context"].as_object()?;
        context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.clone())
    }

    /// Action, resource and conditions.
    fn fits(&self, statement: &Statement) -> bool {
        let action =
            |pattern: &String| glob(&wild(&pattern.to_lowercase()), &self.request("action").to_lowercase());
        let resource = |pattern: &String| {
            let pattern = self.pattern(pattern, statement.has_variables, true);
            pattern.is_some_and(|pattern| glob(&pattern, self.request("resource")))
        };
        let one_of = |is: &dyn Fn(&String) -> bool, member: &str, negated: &str| match (
            statement.members.get(member),
            statement.members.get(negated),
        ) {
            (Some(patterns), None) => texts(patterns).iter().any(is),
            (None, Some(patterns)) => !texts(patterns).iter().any(is),
            _ => false,
        };
        one_of(&action, "Action", "NotAction")
            && one_of(&resource, "Resource", "NotResource")
            && self.conditions_hold(statement)
    }

    /// How a key policy's statement names the caller: not at all, or in some ways.
    fn names(&self, statement: &Statement) -> Vec<Named> {
        let all = |principals: &Value| -> Vec<Named> {
            match principals {
                Value::Object(kinds) => kinds
                    .iter()
                    .flat_map(|(kind, names)| {
                        texts(names)
                            .iter()
                            .filter_map(|name| self.is_named_by(kind, name))
                            .collect::<Vec<_>>()
                    })
                    .collect(),
                anybody => self.is_named_by("AWS", text(anybody)).into_iter().collect(),
            }
        };
        match (statement.members.get("Principal"), statement.members.get("NotPrincipal")) {
            (Some(principals), _) => all(principals),
            (_, Some(principals)) => {
                let named = all(principals);
                if statement.allows() {
                    return if named.is_empty() { vec![Named::Itself] } else { Vec::new() };
                }
                let arns: Vec<String> = match principals {
                    Value::Object(kinds) => kinds.values().flat_map(texts).collect(),
                    anybody => texts(anybody),
                };
                let account = self.principal("account");
                let of_account = |arn: &String| {
                    arn.split(':').nth(4) == Some(account) && !arn.ends_with(":root") || is_id(arn)
                };
                let role = self.case["request"]["principal"]["role_arn"].as_str().unwrap_or_default();
                let sessions = format!(":{account}:assumed-role/{}/", role.rsplit('/').next().unwrap());
                let of_role = |arn: &String| role.contains(account) && arn.contains(&sessions);
                // Itself; by its role or account only where nobody more of these is named.
                let spared = named.iter().any(|how| match how {
                    Named::Itself => true,
                    Named::ItsRole => !arns.iter().any(of_role),
                    Named::ItsAccount => !arns.iter().any(of_account),
                });
                // A denial to all but some is one to everybody who has a boundary.
                let caught = !self.case["permission_boundary"].is_null();
                if spared && !caught { Vec::new() } else { vec![Named::Itself] }
            }
            _ => Vec::new(),
        }
    }

    fn is_named_by(&self, kind: &str, name: &str) -> Option<Named> {
        let account = self.principal("account");
        let is_account = name == account || name == format!("arn:aws:iam::{account}:root");
        match self.principal("type") {
            _ if kind != "AWS" => None,
            _ if name == "*" => Some(Named::Itself),
            "root" => is_account.then_some(Named::Itself),
            _ if is_account => Some(Named::ItsAccount),
            _ if name == self.principal("arn") => Some(Named::Itself),
            "assumed-role" if name == self.principal("role_arn") => Some(Named::ItsRole),
            _ => None,
        }
    }

    fn granted(&self, grant: &Value) -> bool {
        let context = self.case["request"]["context"].as_object().unwrap();
        let encryption_context: Vec<(String, String)> = context
            .iter()
            .filter_map(|(key, value)| {
                let name =
                    key.get(..22).filter(|prefix| prefix.eq_ignore_ascii_case("kms:EncryptionContext:"))?;
                Some((key[name.len()..].to_owned(), text(value).to_owned()))
            })
            .collect();
        let has_one = ["Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey"];
        let operation = self.request("action").split_once(':').unwrap().1.to_lowercase();
        let pairs = |constraint: &str| {
            let pairs = grant["constraints"][constraint].as_object()?;
            Some(pairs.iter().map(|(name, value)| (name.clone(), text(value).to_owned())).collect::<Vec<_>>())
        };
        let among =
            |pairs: &Vec<(String, String)>| pairs.iter().all(|pair| encryption_context.contains(pair));
        let equals = |pairs: &Vec<(String, String)>| {
            among(pairs) && encryption_context.iter().all(|p| pairs.contains(p))
        };
        texts(&grant["operations"]).iter().any(|granted| granted.to_lowercase() == operation)
            && (!has_one.iter().any(|with| operation.starts_with(&with.to_lowercase()))
                || pairs("EncryptionContextEquals").as_ref().is_none_or(equals)
                    && pairs("EncryptionContextSubset").as_ref().is_none_or(among))
    }

    /// All of them, with all their keys.
    fn conditions_hold(&self, statement: &Statement) -> bool {
        let Some(operators) = statement.members.get("Condition") else { return true };
        operators.as_object().unwrap().iter().all(|(operator, keys)| {
            let keys = keys.as_object().unwrap();
            keys.iter().all(|(key, values)| self.holds(statement, operator, key, &texts(values)))
        })
    }

    fn holds(&self, statement: &Statement, operator: &str, key: &str, wanted: &[String]) -> bool {
        let variables = statement.has_variables;
        let operator = operator.to_lowercase();
        let (quantifier, operator) = operator.split_once(':').unwrap_or(("", &operator));
        let if_exists = operator.ends_with("ifexists");
        let operator = operator.trim_end_matches("ifexists");
        let negated = operator.contains("not");
        let operator = operator.replace("not", "");
        let value = self.value(key).filter(|value| *value != Value::Array(Vec::new()));

        if operator == "null" {
            return wanted.iter().any(|wanted| wanted.to_lowercase() == value.is_none().to_string());
        }
        let passes = |value: &String| {
            wanted.iter().any(|wanted| self.compare(&operator, wanted, value, variables)) != negated
        };
        match (value, quantifier) {
            (None, _) if if_exists => true,
            (None, "") => negated,
            (None, quantifier) => quantifier == "forallvalues",
            // Several values need a quantifier: without one they allow nothing, and each of them can deny.
            (Some(Value::Array(_)), "") if statement.allows() => false,
            (Some(value @ Value::Array(_)), "") => texts(&value).iter().any(passes),
            (Some(value), "") => passes(&texts(&value)[0]),
            // An empty text is an empty set.
            (Some(value), quantifier) if value == "" => quantifier == "forallvalues",
            (Some(value), "forallvalues") => texts(&value).iter().all(passes),
            (Some(value), _) => texts(&value).iter().any(passes),
        }
    }

    fn compare(&self, operator: &str, wanted: &str, value: &str, variables: bool) -> bool {
        let number =
            |text: &str| text.parse::<f64>().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit()));
        let relate = |order: Option<std::cmp::Ordering>| {
            order.is_some_and(|order| {
                match operator.trim_start_matches("numeric").trim_start_matches("date") {
                    "equals" => order.is_eq(),
                    "lessthan" => order.is_lt(),
                    "lessthanequals" => order.is_le(),
                    "greaterthan" => order.is_gt(),
                    "greaterthanequals" => order.is_ge(),
                    other => panic!("{other}"),
                }
            })
        };
        match operator {
            "stringequals" | "stringequalsignorecase" => {
                let same = self.pattern(wanted, variables, false).map(|tokens| {
                    tokens
                        .into_iter()
                        .map(|token| if let Token::Char(c) = token { c } else { panic!() })
                        .collect::<String>()
                });
                same.is_some_and(|same| {
                    same == value
                        || operator == "stringequalsignorecase" && same.to_lowercase() == value.to_lowercase()
                })
            }
            "stringlike" => {
                self.pattern(wanted, variables, true).is_some_and(|pattern| glob(&pattern, value))
            }
            "arnequals" | "arnlike" => {
                let Some(pattern) = self.pattern(wanted, variables, true) else { return false };
                let value: Vec<&str> = value.splitn(6, ':').collect();
                let pattern: Vec<&[Token]> = pattern.splitn(6, |token| *token == Token::Char(':')).collect();
                value.len() == 6
                    && value[0] == "arn"
                    && pattern.len() == 6
                    && pattern.iter().zip(&value).all(|(pattern, value)| glob(pattern, value))
            }
            "bool" => {
                let (wanted, value) = (wanted.to_lowercase(), value.to_lowercase());
                wanted == value && (value == "true" || value == "false")
            }
            "binaryequals" => wanted.trim_end_matches('=') == value.trim_end_matches('='),
            "ipaddress" => in_network(value, wanted),
            operator if operator.starts_with("numeric") => relate(
                number(value).zip(number(wanted)).and_then(|(value, wanted)| value.partial_cmp(&wanted)),
            ),
            operator if operator.starts_with("date") => {
                relate(moment(value).zip(moment(wanted)).map(|(value, wanted)| value.cmp(&wanted)))
            }
            operator => panic!("{operator}"),
        }
    }

    /// A text with its variables replaced; `None` when one has no value.
    fn pattern(&self, text: &str, variables: bool, wildcards: bool) -> Option<Vec<Token>> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if variables && rest.starts_with("${") && rest.contains('}') {
                let (inside, after) = match rest.find("'}") {
                    Some(quote)
                        if rest[..quote].contains('\'')
                            && !rest[..rest.find('\'').unwrap()].contains('}') =>
                    {
                        (&rest[2..quote + 1], &rest[quote + 2..])
                    }
                    _ => (&rest[2..rest.find('}').unwrap()], &rest[rest.find('}').unwrap() + 1..]),
                };
                rest = after;
                let value = match inside {
                    "*" | "?" | "$" => inside.to_owned(),
                    _ => {
                        let (key, default) = match inside.split_once(", '") {
                            Some((key, default)) => (key, Some(default.trim_end_matches('\'').to_owned())),
                            None => (inside, None),
                        };
                        match self.value(key) {
                            Some(Value::String(value)) => value,
                            _ => default?,
                        }
                    }
                };
                tokens.extend(value.chars().map(Token::Char));
                continue;
            }
            let first = rest.chars().next().unwrap();
            rest = &rest[first.len_utf8()..];
            tokens.push(if wildcards { Token::of(first) } else { Token::Char(first) });
        }
        Some(tokens)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    One,
}

impl Token {
    fn of(c: char) -> Self {
        match c {
            '*' => Self::Any,
            '?' => Self::One,
            c => Self::Char(c),
        }
    }
}

fn wild(text: &str) -> Vec<Token> {
    text.chars().map(Token::of).collect()
}

fn glob(pattern: &[Token], text: &str) -> bool {
    let first = text.chars().next();
    let after = |c: char| &text[c.len_utf8()..];
    match (pattern.first(), first) {
        (None, first) => first.is_none(),
        (Some(Token::Any), first) => {
            glob(&pattern[1..], text) || first.is_some_and(|c| glob(pattern, after(c)))
        }
        (Some(Token::One), Some(c)) => glob(&pattern[1..], after(c)),
        (Some(Token::Char(wanted)), Some(c)) => *wanted == c && glob(&pattern[1..], after(c)),
        (Some(_), None) => false,
    }
}

/// A moment in any of the forms of the W3C's note, or seconds.
fn moment(text: &str) -> Option<jiff::Timestamp> {
    if text.len() != 4 && !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        return jiff::Timestamp::from_second(text.parse().ok()?).ok();
    }
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let full = match shape.as_str() {
        "0000" => format!("{text}-01-01T00:00:00Z"),
        "0000-00" => format!("{text}-01T00:00:00Z"),
        "0000-00-00" => format!("{text}T00:00:00Z"),
        "0000-00-00T00:00Z" | "0000-00-00T00:00+00:00" | "0000-00-00T00:00-00:00" => {
            format!("{}:00{}", &text[..16], &text[16..])
        }
        _ if shape.starts_with("0000-00-00T00:00:00") => text.to_owned(),
        _ => return None,
    };
    full.parse().ok()
}

fn in_network(address: &str, network: &str) -> bool {
    let bits = |text: &str| -> Option<String> {
        Some(match text.parse().ok()? {
            IpAddr::V4(address) => format!("4{:032b}", u32::from(address)),
            IpAddr::V6(address) => format!("6{:0128b}", u128::from(address)),
        })
    };
    let (first, length) = network.split_once('/').unwrap_or((network, "128"));
    let (Some(address), Some(first), Ok(length)) = (bits(address), bits(first), length.parse::<usize>())
    else {
        return false;
    };
    let length = length.min(first.len() - 1);
    address.len() == first.len() && address[..=length] == first[..=length]
}
