//! Texts with wildcards and variables: compiled once, matched without going back further than the last `*`.
//!
//! A `*` takes as little as it can, and when what follows fails, only the last `*` takes more: an earlier one could gain
//! nothing. So a match takes at most the pattern's length times the text's, and where that product is large, all places of
//! the text are tried side by side, 64 in a word: whoever writes a policy can't make others wait for it. What stands for a
//! variable is a literal: no character of a value is a wildcard.
//!
//! Source: IAM user guide, "IAM policy elements: Variables and tags", "Policy variables with no value".

use crate::request::Context;
use std::borrow::Cow;
use std::collections::HashMap;

/// A pattern that one text matches or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    shape: Shape,
    letters: Letters,
}

/// Whether a letter is told from its other case (ASCII; what ignores case has no other letters).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letters {
    Exact,
    EitherCase,
}

/// Which signs mean something in a text that is to become a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// `*` and `?`.
    pub(crate) wildcards: bool,
    /// `${…}`.
    pub(crate) variables: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// `*`.
    Anything,
    /// No wildcard.
    Exact(Box<str>),
    /// One wildcard, a `*` at the end.
    Prefix(Box<str>),
    Pieces(Box<[Piece]>),
    /// Pieces, some of which are variables.
    Variable(Box<[Piece]>),
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Box<str>),
    /// `?`: one character.
    One,
    /// `*`: any number of characters.
    Many,
    Variable(Variable),
}

/// `${key}` or `${key, 'default'}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// In lower case.
    key: Box<str>,
    /// As the policy has it.
    written: Box<str>,
    default: Option<Box<str>>,
}

/// A piece as it is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    One,
    Many,
}

impl Pattern {
    pub(crate) fn new(text: &str, syntax: Syntax, letters: Letters) -> Self {
        let pieces = pieces(text, syntax);
        let shape = match pieces.as_slice() {
            [] => Shape::Exact("".into()),
            [Piece::Many] => Shape::Anything,
            [Piece::Text(text)] => Shape::Exact(text.clone()),
            [Piece::Text(text), Piece::Many] => Shape::Prefix(text.clone()),
            pieces if pieces.iter().any(|piece| matches!(piece, Piece::Variable(_))) => {
                Shape::Variable(pieces.into())
            }
            pieces => Shape::Pieces(pieces.into()),
        };
        Self { shape, letters }
    }

    /// Whether a text is one that the pattern means. A variable that has no value means none.
    pub(crate) fn matches(&self, text: &str, context: &dyn Context) -> bool {
        match &self.shape {
            Shape::Anything => true,
            Shape::Exact(exact) => self.letters.equal(exact, text),
            Shape::Prefix(prefix) => self.letters.after(text, prefix).is_some(),
            Shape::Pieces(pieces) => {
                self.letters.match_parts(|index| pieces.get(index).and_then(Piece::part), text)
            }
            Shape::Variable(_) => self.bound(context).is_some_and(|bound| bound.matches(text, context)),
        }
    }

    /// The pattern with its variables' values, for several texts; `None` when one has no value.
    pub(crate) fn bound<'a>(&'a self, context: &'a dyn Context) -> Option<Bound<'a, Self>> {
        let values = match &self.shape {
            Shape::Variable(pieces) => Some(Resolved::of(pieces, context)?),
            _ => None,
        };
        Some(Bound { pattern: self, values })
    }

    /// The one text that a pattern without wildcards means; `None` when a variable has no value.
    pub(crate) fn literal<'a>(&'a self, context: &'a dyn Context) -> Option<Cow<'a, str>> {
        match &self.shape {
            Shape::Exact(exact) => Some(Cow::Borrowed(exact)),
            Shape::Variable(pieces) => {
                let resolved = Resolved::of(pieces, context)?;
                let mut literal = String::new();
                for index in 0..pieces.len() {
                    match resolved.part(index) {
                        Some(Part::Text(text)) => literal.push_str(text),
                        _ => return None,
                    }
                }
                Some(Cow::Owned(literal))
            }
            Shape::Anything | Shape::Prefix(_) | Shape::Pieces(_) => None,
        }
    }

    /// The condition keys whose values it needs.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.variables().map(|variable| variable.key.as_ref())
    }

    /// The same, as they are written.
    pub(crate) fn written_keys(&self) -> impl Iterator<Item = &str> {
        self.variables().map(|variable| variable.written.as_ref())
    }

    fn variables(&self) -> impl Iterator<Item = &Variable> {
        let pieces = match &self.shape {
            Shape::Variable(pieces) => pieces.as_ref(),
            _ => &[],
        };
        variables(pieces)
    }
}

/// A pattern whose variables, if it has any, have got their values.
pub(crate) struct Bound<'a, P> {
    pattern: &'a P,
    values: Option<Resolved<'a>>,
}

impl Bound<'_, Pattern> {
    pub(crate) fn matches(&self, text: &str, context: &dyn Context) -> bool {
        match &self.values {
            Some(values) => self.pattern.letters.match_parts(|index| values.part(index), text),
            None => self.pattern.matches(text, context),
        }
    }
}

impl Bound<'_, ArnPattern> {
    pub(crate) fn matches(&self, text: &str, context: &dyn Context) -> bool {
        let Some(values) = &self.values else { return self.pattern.matches(text, context) };
        let Some(arn) = six(text).filter(|[first, ..]| *first == "arn") else { return false };
        values.in_six().is_some_and(|parts| {
            let part = |parts: &Vec<Part<'_>>, text| {
                Letters::Exact.match_parts(|index| parts.get(index).copied(), text)
            };
            parts.iter().zip(arn).all(|(parts, text)| part(parts, text))
        })
    }
}

fn variables(pieces: &[Piece]) -> impl Iterator<Item = &Variable> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Variable(variable) => Some(variable),
        _ => None,
    })
}

/// A pattern for ARNs: each of the six parts by itself, so that no wildcard reaches over a colon.
///
/// Source: IAM user guide, "ARN condition operators".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArnPattern {
    Parts(Box<[Pattern; 6]>),
    /// With variables: where the colons are is known when these have values.
    Variable(Box<[Piece]>),
    /// It has fewer than six parts. No ARN matches.
    NoArn,
}

impl ArnPattern {
    pub(crate) fn new(text: &str, syntax: Syntax) -> Self {
        let pieces = pieces(text, syntax);
        if pieces.iter().any(|piece| matches!(piece, Piece::Variable(_))) {
            return Self::Variable(pieces.into());
        }
        match six(text) {
            Some(parts) => {
                Self::Parts(Box::new(parts.map(|part| Pattern::new(part, syntax, Letters::Exact))))
            }
            None => Self::NoArn,
        }
    }

    /// Whether a text is an ARN that the pattern means.
    pub(crate) fn matches(&self, text: &str, context: &dyn Context) -> bool {
        match self {
            Self::Parts(patterns) => six(text).filter(|[first, ..]| *first == "arn").is_some_and(|arn| {
                patterns.iter().zip(arn).all(|(pattern, part)| pattern.matches(part, context))
            }),
            Self::Variable(_) => self.bound(context).is_some_and(|bound| bound.matches(text, context)),
            Self::NoArn => false,
        }
    }

    /// The pattern with its variables' values, for several texts; `None` when one has no value.
    pub(crate) fn bound<'a>(&'a self, context: &'a dyn Context) -> Option<Bound<'a, Self>> {
        let values = match self {
            Self::Variable(pieces) => Some(Resolved::of(pieces, context)?),
            Self::Parts(_) | Self::NoArn => None,
        };
        Some(Bound { pattern: self, values })
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.variables().map(|variable| variable.key.as_ref())
    }

    pub(crate) fn written_keys(&self) -> impl Iterator<Item = &str> {
        self.variables().map(|variable| variable.written.as_ref())
    }

    fn variables(&self) -> impl Iterator<Item = &Variable> {
        let pieces = match self {
            Self::Variable(pieces) => pieces.as_ref(),
            _ => &[],
        };
        variables(pieces)
    }
}

/// The six parts of an ARN; colons after the fifth belong to the last one.
fn six(text: &str) -> Option<[&str; 6]> {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next();
    Some([next()?, next()?, next()?, next()?, next()?, next()?])
}

/// From a text to pieces. What begins like a variable and never ends is a text.
fn pieces(text: &str, syntax: Syntax) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        let special = match first {
            '*' if syntax.wildcards => Some((Piece::Many, after)),
            '?' if syntax.wildcards => Some((Piece::One, after)),
            '$' if syntax.variables => after.strip_prefix('{').and_then(variable),
            _ => None,
        };
        let Some((piece, after)) = special else {
            literal.push(first);
            rest = after;
            continue;
        };
        rest = after;
        match piece {
            // `${*}`, `${?}`, `${$}`.
            Piece::Text(text) => literal.push_str(&text),
            // Two of them mean what one means.
            Piece::Many if literal.is_empty() && pieces.last() == Some(&Piece::Many) => {}
            piece => {
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
                }
                pieces.push(piece);
            }
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal.into()));
    }
    pieces
}

/// A variable, from what follows its `${`, and what follows its `}`.
fn variable(text: &str) -> Option<(Piece, &str)> {
    let (name, rest) = text.split_once('}')?;
    if matches!(name, "*" | "?" | "$") {
        return Some((Piece::Text(name.into()), rest));
    }
    if let Some((key, default)) = text.split_once(',').filter(|(key, _)| !key.contains('}'))
        && let Some((default, rest)) =
            default.trim_start_matches(' ').strip_prefix('\'').and_then(|default| default.split_once("'}"))
    {
        return Some((Piece::Variable(Variable::new(key, Some(default))), rest));
    }
    Some((Piece::Variable(Variable::new(name, None)), rest))
}

impl Variable {
    fn new(key: &str, default: Option<&str>) -> Self {
        let key = key.trim();
        Self { key: key.to_ascii_lowercase().into(), written: key.into(), default: default.map(Into::into) }
    }

    /// A key with several values can't stand in a text (IAM user guide, "Single-valued vs. multivalued context keys").
    fn value<'a>(&'a self, context: &'a dyn Context) -> Option<Cow<'a, str>> {
        context.get_one(&self.key).or_else(|| self.default.as_deref().map(Cow::Borrowed))
    }
}

impl Piece {
    fn part(&self) -> Option<Part<'_>> {
        match self {
            Self::Text(text) => Some(Part::Text(text)),
            Self::One => Some(Part::One),
            Self::Many => Some(Part::Many),
            // Only patterns that resolve their variables have them.
            Self::Variable(_) => None,
        }
    }
}

/// Pieces whose variables have values.
struct Resolved<'a> {
    pieces: &'a [Piece],
    /// A value for each variable, in their order, by the place of its piece.
    values: Vec<(usize, Cow<'a, str>)>,
}

impl<'a> Resolved<'a> {
    /// `None` when one has no value.
    fn of(pieces: &'a [Piece], context: &'a dyn Context) -> Option<Self> {
        let mut values = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            if let Piece::Variable(variable) = piece {
                values.push((index, variable.value(context)?));
            }
        }
        Some(Self { pieces, values })
    }

    fn part(&self, index: usize) -> Option<Part<'_>> {
        match self.pieces.get(index)? {
            Piece::Variable(_) => {
                let found = self.values.binary_search_by_key(&index, |(at, _)| *at).ok()?;
                self.values.get(found).map(|(_, value)| Part::Text(value))
            }
            piece => piece.part(),
        }
    }

    /// Cut at its first five colons; `None` when it has fewer.
    fn in_six(&self) -> Option<[Vec<Part<'_>>; 6]> {
        let mut six: [Vec<Part<'_>>; 6] = Default::default();
        let mut at = 0;
        for index in 0..self.pieces.len() {
            let mut part = self.part(index)?;
            while let (Part::Text(text), 0..=4) = (part, at) {
                let Some((before, after)) = text.split_once(':') else { break };
                six.get_mut(at)?.push(Part::Text(before));
                at += 1;
                part = Part::Text(after);
            }
            six.get_mut(at)?.push(part);
        }
        (at == 5).then_some(six)
    }
}

impl Letters {
    fn equal(self, one: &str, other: &str) -> bool {
        match self {
            Self::Exact => one == other,
            Self::EitherCase => one.eq_ignore_ascii_case(other),
        }
    }

    /// What follows a text at the beginning of another.
    fn after<'a>(self, text: &'a str, beginning: &str) -> Option<&'a str> {
        match self {
            Self::Exact => text.strip_prefix(beginning),
            Self::EitherCase => {
                let (head, tail) = text.split_at_checked(beginning.len())?;
                head.eq_ignore_ascii_case(beginning).then_some(tail)
            }
        }
    }

    /// Where a text first stands in another, in bytes.
    fn find(self, text: &str, wanted: &str) -> Option<usize> {
        match self {
            Self::Exact => text.find(wanted),
            Self::EitherCase if wanted.is_empty() => Some(0),
            Self::EitherCase => {
                let found = text.as_bytes().windows(wanted.len());
                let at =
                    found.into_iter().position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))?;
                text.is_char_boundary(at).then_some(at)
            }
        }
    }

    /// Whether parts, one after another, make up a text.
    fn match_parts<'p>(self, part: impl Fn(usize) -> Option<Part<'p>>, text: &str) -> bool {
        // A product this small is sooner done one place after another.
        if text.len() > STEPS_MAX / pattern_bytes(&part).max(1) && can_go_back(&part) {
            return self.match_side_by_side(part, text);
        }
        self.match_greedily(part, text)
    }

    fn match_greedily<'p>(self, part: impl Fn(usize) -> Option<Part<'p>>, text: &str) -> bool {
        let (mut index, mut rest) = (0, text);
        // What comes after the last `*`, and where in the text it was tried.
        let mut last: Option<(usize, &str)> = None;
        loop {
            let advanced = match part(index) {
                Some(Part::Many) => {
                    last = Some((index + 1, rest));
                    match part(index + 1) {
                        None => return true,
                        Some(Part::Text(text)) => match self.find(rest, text) {
                            Some(at) => {
                                let found = rest.get(at..).unwrap_or_default();
                                last = Some((index + 1, found));
                                Some(found)
                            }
                            None => return false,
                        },
                        Some(_) => Some(rest),
                    }
                }
                Some(Part::Text(text)) => self.after(rest, text),
                Some(Part::One) => without_first(rest),
                None if rest.is_empty() => return true,
                None => None,
            };
            if let Some(after) = advanced {
                (index, rest) = (index + 1, after);
                continue;
            }
            let Some((after_star, tried)) = last else { return false };
            let Some(mut next) = without_first(tried) else { return false };
            if let Some(Part::Text(text)) = part(after_star) {
                let Some(at) = self.find(next, text) else { return false };
                next = next.get(at..).unwrap_or_default();
            }
            last = Some((after_star, next));
            (index, rest) = (after_star, next);
        }
    }
}

impl Letters {
    /// The same for long patterns on long texts: which places of the text, 64 in a word, the parts so far may end at.
    fn match_side_by_side<'p>(self, part: impl Fn(usize) -> Option<Part<'p>>, text: &str) -> bool {
        let folded = |c: char| match self {
            Self::Exact => c,
            Self::EitherCase => c.to_ascii_lowercase(),
        };
        let count = text.chars().count();
        // One place more than there are characters: the end.
        let words = count / 64 + 1;
        let mut standing: HashMap<char, Vec<u64>> = HashMap::new();
        for (index, c) in text.chars().map(folded).enumerate() {
            let places = standing.entry(c).or_insert_with(|| vec![0; words]);
            set(places, index);
        }
        let mut places = vec![0_u64; words];
        set(&mut places, 0);
        let mut index = 0;
        while let Some(part) = part(index) {
            index += 1;
            match part {
                Part::Many => fill_upwards(&mut places),
                Part::One => step(&mut places),
                Part::Text(text) => {
                    for c in text.chars().map(folded) {
                        let Some(standing) = standing.get(&c) else { return false };
                        for (place, standing) in places.iter_mut().zip(standing) {
                            *place &= standing;
                        }
                        step(&mut places);
                    }
                }
            }
            // Nothing stands behind the end.
            if let Some(last) = places.last_mut() {
                *last &= u64::MAX >> (63 - count % 64);
            }
            if places.iter().all(|word| *word == 0) {
                return false;
            }
        }
        places.last().is_some_and(|last| last >> (count % 64) & 1 == 1)
    }
}

/// Places after those that are set.
fn step(places: &mut [u64]) {
    let mut carried = 0;
    for word in places {
        (*word, carried) = (*word << 1 | carried, *word >> 63);
    }
}

/// All places from the first that is set.
fn fill_upwards(places: &mut [u64]) {
    let mut found = false;
    for word in places {
        if found {
            *word = u64::MAX;
        } else if *word != 0 {
            *word = u64::MAX << word.trailing_zeros();
            found = true;
        }
    }
}

fn set(places: &mut [u64], index: usize) {
    if let Some(word) = places.get_mut(index / 64) {
        *word |= 1 << (index % 64);
    }
}

/// Largest product of a pattern's length and a text's that is matched greedily, in bytes.
const STEPS_MAX: usize = 1 << 14;

fn pattern_bytes<'p>(part: impl Fn(usize) -> Option<Part<'p>>) -> usize {
    let lengths = (0..).map_while(part).map(|part| match part {
        // Empty ones take their time too.
        Part::Text(text) => text.len().max(1),
        Part::One | Part::Many => 1,
    });
    lengths.sum()
}

/// Whether something after a `*` may fail when a part of it has been found.
fn can_go_back<'p>(part: impl Fn(usize) -> Option<Part<'p>>) -> bool {
    let parts = || (0..).map_while(&part).skip_while(|part| *part != Part::Many);
    parts().zip(parts().skip(1)).any(|(one, next)| one != Part::Many && next != Part::Many)
}

fn without_first(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next()?;
    Some(chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{NoContext, Values};

    const ALL: Syntax = Syntax { wildcards: true, variables: true };

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern, ALL, Letters::Exact).matches(text, &NoContext)
    }

    /// `name` is a value with wildcards and a colon, `list` has several.
    struct Some1;

    impl Context for Some1 {
        fn get(&self, key: &str) -> Option<Values<'_>> {
            match key {
                "name" => Some("a*:?".into()),
                "list" => Some(Values::Many(vec!["x".into()])),
                "empty" => Some("".into()),
                _ => None,
            }
        }
    }

    fn with(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern, ALL, Letters::Exact).matches(text, &Some1)
    }

    #[test]
    fn wildcards_stand_for_characters() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "a:b/c"),
            ("**", ""),
            ("a*", "a"),
            ("*a", "bababa"),
            ("a*b*c", "a-b-b-c-c"),
            ("*a*a*", "aa"),
            ("a?c", "a\u{e9}c"),
            ("*?c", "\u{e9}\u{e9}c"),
            ("?*?", "ab"),
            ("*ab?ab", "abxabxab"),
            ("a*?", "ab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("a?", "a"),
            ("?*?", "a"),
            ("a*b", "abc"),
            ("*a*a*", "a"),
            ("A", "a"),
            ("*a*b", "ba"),
            ("??", "\u{e9}"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn either_case_is_ascii_alone() {
        let pattern =
            |text| Pattern::new(text, Syntax { wildcards: true, variables: false }, Letters::EitherCase);
        for text in ["kms:Encrypt", "KMS:*CRYPT", "kMs:?n*t", "kms:enc*", "*CRY?T"] {
            assert!(pattern(text).matches("kms:encrypt", &NoContext), "{text}");
            assert!(pattern(text).matches("KMS:ENCRYPT", &NoContext), "{text}");
        }
        assert!(!pattern("\u{212a}ms:*").matches("kms:encrypt", &NoContext));
    }

    #[test]
    fn a_value_is_a_literal() {
        assert!(with("x/${name}/y", "x/a*:?/y"));
        assert!(!with("x/${name}/y", "x/ab:c/y"));
        assert!(with("x/${NAME}*", "x/a*:?z"));
        assert!(with("${none, 'd}e*'}${empty}", "d}e*"));
        assert!(!with("${none, 'd}e*'}", "d}ex"));
        assert!(with("${name,'other'}", "a*:?"));
        assert!(with("${list, 'd'}", "d"));
        assert!(with("${*}${?}${$}{x}", "*?${x}"));
        assert!(!with("${*}", "x"));
        for none in ["${none}", "*${none}*", "${list}", "${}", "${none, d}"] {
            assert!(!with(none, "x") && !with(none, "") && !with(none, none), "{none}");
        }
        assert!(with("${name", "${name"), "never ended");
    }

    #[test]
    fn without_variables_a_dollar_is_a_dollar() {
        let pattern =
            Pattern::new("${name}${*}", Syntax { wildcards: true, variables: false }, Letters::Exact);
        assert!(pattern.matches("${name}${xyz}", &Some1));
        assert!(!pattern.matches("a*:?*", &Some1));
    }

    #[test]
    fn an_arn_is_matched_part_by_part() {
        let arn = |pattern: &str, text: &str| ArnPattern::new(pattern, ALL).matches(text, &Some1);
        let key = "arn:aws:kms:us-east-1:111122223333:key/a:b";
        assert!(arn(key, key) && arn("arn:*:kms:*:*:key/*", key) && arn("arn:aws:kms:us-?ast-1:*:*", key));
        for no in ["arn:*:key/*", "*", "arn:aws:kms:*", "arn:aws:kms:*:key/a:b", ""] {
            assert!(!arn(no, key), "{no}");
        }
        assert!(!arn("*:*:*:*:*:*", "a:b:c:d:e:f") && !arn("*", "*") && !arn(key, "arn:aws:kms"));
        // The value's colon is a colon, and its wildcards are none.
        assert!(arn("arn:aws:kms:x:${name}", "arn:aws:kms:x:a*:?"));
        assert!(!arn("arn:aws:kms:x:${name}", "arn:aws:kms:x:ab:c"));
        assert!(arn("arn:aws:*:x:1:${name}/*", "arn:aws:kms:x:1:a*:?/b"));
    }

    #[test]
    fn matching_does_not_explode() {
        let text = "a".repeat(8192);
        let started = std::time::Instant::now();
        for pattern in
            ["*a".repeat(2000) + "b", "*a?".repeat(2000) + "b", "*".to_owned() + &"?".repeat(4000) + "b"]
        {
            assert!(!matches(&pattern, &text));
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn both_ways_of_matching_agree() {
        let texts = [
            "",
            "a",
            "ab",
            "ba",
            "aab",
            "abab",
            "a\u{e9}b",
            "Ab",
            &"ab".repeat(63),
            &"a".repeat(64),
            &"a".repeat(65),
        ];
        let signs = ["a", "b", "*", "?", "\u{e9}", "ab"];
        // All patterns of up to five signs.
        let mut patterns = vec![String::new()];
        for length in 0..5 {
            let longest: Vec<_> = patterns
                .iter()
                .filter(|p| p.matches(['a', 'b', '*', '?', '\u{e9}']).count() == length)
                .cloned()
                .collect();
            patterns.extend(longest.iter().flat_map(|pattern| signs.map(|sign| format!("{pattern}{sign}"))));
        }
        for pattern in &patterns {
            let pieces = pieces(pattern, Syntax { wildcards: true, variables: false });
            let part = |index: usize| pieces.get(index).and_then(Piece::part);
            for text in texts {
                for letters in [Letters::Exact, Letters::EitherCase] {
                    let greedily = letters.match_greedily(part, text);
                    assert_eq!(letters.match_side_by_side(part, text), greedily, "{pattern} {text}");
                }
            }
        }
    }
}
