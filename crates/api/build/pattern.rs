//! The model's regular expressions as automata.
//!
//! An expression becomes the set of its *positions* (each a class of characters that stands once in it), with which of
//! them can come first, which can be last, and which can follow which (Glushkov's construction). The positions of one
//! expression fit in the bits of a `u64`; matching goes through a text once.

use regex_syntax::hir::HirKind;
use std::iter::Peekable;
use std::str::Chars;

/// Ranges of characters, both ends included.
type Class = Vec<(u32, u32)>;

/// An expression as the source text of a `Pattern`. A text that must match must match as a whole, so anchors say nothing.
///
/// # Panics
/// For an expression with a part that is not known here, or with more than 64 positions.
pub(crate) fn compiled(text: &str) -> String {
    let mut parser = Parser { rest: text.chars().peekable(), text };
    let expression = parser.alternatives();
    assert!(parser.rest.next().is_none(), "{text}: a parenthesis too many");
    let mut automaton = Automaton::default();
    let ends = automaton.add(&expression);
    let positions: String = automaton
        .positions
        .iter()
        .map(|(class, follow)| format!("Position {{ class: &{class:?}, follow: {follow} }}, "))
        .collect();
    format!(
        "Pattern {{ text: {text:?}, positions: &[{positions}], first: {}, last: {}, empty: {} }}",
        ends.first, ends.last, ends.empty
    )
}

enum Expression {
    Class(Class),
    Sequence(Vec<Expression>),
    Alternatives(Vec<Expression>),
    /// At least and at most so often.
    Repeated(Box<Expression>, usize, Option<usize>),
}

struct Parser<'t> {
    rest: Peekable<Chars<'t>>,
    text: &'t str,
}

impl Parser<'_> {
    fn alternatives(&mut self) -> Expression {
        let mut all = vec![self.sequence()];
        while self.rest.next_if_eq(&'|').is_some() {
            all.push(self.sequence());
        }
        Expression::Alternatives(all)
    }

    fn sequence(&mut self) -> Expression {
        let mut parts = Vec::new();
        while let Some(next) = self.rest.next_if(|next| !matches!(next, '|' | ')')) {
            let part = match next {
                '^' | '$' => continue,
                '(' => {
                    let inner = self.alternatives();
                    assert_eq!(self.rest.next(), Some(')'), "{}", self.text);
                    inner
                }
                '[' => Expression::Class(self.class()),
                '\\' => Expression::Class(self.escape()),
                // Not the ends of lines.
                '.' => Expression::Class(vec![
                    (0, 0x9),
                    (0xb, 0xc),
                    (0xe, 0x84),
                    (0x86, 0x2027),
                    (0x202a, 0x10_ffff),
                ]),
                '*' | '+' | '?' | '{' => panic!("{}: nothing to repeat", self.text),
                _ => Expression::Class(vec![(next.into(), next.into())]),
            };
            parts.push(self.repeated(part));
        }
        Expression::Sequence(parts)
    }

    fn repeated(&mut self, part: Expression) -> Expression {
        let (least, most) = match self.rest.next_if(|next| matches!(next, '*' | '+' | '?' | '{')) {
            None => return part,
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some(_) => {
                let inside: String = self.rest.by_ref().take_while(|next| *next != '}').collect();
                let number = |text: &str| text.parse().unwrap();
                match inside.split_once(',') {
                    None => (number(&inside), Some(number(&inside))),
                    Some((least, "")) => (number(least), None),
                    Some((least, most)) => (number(least), Some(number(most))),
                }
            }
        };
        Expression::Repeated(Box::new(part), least, most)
    }

    /// What stands between brackets, after the first.
    fn class(&mut self) -> Class {
        let mut class = Class::new();
        // The start of what may become a range; `None` after a range, where a dash is a dash.
        let mut start: Option<u32> = None;
        loop {
            let single = match self.rest.next() {
                Some(']') => return class,
                Some('\\') => match self.escape().as_slice() {
                    [(one, same)] if one == same => *one,
                    ranges => {
                        class.extend(ranges);
                        start = None;
                        continue;
                    }
                },
                Some('-') if start.is_some() && self.rest.peek() != Some(&']') => {
                    let last = match self.rest.next() {
                        Some('\\') => self.escape()[0].1,
                        last => last.unwrap().into(),
                    };
                    class.pop();
                    let first = start.take().unwrap();
                    assert!(first <= last, "{}", self.text);
                    class.push((first, last));
                    continue;
                }
                Some('[' | '&' | '^') | None => panic!("{}: a class of an unknown form", self.text),
                Some(next) => next.into(),
            };
            class.push((single, single));
            start = Some(single);
        }
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Class {
        match self.rest.next().unwrap() {
            'w' => vec![ascii('0', '9'), ascii('A', 'Z'), ascii('a', 'z'), ascii('_', '_')],
            'd' => vec![ascii('0', '9')],
            's' => vec![ascii('\t', '\r'), ascii(' ', ' ')],
            'p' => {
                assert_eq!(self.rest.next(), Some('{'), "{}", self.text);
                let name: String = self.rest.by_ref().take_while(|next| *next != '}').collect();
                if name == "ASCII" { vec![(0, 0x7f)] } else { general_category(&name) }
            }
            'u' => {
                let digits: String = self.rest.by_ref().take(4).collect();
                let character = u32::from_str_radix(&digits, 16).unwrap();
                vec![(character, character)]
            }
            same if same.is_ascii_punctuation() => vec![ascii(same, same)],
            other => panic!("{}: unknown escape {other}", self.text),
        }
    }
}

fn ascii(first: char, last: char) -> (u32, u32) {
    (first.into(), last.into())
}

/// The characters of one of Unicode's general categories: `L`, letters.
fn general_category(name: &str) -> Class {
    let parsed = regex_syntax::parse(&format!(r"\p{{{name}}}")).unwrap();
    let HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = parsed.kind() else {
        panic!("{name}: not a class of characters")
    };
    class.ranges().iter().map(|range| ascii(range.start(), range.end())).collect()
}

/// Each position's class, and the set of those that can follow it.
#[derive(Default)]
struct Automaton {
    positions: Vec<(Class, u64)>,
}

/// How a part can begin and end.
#[derive(Clone, Copy)]
struct Ends {
    first: u64,
    last: u64,
    /// Whether it matches the empty text.
    empty: bool,
}

/// Matches the empty text only.
const NOTHING: Ends = Ends { first: 0, last: 0, empty: true };

impl Automaton {
    fn add(&mut self, expression: &Expression) -> Ends {
        match expression {
            Expression::Class(class) => {
                let set = 1_u64.checked_shl(self.positions.len().try_into().unwrap()).unwrap();
                self.positions.push((class.clone(), 0));
                Ends { first: set, last: set, empty: false }
            }
            Expression::Sequence(parts) => parts.iter().fold(NOTHING, |before, part| {
                let after = self.add(part);
                self.join(before, after)
            }),
            Expression::Alternatives(all) => {
                let all: Vec<Ends> = all.iter().map(|one| self.add(one)).collect();
                Ends {
                    first: all.iter().fold(0, |set, one| set | one.first),
                    last: all.iter().fold(0, |set, one| set | one.last),
                    empty: all.iter().any(|one| one.empty),
                }
            }
            Expression::Repeated(part, least, most) => {
                let mut ends = NOTHING;
                // As many copies as there can be, the last of them again and again where there is no most.
                for copy in 1..=most.unwrap_or((*least).max(1)) {
                    let mut one = self.add(part);
                    if most.is_none() && copy == (*least).max(1) {
                        self.follow(one.last, one.first);
                    }
                    one.empty |= copy > *least;
                    ends = self.join(ends, one);
                }
                ends
            }
        }
    }

    fn join(&mut self, before: Ends, after: Ends) -> Ends {
        self.follow(before.last, after.first);
        Ends {
            first: if before.empty { before.first | after.first } else { before.first },
            last: if after.empty { before.last | after.last } else { after.last },
            empty: before.empty && after.empty,
        }
    }

    fn follow(&mut self, before: u64, after: u64) {
        for (index, (_, follow)) in self.positions.iter_mut().enumerate() {
            if before >> index & 1 == 1 {
                *follow |= after;
            }
        }
    }
}
