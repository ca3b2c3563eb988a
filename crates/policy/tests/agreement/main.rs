//! The engine and its second model come to the same verdict, and the theorems hold that make a policy language one to rely on.
//!
//! A sample runs always. `BULLA_POLICY_CASES=1000000 cargo nextest run -p bulla-policy agree` runs as many as are asked for.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod generate;
mod model;

use bulla_policy::{Case, Verdict};
use generate::Dice;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CASES: u64 = 20_000;

/// Cases for each theorem.
const PAIRS: u64 = 2_000;

fn engine(case: &Value) -> Verdict {
    match Case::read(&case.to_string()) {
        Ok(case) => case.decide().verdict,
        Err(error) => panic!("{}: {case}", error.error),
    }
}

fn engine_says(case: &Value) -> String {
    format!("{:?}", engine(case))
}

#[test]
fn the_engine_and_the_model_agree() {
    let count =
        std::env::var("BULLA_POLICY_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(CASES);
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..count {
        let case = generate::case(seed);
        let expected = model::decide(&case);
        *verdicts.entry(expected).or_default() += 1;
        let found = engine_says(&case);
        assert_eq!(
            found,
            expected,
            "case {seed}: {case}\n{}",
            Case::read(&case.to_string()).unwrap().explain()
        );
    }
    println!("{count} cases: {verdicts:?}");
    // The vocabularies fit one another.
    assert!(["Allowed", "ExplicitlyDenied", "ImplicitlyDenied"].iter().all(|one| verdicts[one] * 10 > count));
}

/// The policies of a case, and whether each is a key's.
fn policies(case: &mut Value) -> Vec<(&mut Value, bool)> {
    let Value::Object(members) = case else { panic!("a case") };
    let mut found = Vec::new();
    for (name, member) in members.iter_mut() {
        match (name.as_str(), member) {
            ("identity_policies", Value::Array(policies)) => {
                found.extend(policies.iter_mut().map(|policy| (&mut policy["document"], false)));
            }
            ("session_policies", Value::Array(policies)) => {
                found.extend(policies.iter_mut().map(|policy| (policy, false)))
            }
            ("permission_boundary", policy @ Value::Object(_)) => found.push((policy, false)),
            ("key_policy", policy @ Value::Object(_)) => found.push((policy, true)),
            _ => {}
        }
    }
    found
}

fn statements(policy: &mut Value) -> &mut Vec<Value> {
    let statement = &mut policy["Statement"];
    if !statement.is_array() {
        *statement = json!([statement.take()]);
    }
    statement.as_array_mut().unwrap()
}

/// Cases, each with another that was made from it.
fn pairs(change: impl Fn(&mut Value, &mut Dice)) -> impl Iterator<Item = (Value, Value)> {
    (0..PAIRS).map(move |seed| {
        let case = generate::case(seed);
        let mut changed = case.clone();
        change(&mut changed, &mut Dice::new(seed + 1));
        (case, changed)
    })
}

fn add_statement(case: &mut Value, dice: &mut Dice, effect: &str) {
    let mut all = policies(case);
    if all.is_empty() {
        return;
    }
    let index = dice.below(all.len());
    let (policy, is_key) = &mut all[index];
    let mut statement = generate::statement(dice, *is_key);
    statement["Effect"] = effect.into();
    statements(policy).push(statement);
}

#[test]
fn an_explicit_denial_wins() {
    let all = pairs(|case, dice| {
        let mut all = policies(case);
        if all.is_empty() {
            return;
        }
        let index = dice.below(all.len());
        let (policy, is_key) = &mut all[index];
        let mut denial = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
        if *is_key {
            denial["Principal"] = "*".into();
        }
        statements(policy).insert(0, denial);
    });
    for (case, denied) in all.filter(|(case, denied)| case != denied) {
        assert_eq!(engine(&denied), Verdict::ExplicitlyDenied, "{case}");
    }
}

#[test]
fn what_nobody_allows_is_denied() {
    let all = pairs(|case, _| {
        for (policy, _) in policies(case) {
            statements(policy).retain(|statement| statement["Effect"] == "Deny");
        }
        case["grants"] = json!([]);
    });
    for (_, case) in all {
        let is_key = case["request"]["resource"].as_str().unwrap().contains(":key/");
        let is_root = case["request"]["principal"]["type"] == "root";
        assert!(engine(&case) != Verdict::Allowed || is_root && !is_key, "{case}");
    }
}

#[test]
fn neither_order_nor_repetition_matters() {
    let all = pairs(|case, dice| {
        for (policy, _) in policies(case) {
            let statements = statements(policy);
            let count = statements.len();
            statements.rotate_left(dice.below(count));
            let again = statements[dice.below(count)].clone();
            statements.insert(dice.below(count), again);
        }
        case["identity_policies"].as_array_mut().unwrap().reverse();
        case["session_policies"].as_array_mut().unwrap().reverse();
        case["grants"].as_array_mut().unwrap().reverse();
    });
    for (case, other) in all {
        assert_eq!(engine(&case), engine(&other), "{case}");
    }
}

#[test]
fn one_more_allow_takes_nothing_away() {
    for (case, more) in pairs(|case, dice| add_statement(case, dice, "Allow")) {
        let (before, after) = (engine(&case), engine(&more));
        assert!(before != Verdict::Allowed || after == Verdict::Allowed, "{more}");
        assert_eq!(before == Verdict::ExplicitlyDenied, after == Verdict::ExplicitlyDenied, "{more}");
    }
}

#[test]
fn one_more_denial_gives_nothing() {
    for (case, less) in pairs(|case, dice| add_statement(case, dice, "Deny")) {
        let (before, after) = (engine(&case), engine(&less));
        assert!(after != Verdict::Allowed || before == Verdict::Allowed, "{less}");
        assert!(before == after || after == Verdict::ExplicitlyDenied, "{less}");
    }
}

#[test]
fn an_explanation_comes_to_the_same_verdict() {
    for seed in 0..PAIRS {
        let case = Case::read(&generate::case(seed).to_string()).unwrap();
        let (decision, explanation) = (case.decide(), case.explain());
        assert_eq!(explanation.verdict, decision.verdict);
        assert_eq!(explanation.changes.is_empty(), decision.is_allowed(), "{explanation}");
        let denies = |told: &bulla_policy::StatementTold| told.applies && told.effect == "Deny";
        assert_eq!(explanation.statements.iter().any(denies), decision.verdict == Verdict::ExplicitlyDenied);
    }
}

#[test]
fn a_damaged_case_is_decided_or_refused() {
    let signs: Vec<char> = "\"{}[],:*?$'\\0aA\u{e9} ".chars().collect();
    let mut read = 0;
    for seed in 0..PAIRS {
        let dice = &mut Dice::new(seed);
        let mut text: Vec<char> = generate::case(seed).to_string().chars().collect();
        for _ in 0..1 + dice.below(3) {
            let at = dice.below(text.len());
            match dice.below(3) {
                0 => text[at] = dice.one(&signs),
                1 => text.insert(at, dice.one(&signs)),
                _ => drop(text.drain(at..(at + dice.below(40)).min(text.len()))),
            }
        }
        if let Ok(case) = Case::read(&text.into_iter().collect::<String>()) {
            read += 1;
            assert_eq!(case.explain().verdict, case.decide().verdict);
        }
    }
    assert!(read > PAIRS / 100, "{read} were still cases");
}
