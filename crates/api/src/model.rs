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
    /// The errors that the model lists for it.
    pub errors: &'static [&'static str],
}

/// The model of an operation, or `None` where AWS has no such operation: then the answer is
/// UnknownOperationException, and where [`crate::row`] has none, UnsupportedOperationException.
#[must_use]
pub fn operation(service: Service, name: &str) -> Option<&'static OperationModel> {
    let operations = match service {
        Service::Kms => tables::KMS_OPERATIONS,
        Service::Sts => tables::STS_OPERATIONS,
    };
    operations.binary_search_by(|operation| operation.name.cmp(name)).ok().and_then(|at| operations.get(at))
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

/// A regular expression that a whole text must match.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// As the model, and errors, write it.
    pub(crate) text: &'static str,
    /// The one class of characters that the expression repeats, as ranges of UTF-16 code units; `None`
    /// for expressions of another form, which no operation here uses.
    pub(crate) class: Option<&'static [(u16, u16)]>,
    /// Whether there must be at least one.
    pub(crate) some: bool,
}

impl Pattern {
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(class) = self.class else { return true };
        let fits = |unit: u16| class.iter().any(|(first, last)| (*first..=*last).contains(&unit));
        (!self.some || !text.is_empty()) && text.encode_utf16().all(fits)
    }
}

#[expect(
    dead_code,
    reason = "names of maps and texts of errors have shapes in the model that nothing checks"
)]
mod tables {
    use super::{Demand, Kind, Member, OperationModel, Pattern, Shape};
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{ErrorCode, TABLE};

    #[test]
    fn every_operation_of_the_table_is_in_the_model_and_many_more() {
        for row in TABLE {
            assert!(operation(row.service, row.name).is_some(), "{}", row.name);
        }
        assert!(operation(Service::Kms, "Sign").is_some());
        assert!(operation(Service::Kms, "Sing").is_none());
        assert!(operation(Service::Sts, "AssumeRole").is_some());
        assert!(tables::KMS_OPERATIONS.len() >= 54);
    }

    #[test]
    fn enums_are_those_of_the_model() {
        for (name, values) in crate::enums::ENUMS {
            let shape = shapes().into_iter().find(|shape| shape.name == *name).unwrap();
            assert_eq!(shape.values, *values, "{name}");
        }
    }

    #[test]
    fn structures_have_the_members_of_the_model() {
        for (name, members) in crate::shapes::STRUCTURES {
            let in_model = name
                .strip_suffix("Input")
                .map(|operation| format!("{operation}Request"))
                .or_else(|| name.strip_suffix("Output").map(|operation| format!("{operation}Response")))
                .unwrap_or_else(|| (*name).to_owned());
            let shape = shapes().into_iter().find(|shape| shape.name == in_model).unwrap();
            let Kind::Structure(modelled) = shape.kind else { unreachable!("{name}") };
            let modelled: Vec<&str> = modelled.iter().map(|member| member.name).collect();
            assert_eq!(*members, modelled, "{name}");
        }
    }

    #[test]
    fn every_pattern_that_an_input_here_has_is_understood() {
        for row in TABLE {
            let mut reached = Vec::new();
            reach(operation(row.service, row.name).unwrap().input.unwrap(), &mut reached);
            for shape in reached {
                let understood = shape.pattern.as_ref().is_none_or(|pattern| pattern.class.is_some());
                assert!(understood, "{} of {}", shape.name, row.name);
            }
        }
    }

    #[test]
    fn errors_have_the_status_that_the_model_gives_them() {
        for (name, fault) in tables::KMS_ERRORS {
            let code = ErrorCode::from_name(name);
            if code != ErrorCode::Other {
                assert_eq!(code.status() == 500, *fault, "{name}");
            }
        }
        for row in TABLE {
            for name in operation(row.service, row.name).unwrap().errors {
                let store =
                    name.contains("CustomKeyStore") || name.contains("Xks") || name.contains("CloudHsm");
                assert!(store || ErrorCode::from_name(name) != ErrorCode::Other, "{name}");
            }
        }
        assert!(tables::STS_ERRORS.is_empty());
    }

    #[test]
    fn a_class_is_matched_as_the_expression_would_be() {
        let find = |name: &str| shapes().into_iter().find(|shape| shape.name == name).unwrap();
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("AliasNameType", &["alias/a:b_c-D0", "-"], &["", "a.b", "a b", "ä"]),
            ("XksKeyIdType", &["a-_.9"], &["a/b", "a,b"]),
            ("MarkerType", &["", " ~ÿ"], &["\u{7}", "Ā", "\u{1f600}"]),
            ("PolicyType", &["{\n\t\"a\"}\r"], &["", "\u{b}", "Ā"]),
            ("PolicyNameType", &["default_1"], &["a-b", "é"]),
            ("KeyIdType", &["any \u{7f}\0thing"], &["", "キー"]),
            ("BackingKeyIdType", &["0af9"], &["0AF9", "g"]),
        ];
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

    fn shapes() -> Vec<&'static Shape> {
        let mut reached = Vec::new();
        for operation in tables::KMS_OPERATIONS.iter().chain(tables::STS_OPERATIONS) {
            operation.input.into_iter().chain(operation.output).for_each(|shape| reach(shape, &mut reached));
        }
        reached
    }
}
