//! Conditions: an operator, a condition key, and values, of which one is enough.
//!
//! Source: IAM user guide, "Condition operators", "Condition operators with multiple keys or values", "Set operators for
//! multivalued context keys", "Policy variables with no value".

use crate::pattern::{ArnPattern, Letters, Pattern, Syntax};
use crate::policy::Effect;
use crate::request::{Context, Values};
use crate::values::{Moment, Network, Number};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

/// One operator with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    operator: Operator,
    /// In lower case, as contexts are asked.
    key: Box<str>,
    test: Test,
    /// As the policy has them, for explanations.
    pub(crate) written: Written,
}

/// A condition in the policy's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) operator: Box<str>,
    pub(crate) key: Box<str>,
    pub(crate) values: Box<[Box<str>]>,
}

/// An operator's name, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Operator {
    quantifier: Option<Quantifier>,
    base: Base,
    /// `Not`: no value may match.
    negated: bool,
    if_exists: bool,
}

/// How many of a request's values must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    All,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Arn,
    Numeric(Relation),
    Date(Relation),
    Bool,
    Binary,
    Address,
    Null,
}

/// How a request's value stands to the policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a value is compared with. What in a policy is no number, moment or address has no value here, and nothing equals it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Texts(Box<[Pattern]>),
    IgnoringCase(Box<[Pattern]>),
    Arns(Box<[ArnPattern]>),
    Numbers(Relation, Box<[Number]>),
    Moments(Relation, Box<[Moment]>),
    /// Whether true is among the values, and whether false is.
    Truth {
        yes: bool,
        no: bool,
    },
    Binary(Box<[Box<str>]>),
    Networks(Box<[Network]>),
    /// Whether an absent key fits, and whether a present one does.
    Presence {
        absent: bool,
        present: bool,
    },
}

impl Condition {
    /// `None` when there is no such operator. Operators don't tell case apart, as keys don't.
    pub(crate) fn new(operator: &str, key: &str, values: &[&str], variables: bool) -> Option<Self> {
        let parsed = Operator::parse(&operator.to_ascii_lowercase())?;
        let patterns = |wildcards| {
            let syntax = Syntax { wildcards, variables };
            values.iter().map(move |value| Pattern::new(value, syntax, Letters::Exact)).collect()
        };
        let among = |text: &str| values.iter().any(|value| value.eq_ignore_ascii_case(text));
        let test = match parsed.base {
            Base::StringEquals => Test::Texts(patterns(false)),
            Base::StringEqualsIgnoreCase => Test::IgnoringCase(patterns(false)),
            Base::StringLike => Test::Texts(patterns(true)),
            Base::Arn => {
                let syntax = Syntax { wildcards: true, variables };
                Test::Arns(values.iter().map(|value| ArnPattern::new(value, syntax)).collect())
            }
            Base::Numeric(relation) => {
                Test::Numbers(relation, values.iter().filter_map(|value| Number::parse(value)).collect())
            }
            Base::Date(relation) => {
                Test::Moments(relation, values.iter().filter_map(|value| Moment::parse(value)).collect())
            }
            Base::Bool => Test::Truth { yes: among("true"), no: among("false") },
            Base::Binary => Test::Binary(values.iter().map(|value| (*value).into()).collect()),
            Base::Address => {
                Test::Networks(values.iter().filter_map(|value| Network::parse(value)).collect())
            }
            Base::Null => Test::Presence { absent: among("true"), present: among("false") },
        };
        Some(Self {
            operator: parsed,
            key: key.to_ascii_lowercase().into(),
            test,
            written: Written {
                operator: operator.into(),
                key: key.into(),
                values: values.iter().map(|value| (*value).into()).collect(),
            },
        })
    }

    /// Whether it holds, in a statement of this effect.
    pub(crate) fn holds(&self, context: &dyn Context, effect: Effect) -> bool {
        // A list of no values is as good as no key.
        let values = context.get(&self.key).filter(|values| !values.all().is_empty());
        if let Test::Presence { absent, present } = self.test {
            return if values.is_some() { present } else { absent };
        }
        let Operator { quantifier, negated, if_exists, .. } = self.operator;
        let passes = |value: &Cow<'_, str>| self.test.matches(value, context) != negated;
        match (quantifier, values) {
            (_, None) if if_exists => true,
            (None, None) => negated,
            (None, Some(Values::One(value))) => passes(&value),
            // A key with several values needs a quantifier. Without one it isn't said whether all are meant or any: what
            // allows doesn't hold, and what denies does as soon as one value passes.
            (None, Some(Values::Many(values))) => effect == Effect::Deny && values.iter().any(passes),
            (Some(quantifier), None) => quantifier == Quantifier::All,
            // An empty text is an empty set.
            (Some(quantifier), Some(Values::One(value))) if value.is_empty() => quantifier == Quantifier::All,
            (Some(quantifier), Some(values)) => {
                let matches = self.test.for_many(context);
                let passes = |value: &Cow<'_, str>| matches(value) != negated;
                match quantifier {
                    Quantifier::All => values.all().iter().all(passes),
                    Quantifier::Any => values.all().iter().any(passes),
                }
            }
        }
    }

    /// Whether it can't hold because the key has several values, and it has no quantifier.
    pub(crate) fn lacks_quantifier(&self, context: &dyn Context, effect: Effect) -> bool {
        let asks_values = !matches!(self.test, Test::Presence { .. });
        let several = || matches!(context.get(&self.key), Some(Values::Many(values)) if !values.is_empty());
        effect == Effect::Allow && self.operator.quantifier.is_none() && asks_values && several()
    }

    /// The condition keys whose values decide, its own first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let (texts, arns) = self.patterns();
        let variables = texts.iter().flat_map(Pattern::keys).chain(arns.iter().flat_map(ArnPattern::keys));
        std::iter::once(self.key.as_ref()).chain(variables)
    }

    /// The same, as they are written.
    pub(crate) fn written_keys(&self) -> impl Iterator<Item = &str> {
        let (texts, arns) = self.patterns();
        let in_texts = texts.iter().flat_map(Pattern::written_keys);
        let variables = in_texts.chain(arns.iter().flat_map(ArnPattern::written_keys));
        std::iter::once(self.written.key.as_ref()).chain(variables)
    }

    fn patterns(&self) -> (&[Pattern], &[ArnPattern]) {
        match &self.test {
            Test::Texts(patterns) | Test::IgnoringCase(patterns) => (patterns, &[]),
            Test::Arns(patterns) => (&[], patterns),
            _ => (&[], &[]),
        }
    }
}

impl Operator {
    /// From a name in lower case.
    fn parse(name: &str) -> Option<Self> {
        let (quantifier, name) = if let Some(name) = name.strip_prefix("forallvalues:") {
            (Some(Quantifier::All), name)
        } else if let Some(name) = name.strip_prefix("foranyvalue:") {
            (Some(Quantifier::Any), name)
        } else {
            (None, name)
        };
        let (name, if_exists) = name.strip_suffix("ifexists").map_or((name, false), |name| (name, true));
        let (base, negated) = match name {
            "stringequals" => (Base::StringEquals, false),
            "stringnotequals" => (Base::StringEquals, true),
            "stringequalsignorecase" => (Base::StringEqualsIgnoreCase, false),
            "stringnotequalsignorecase" => (Base::StringEqualsIgnoreCase, true),
            "stringlike" => (Base::StringLike, false),
            "stringnotlike" => (Base::StringLike, true),
            "arnequals" | "arnlike" => (Base::Arn, false),
            "arnnotequals" | "arnnotlike" => (Base::Arn, true),
            "bool" => (Base::Bool, false),
            "binaryequals" => (Base::Binary, false),
            "ipaddress" => (Base::Address, false),
            "notipaddress" => (Base::Address, true),
            // There is no `NullIfExists`: it would ask whether what is there is there.
            "null" if !if_exists => (Base::Null, false),
            _ => {
                let (make, relation): (fn(Relation) -> Base, _) = match name.strip_prefix("numeric") {
                    Some(relation) => (Base::Numeric, relation),
                    None => (Base::Date, name.strip_prefix("date")?),
                };
                let (relation, negated) = match relation {
                    "equals" => (Relation::Equal, false),
                    "notequals" => (Relation::Equal, true),
                    "lessthan" => (Relation::Less, false),
                    "lessthanequals" => (Relation::LessOrEqual, false),
                    "greaterthan" => (Relation::Greater, false),
                    "greaterthanequals" => (Relation::GreaterOrEqual, false),
                    _ => return None,
                };
                (make(relation), negated)
            }
        };
        Some(Self { quantifier, base, negated, if_exists })
    }
}

impl Test {
    /// As [`Test::matches`], for many values: variables get theirs once.
    fn for_many<'a>(&'a self, context: &'a dyn Context) -> Box<dyn Fn(&str) -> bool + 'a> {
        match self {
            Self::Texts(patterns) => {
                let bound: Vec<_> = patterns.iter().filter_map(|pattern| pattern.bound(context)).collect();
                Box::new(move |value| bound.iter().any(|pattern| pattern.matches(value, context)))
            }
            Self::Arns(patterns) => {
                let bound: Vec<_> = patterns.iter().filter_map(|pattern| pattern.bound(context)).collect();
                Box::new(move |value| bound.iter().any(|pattern| pattern.matches(value, context)))
            }
            Self::IgnoringCase(patterns) => {
                let literals = patterns.iter().filter_map(|pattern| pattern.literal(context));
                let literals: HashSet<String> =
                    literals.map(|literal| in_lower_case(&literal).collect()).collect();
                Box::new(move |value| literals.contains(&in_lower_case(value).collect::<String>()))
            }
            _ => Box::new(move |value| self.matches(value, context)),
        }
    }

    /// Whether a request's value matches one of the policy's.
    fn matches(&self, value: &str, context: &dyn Context) -> bool {
        match self {
            Self::Texts(patterns) => patterns.iter().any(|pattern| pattern.matches(value, context)),
            Self::IgnoringCase(patterns) => patterns.iter().any(|pattern| {
                pattern
                    .literal(context)
                    .is_some_and(|literal| in_lower_case(&literal).eq(in_lower_case(value)))
            }),
            Self::Arns(patterns) => patterns.iter().any(|pattern| pattern.matches(value, context)),
            Self::Numbers(relation, numbers) => Number::parse(value)
                .is_some_and(|value| numbers.iter().any(|number| relation.is(value.cmp(number)))),
            Self::Moments(relation, moments) => Moment::parse(value)
                .is_some_and(|value| moments.iter().any(|moment| relation.is(value.cmp(moment)))),
            Self::Truth { yes, no } => {
                (*yes && value.eq_ignore_ascii_case("true")) || (*no && value.eq_ignore_ascii_case("false"))
            }
            // Base64 on both sides, with its padding or without.
            Self::Binary(wanted) => {
                let bare = |text: &str| text.trim_end_matches('=').to_owned();
                wanted.iter().any(|wanted| bare(wanted) == bare(value))
            }
            Self::Networks(networks) => {
                value.parse().is_ok_and(|address| networks.iter().any(|network| network.has(address)))
            }
            Self::Presence { .. } => false,
        }
    }
}

impl Relation {
    fn is(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn in_lower_case(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `one` has a value, `many` several, `none` an empty list, `empty` an empty text.
    struct Keys(&'static str);

    impl Context for Keys {
        fn get(&self, key: &str) -> Option<Values<'_>> {
            match key {
                "one" => Some(self.0.into()),
                "many" => Some(Values::Many(self.0.split(',').map(Cow::Borrowed).collect())),
                "none" => Some(Values::Many(Vec::new())),
                "empty" => Some("".into()),
                _ => None,
            }
        }
    }

    fn holds(operator: &str, key: &str, values: &[&str], present: &'static str) -> bool {
        holds_in(Effect::Allow, operator, key, values, present)
    }

    fn holds_in(effect: Effect, operator: &str, key: &str, values: &[&str], present: &'static str) -> bool {
        Condition::new(operator, key, values, true).unwrap().holds(&Keys(present), effect)
    }

    #[test]
    fn operators_compare() {
        for (operator, wanted, present, expected) in [
            ("StringEquals", "a*", "a*", true),
            ("StringEquals", "a*", "ab", false),
            ("stringequals", "a", "A", false),
            ("StringEqualsIgnoreCase", "\u{c4}b", "\u{e4}B", true),
            ("StringLike", "a*", "ab", true),
            ("StringNotLike", "a*", "ab", false),
            ("ArnEquals", "arn:aws:iam::1:user/*", "arn:aws:iam::1:user/a", true),
            ("ArnLike", "arn:aws:iam::*", "arn:aws:iam::1:user/a", false),
            ("ArnNotLike", "arn:aws:iam::1:user/*", "arn:aws:iam::1:user/a", false),
            ("ArnLike", "*:*:*:*:*:*", "no arn", false),
            ("ArnNotEquals", "arn:aws:iam::1:user/a", "no arn", true),
            ("NumericEquals", "10", "10.0", true),
            ("NumericLessThan", "10", "9", true),
            ("NumericLessThan", "10", "10", false),
            ("NumericLessThanEquals", "10", "10", true),
            ("NumericGreaterThan", "10", "11", true),
            ("NumericGreaterThanEquals", "10", "x", false),
            ("NumericNotEquals", "10", "x", true),
            ("NumericEquals", "x", "x", false),
            ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", true),
            ("DateGreaterThanEquals", "2026", "1767225600", true),
            ("DateNotEquals", "2026", "1767225600", false),
            ("Bool", "TRUE", "true", true),
            ("Bool", "false", "yes", false),
            ("Bool", "yes", "yes", false),
            ("BinaryEquals", "QQ==", "QQ", true),
            ("BinaryEquals", "QQ==", "qq==", false),
            ("IpAddress", "10.0.0.0/8", "10.1.2.3", true),
            ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", false),
            ("IpAddress", "10.0.0.0/8", "10.1.2", false),
            ("Null", "false", "x", true),
            ("Null", "true", "x", false),
            ("Null", "x", "x", false),
        ] {
            assert_eq!(holds(operator, "ONE", &[wanted], present), expected, "{operator} {wanted} {present}");
        }
    }

    #[test]
    fn one_value_is_enough_and_none_may_be_when_negated() {
        assert!(holds("StringEquals", "one", &["a", "b"], "b"));
        assert!(!holds("StringNotEquals", "one", &["a", "b"], "b"));
        assert!(holds("StringNotEquals", "one", &["a", "b"], "c"));
        assert!(!holds("StringEquals", "one", &[], "c") && holds("StringNotEquals", "one", &[], "c"));
    }

    #[test]
    fn a_missing_key_is_answered_by_the_operator() {
        for (operator, expected) in [
            ("StringEquals", false),
            ("StringNotEquals", true),
            ("NotIpAddress", true),
            ("Bool", false),
            ("StringEqualsIfExists", true),
            ("StringNotEqualsIfExists", true),
            ("ForAllValues:StringEquals", true),
            ("ForAllValues:StringNotEquals", true),
            ("ForAnyValue:StringEquals", false),
            ("ForAnyValue:StringNotEquals", false),
            ("ForAnyValue:StringEqualsIfExists", true),
            ("Null", true),
        ] {
            for key in ["absent", "none"] {
                assert_eq!(holds(operator, key, &["true"], ""), expected, "{operator} {key}");
            }
        }
        assert!(holds("ForAllValues:StringEquals", "empty", &["a"], ""));
        assert!(!holds("ForAnyValue:StringNotEquals", "empty", &["a"], ""));
        assert!(!holds("Null", "absent", &["false"], "") && holds("Null", "none", &["true"], ""));
    }

    #[test]
    fn quantifiers_are_about_the_requests_values() {
        for (operator, present, expected) in [
            ("ForAllValues:StringEquals", "a,b", true),
            ("ForAllValues:StringEquals", "a,c", false),
            ("ForAnyValue:StringEquals", "c,b", true),
            ("ForAnyValue:StringEquals", "c,d", false),
            ("ForAllValues:StringNotEquals", "c,d", true),
            ("ForAllValues:StringNotEquals", "a,d", false),
            ("ForAnyValue:StringNotEquals", "a,d", true),
            ("ForAnyValue:StringNotEquals", "a,b", false),
            ("StringEquals", "a,b", false),
            ("StringNotEquals", "c,d", false),
        ] {
            assert_eq!(holds(operator, "many", &["a", "b"], present), expected, "{operator} {present}");
        }
        assert!(holds("ForAllValues:StringEquals", "one", &["a"], "a"));
    }

    #[test]
    fn without_a_quantifier_several_values_never_allow_and_any_of_them_denies() {
        for (operator, present, denies) in [
            ("StringEquals", "a", true),
            ("StringEquals", "c,a", true),
            ("StringEquals", "c,d", false),
            ("StringLikeIfExists", "c,b", true),
            ("StringNotEquals", "a,b", false),
            ("StringNotEquals", "a,c", true),
            ("StringNotEqualsIfExists", "c", true),
        ] {
            let holds = |effect| holds_in(effect, operator, "many", &["a", "b"], present);
            assert_eq!(holds(Effect::Deny), denies, "{operator} {present}");
            assert!(!holds(Effect::Allow), "{operator} {present}");
        }
        // A list of no values is as good as no key.
        for (operator, expected) in [("StringEquals", false), ("StringNotEquals", true)] {
            assert_eq!(holds_in(Effect::Deny, operator, "none", &["a"], ""), expected, "{operator}");
        }
    }

    #[test]
    fn other_operators_do_not_exist() {
        for operator in [
            "",
            "StringMatches",
            "String",
            "NullIfExists",
            "StringEqualsIfExistsIfExists",
            "ForAllValues:",
            "ForAnyValue:ForAllValues:StringEquals",
            "ForSomeValues:StringEquals",
            "NumericLike",
            "DateNotLessThan",
            "NotBool",
            " StringEquals",
            "StringEqualsForAllValues:",
        ] {
            assert!(Condition::new(operator, "k", &["v"], true).is_none(), "{operator}");
        }
    }

    #[test]
    fn variables_belong_to_texts_and_arns() {
        for (operator, expected) in
            [("StringEquals", true), ("StringLike", true), ("StringEqualsIgnoreCase", true)]
        {
            assert_eq!(holds(operator, "one", &["${ONE}"], "a*"), expected, "{operator}");
        }
        assert!(holds("ArnEquals", "one", &["${one}"], "arn:aws:iam::1:user/a"));
        for operator in ["Bool", "NumericEquals", "DateEquals", "BinaryEquals", "IpAddress"] {
            for present in ["true", "1", "2026", "10.0.0.1"] {
                assert!(!holds(operator, "one", &["${one}"], present), "{operator}");
            }
        }
        assert!(
            !holds("StringEquals", "one", &["${absent}"], "")
                && holds("StringNotEquals", "one", &["${absent}"], "")
        );
        let keys: Vec<String> = Condition::new("StringLike", "A", &["${B}*", "${c, 'd'}"], true)
            .unwrap()
            .keys()
            .map(str::to_owned)
            .collect();
        assert_eq!(keys, ["a", "b", "c"]);
    }
}
