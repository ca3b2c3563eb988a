//! AWS's published API model as static tables: which operations there are, and what their members
//! must be like. Made at build time from `model/*.json`.

use crate::operation::Service;

/// An operation that AWS's API has, whether this version has it or not.
#[derive(Debug)]
pub struct OperationModel {
    /// Its name.
    pub name: &'static str,
    /// The shape of its input; also `None` for operations whose shapes the trimmed model leaves out.
    pub(crate) input: Option<&'static Shape>,
    /// The shape of its output; `None` for an empty one.
    pub(crate) output: Option<&'static Shape>,
    /// The errors that the model lists for it, as the wire names them.
    pub errors: &'static [&'static str],
}

/// The model of an operation, or `None` where AWS has no such operation: then the answer is
/// UnknownOperationException, and where [`crate::row`] has none, UnsupportedOperationException.
#[must_use]
pub fn operation(service: Service, name: &str) -> Option<&'static OperationModel> {
    let all = operations(service);
    all.binary_search_by(|operation| operation.name.cmp(name)).ok().and_then(|at| all.get(at))
}

/// In the order of their names.
fn operations(service: Service) -> &'static [OperationModel] {
    match service {
        Service::Kms => tables::KMS_OPERATIONS,
        Service::Iam => tables::IAM_OPERATIONS,
        Service::Sts => tables::STS_OPERATIONS,
    }
}

/// A type of the model, with its constraints.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Its name in the model.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether errors must not repeat values.
    pub(crate) sensitive: bool,
    /// Least length, or least value of an integer.
    pub(crate) min: Option<i64>,
    /// Greatest length, or greatest value of an integer.
    pub(crate) max: Option<i64>,
    pub(crate) pattern: Option<Pattern>,
    /// An enum's values; empty where this is none.
    pub(crate) values: &'static [&'static str],
    /// The values as an error names them.
    pub(crate) values_shown: &'static [&'static str],
}

impl Shape {
    pub(crate) fn is_structure(&self) -> bool {
        matches!(self.kind, Kind::Structure(_))
    }
}

#[derive(Debug)]
pub(crate) enum Kind {
    Structure(&'static [Member]),
    List(&'static Shape),
    /// The shape of the values. Names are text without constraints in every map of the model.
    Map(&'static Shape),
    Text,
    Blob,
    Integer,
    Boolean,
    Timestamp,
}

#[derive(Debug)]
pub(crate) struct Member {
    /// On the wire.
    pub(crate) name: &'static str,
    /// In errors.
    pub(crate) path: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) demand: Demand,
}

/// Whether a member must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    Optional,
    Required,
    /// Required unless this other member is there.
    Unless(&'static str),
}

/// A regular expression that a whole text must match, as an automaton: see `build/pattern.rs`.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// As the model, and errors, write it.
    pub(crate) text: &'static str,
    /// At most 64: sets of them are the bits of a number.
    positions: &'static [Position],
    /// Those with which a match can begin.
    first: u64,
    /// Those with which a match can end.
    last: u64,
    /// Whether the empty text matches.
    empty: bool,
}

/// A class of characters that stands once in an expression.
#[derive(Debug)]
struct Position {
    /// Ranges of characters.
    class: &'static [(u32, u32)],
    /// The positions that can come next.
    follow: u64,
}

impl Pattern {
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut next = self.first;
        let mut ends = self.empty;
        for character in text.chars().map(u32::from) {
            let (mut reached, mut follow) = (0, 0);
            let mut set = 1;
            for position in self.positions {
                let fits =
                    || position.class.iter().any(|(first, last)| (*first..=*last).contains(&character));
                if next & set != 0 && fits() {
                    reached |= set;
                    follow |= position.follow;
                }
                set <<= 1;
            }
            next = follow;
            ends = reached & self.last != 0;
        }
        ends
    }
}

#[expect(
    dead_code,
    reason = "names of maps and texts of errors have shapes in the model that nothing checks"
)]
mod tables {
    use super::{Demand, Kind, Member, OperationModel, Pattern, Position, Shape};
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{ErrorCode, TABLE, shapes::declared};
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn every_operation_of_the_table_is_in_the_model_and_many_more() {
        for row in TABLE {
            assert!(operation(row.service, row.name).is_some(), "{}", row.name);
        }
        assert!(operation(Service::Kms, "Sign").is_some());
        assert!(operation(Service::Kms, "Sing").is_none());
        assert!(operation(Service::Sts, "AssumeRole").is_some());
        assert_eq!(tables::KMS_OPERATIONS.len(), 56);
    }

    #[test]
    fn enums_are_those_of_the_model_and_none_is_missing() {
        for (service, declared) in [
            (Service::Kms, crate::enums::KMS_ENUMS),
            (Service::Iam, crate::shapes::iam::IAM_ENUMS),
            (Service::Sts, &[]),
        ] {
            let mut modelled: Vec<_> = shapes(service)
                .into_iter()
                .filter(|shape| !shape.values.is_empty())
                .map(|shape| (declared_name(shape), shape.values))
                .collect();
            let mut declared: Vec<_> =
                declared.iter().map(|(name, values)| ((*name).to_owned(), *values)).collect();
            modelled.sort_unstable();
            declared.sort_unstable();
            assert_eq!(declared, modelled);
        }
    }

    #[test]
    fn an_enum_is_shown_with_all_its_values() {
        for shape in shapes(Service::Kms) {
            // The service has one enum for the two.
            let of = if shape.name == "DataKeySpec" { "KeySpec" } else { shape.name };
            let (mut shown, mut values) = (shape.values_shown.to_vec(), find(of).values.to_vec());
            shown.sort_unstable();
            values.sort_unstable();
            assert_eq!(shown, values, "{}", shape.name);
        }
    }

    #[test]
    fn structures_have_the_members_of_the_model_and_none_is_missing() {
        for service in Service::ALL.iter().copied() {
            let mut modelled: Vec<_> = shapes(service)
                .into_iter()
                .filter_map(|shape| match shape.kind {
                    Kind::Structure(members) => Some((declared_name(shape), members)),
                    _ => None,
                })
                .map(|(name, members)| (name, members.iter().map(|member| member.name).collect::<Vec<_>>()))
                .collect();
            let mut declared: Vec<_> = declared(service)
                .map(|structure| (structure.name.to_owned(), structure.members.to_vec()))
                .collect();
            modelled.sort_unstable();
            declared.sort_unstable();
            assert_eq!(declared, modelled);
        }
    }

    #[test]
    fn members_have_the_types_of_the_model() {
        for service in Service::ALL.iter().copied() {
            for shape in shapes(service).into_iter().filter(|shape| shape.is_structure()) {
                let full = sample(shape, &|_| true);
                assert_eq!(again(service, shape, &full), Some(full), "{}", shape.name);
            }
        }
    }

    #[test]
    fn what_an_input_may_leave_out_may_be_absent_from_its_type() {
        for service in Service::ALL.iter().copied() {
            for shape in operations(service).iter().filter_map(|operation| operation.input) {
                let least = sample(shape, &|member| member.demand != Demand::Optional);
                assert_eq!(again(service, shape, &least), Some(least), "{}", shape.name);
            }
        }
    }

    #[test]
    fn errors_have_the_status_that_the_model_gives_them_and_none_is_missing() {
        for (service, errors) in [
            (Service::Kms, tables::KMS_ERRORS),
            (Service::Iam, tables::IAM_ERRORS),
            (Service::Sts, tables::STS_ERRORS),
        ] {
            for (name, status) in errors {
                let code = ErrorCode::from_name(name);
                assert_eq!((code.name(), code.status()), (*name, *status));
            }
            for name in operations(service).iter().flat_map(|operation| operation.errors) {
                assert!(errors.iter().any(|(known, _)| known == name), "{name}");
            }
        }
    }

    #[test]
    fn a_pattern_is_matched_as_the_expression_would_be() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("AliasNameType", &["alias/a:b_c-D0", "-"], &["", "a.b", "a b", "ä"]),
            ("XksKeyIdType", &["a-_.9"], &["a/b", "a,b"]),
            ("MarkerType", &["", " ~ÿ"], &["\u{7}", "Ā", "\u{1f600}"]),
            ("PolicyType", &["{\n\t\"a\"}\r"], &["", "\u{b}", "Ā"]),
            ("PolicyNameType", &["default_1"], &["a-b", "é"]),
            ("KeyIdType", &["any \u{7f}\0thing"], &["", "キー"]),
            ("BackingKeyIdType", &["0af9"], &["0AF9", "g"]),
            (
                "RegionType",
                &["eu-west-1", "us-gov-east-12"],
                &["eu-1", "a-b-c-d-1", "eu-west-", "eu-west-1x"],
            ),
            (
                "CloudHsmClusterIdType",
                &["cluster-2a3b4c5d6e7"],
                &["cluster-2a3b4c5d6e", "cluster-1a3b4c5d6e7"],
            ),
            (
                "XksProxyUriPathType",
                &["/kms/xks/v1", "/a/b_c/kms/xks/v12"],
                &["/kms/xks/v123", "//kms/xks/v1", "/kms/xks"],
            ),
            (
                "ServicePrincipalType",
                &["dynamodb.amazonaws.com"],
                &["dynamodb.amazonaws", "a..b.c", "a.b.c."],
            ),
            (
                "GrantConstraintSourceArnType",
                &["arn:aws-cn:s3::123456789012:x:y", "arn:aws:sns:eu-west-1:123456789012:t"],
                &[
                    "arn:aws:s3:::bucket",
                    "arn:aws:sns:eu-west-1:12345678901:t",
                    "arn:aws:sns:r:123456789012:\n",
                ],
            ),
            (
                "XksProxyVpcEndpointServiceNameType",
                &[
                    "com.amazonaws.vpce.us-east-1.vpce-svc-0e123abc123198abc",
                    "eu.amazonaws.vpce.a-b-c-22.vpce-svc-0",
                ],
                &["org.amazonaws.vpce.us-east-1.vpce-svc-0", "com.amazonaws.vpce.us-east-1.vpce-svc-"],
            ),
        ];
        let pattern = |service, name| {
            let mut shapes = shapes(service).into_iter();
            shapes.find(|shape| shape.name == name).unwrap().pattern.as_ref().unwrap()
        };
        let keys = pattern(Service::Iam, "tagKeyType");
        assert!(keys.matches("Größe キー ½ 𝐀_.:/=+-@") && !keys.matches("a*") && !keys.matches("\u{1f600}"));
        for (name, good, bad) in cases {
            let pattern = find(name).pattern.as_ref().unwrap();
            for text in *good {
                assert!(pattern.matches(text), "{name} {text:?}");
            }
            for text in *bad {
                assert!(!pattern.matches(text), "{name} {text:?}");
            }
        }
    }

    proptest! {
        /// Texts that an expression makes, and the same with one character changed, against a matcher of another kind.
        #[test]
        fn patterns_agree_with_a_regular_expression_engine(
            (shape, text) in one_with_a_pattern(),
            at in any::<proptest::sample::Index>(),
            other in "[ -~\\n]?",
        ) {
            let pattern = shape.pattern.as_ref().unwrap();
            prop_assert!(pattern.matches(&text), "{} {text:?}", shape.name);
            let engine = regex_lite::Regex::new(&format!(r"\A(?:{})\z", known_to_the_engine(pattern.text))).unwrap();
            let mut changed: Vec<String> = text.chars().map(String::from).collect();
            if !changed.is_empty() {
                let at = at.index(changed.len());
                changed[at] = other;
            }
            let changed = changed.concat();
            prop_assert_eq!(pattern.matches(&changed), engine.is_match(&changed), "{} {:?}", shape.name, changed);
        }
    }

    fn one_with_a_pattern() -> impl Strategy<Value = (&'static Shape, String)> {
        let all: Vec<_> = Service::ALL
            .iter()
            .flat_map(|service| shapes(*service))
            .filter(|shape| shape.pattern.is_some())
            .collect();
        proptest::sample::select(all).prop_flat_map(|shape| {
            let pattern = known_to_the_engine(shape.pattern.as_ref().unwrap().text);
            (Just(shape), proptest::string::string_regex(&pattern).unwrap())
        })
    }

    /// The same expression, with the classes of Java in those of Rust: `\w`, `\s`, `\d` and `.` are ASCII's there.
    fn known_to_the_engine(pattern: &str) -> String {
        pattern
            .replace(['^', '$'], "")
            .replace(r"\p{ASCII}", r"[\x00-\x7f]")
            .replace(r"\p{L}\p{Z}\p{N}", &categories(r"[\p{L}\p{Z}\p{N}]"))
            .replace(r"\w", "0-9A-Za-z_")
            .replace(r"\s", r"\t-\r ")
            .replace(r"[\d]", "[0-9]")
            .replace(r"\d", "[0-9]")
            .replace(r"\/", "/")
            .replace(":.+", r":[^\n\r\u0085\u2028\u2029]+")
    }

    /// What stands between brackets for a class of Unicode's, where those are not known.
    fn categories(class: &str) -> String {
        let parsed = regex_syntax::parse(class).unwrap();
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = parsed.kind()
        else {
            unreachable!("a class")
        };
        let range = |range: &regex_syntax::hir::ClassUnicodeRange| {
            format!(r"\u{{{:x}}}-\u{{{:x}}}", u32::from(range.start()), u32::from(range.end()))
        };
        class.ranges().iter().map(range).collect()
    }

    /// The name that a type has here.
    fn declared_name(shape: &Shape) -> String {
        let endings = [("Request", "Input"), ("Response", "Output")];
        let operation = |(ending, here): (&str, &str)| {
            shape.name.strip_suffix(ending).map(|name| format!("{name}{here}"))
        };
        endings.into_iter().find_map(operation).unwrap_or_else(|| {
            let mut name = shape.name.to_owned();
            name[..1].make_ascii_uppercase();
            name
        })
    }

    /// Some value of a shape, with the members that are wanted.
    fn sample(shape: &Shape, wanted: &dyn Fn(&Member) -> bool) -> Value {
        match &shape.kind {
            Kind::Structure(members) => members
                .iter()
                .filter(|member| wanted(member))
                .map(|member| (member.name.to_owned(), sample(member.shape, wanted)))
                .collect(),
            Kind::List(of) => vec![sample(of, wanted)].into(),
            Kind::Map(of) => Value::from_iter([("a", sample(of, wanted))]),
            Kind::Text => (*shape.values.last().unwrap_or(&"x")).into(),
            Kind::Blob => "AQI=".into(),
            Kind::Integer => 7.into(),
            Kind::Boolean => true.into(),
            Kind::Timestamp => 1.5.into(),
        }
    }

    /// The value as its type reads it and writes it.
    fn again(service: Service, shape: &'static Shape, value: &Value) -> Option<Value> {
        let name = declared_name(shape);
        let declared = declared(service).find(|structure| structure.name == name)?;
        let node = crate::wire::decode(value.to_string().as_bytes(), shape).ok()?;
        serde_json::from_slice(&(declared.again)(node)?).ok()
    }

    fn find(name: &str) -> &'static Shape {
        shapes(Service::Kms).into_iter().find(|shape| shape.name == name).unwrap()
    }

    fn reach(shape: &'static Shape, reached: &mut Vec<&'static Shape>) {
        if reached.iter().any(|other| std::ptr::eq(*other, shape)) {
            return;
        }
        reached.push(shape);
        match &shape.kind {
            Kind::Structure(members) => members.iter().for_each(|member| reach(member.shape, reached)),
            Kind::List(part) | Kind::Map(part) => reach(part, reached),
            _ => {}
        }
    }

    fn shapes(service: Service) -> Vec<&'static Shape> {
        let mut reached = Vec::new();
        for operation in operations(service) {
            operation.input.into_iter().chain(operation.output).for_each(|shape| reach(shape, &mut reached));
        }
        reached
    }
}
