//! A store with very many keys and grants beside one with ten: requests a second, pages of lists, start, memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use super::load;
use super::operations::{self, Place};
use super::report::{Cell, Report, Table, median};
use super::service::Server;
use super::{Failure, Plan};

/// An account has 100,000 keys in a region at most, and some are made while it is measured.
const REGIONS: &str = "us-east-1,us-east-2,us-west-1,us-west-2,eu-west-1,eu-west-2,eu-central-1,eu-north-1,ap-south-1,\
                       ap-northeast-1,ca-central-1";

const GRANTS_PER_KEY: u64 = 5;

const CONNECTIONS: usize = 16;

/// Requests while memory is measured, each about another key as long as there are others.
const TOUCHED: usize = 200_000;

/// Requests that are signed ahead for one measurement. The rate is that of the first round through them at most: a key that
/// was asked for before is in memory.
const REQUESTS: usize = 20_000;

/// Starts that are timed.
const STARTS: usize = 5;

pub(super) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let few = Filled::make(plan, "few", 10, 50, 10)?;
    let many = Filled::make(plan, "many", plan.keys, 40_000, 1000)?;
    let title = |what: &str| {
        format!(
            "Scale: {what}, with 10 keys and with {} keys and {} grants",
            plan.keys,
            plan.keys * GRANTS_PER_KEY
        )
    };
    let mut table = Table {
        title: title("requests a second, 16 connections, load generator on the same cores"),
        columns: vec![
            "request",
            "10 keys",
            "many, the same 10 in use",
            "many, each another key",
            "same 10, of 10 keys",
        ],
        rows: Vec::new(),
    };
    let mut stores =
        Table { title: title("the store"), columns: vec!["what", "10 keys", "many"], rows: Vec::new() };
    let starts = [few.start_ms(plan)?, many.start_ms(plan)?];
    let (small, large) = (few.serve(plan)?, many.serve(plan)?);
    let fresh = [small.memory_mib()?, large.memory_mib()?];
    let mut asked = 0;
    for request in requests() {
        let seconds = if plan.quick { 0.5 } else { 1.0 };
        let rounds = if plan.quick { 1 } else { 3 };
        let (mut rates, mut rest) = ([Vec::new(), Vec::new(), Vec::new()], Vec::new());
        for _ in 0..rounds {
            let some = if request.each_another { REQUESTS / rounds } else { 0 };
            let ten: Vec<usize> = (0..10).collect();
            let others: Vec<usize> = (asked..asked + some).map(|index| many.scattered(index)).collect();
            asked += some;
            rates[0].push(few.rate(&small, &request, &ten, seconds)?);
            rates[1].push(many.rate(&large, &request, &ten, seconds)?);
            if !others.is_empty() {
                rest.push(many.rate(&large, &request, &others, seconds)?);
            }
        }
        rates[2] = rest;
        let [ten, same, other] = rates.map(|rates| median(&rates));
        table.rows.push(vec![
            Cell::text(request.name),
            Cell::Number(ten, 0),
            Cell::Number(same, 0),
            if request.each_another { Cell::Number(other, 0) } else { Cell::None },
            Cell::Number(same / ten, 2),
        ]);
    }
    let used = [small.memory_mib()?, large.memory_mib()?];
    let places = [(&few, &small), (&many, &large)]
        .map(|(filled, server)| Place { server, region: filled.keys.first().map_or("", |key| &key.region) });
    let (seconds, rounds) = if plan.quick { (0.3, 1) } else { (0.6, 3) };
    let by_operation = operations::measure(
        places,
        title("requests a second by operation, 16 connections"),
        seconds,
        rounds,
    )?;
    let touched = (0..TOUCHED).map(|index| many.scattered(asked + index));
    many.touch(&large, touched.collect::<Vec<_>>().as_slice())?;
    let touched = large.memory_mib()?;
    many.touch(
        &large,
        &(0..TOUCHED).map(|index| many.scattered(asked + TOUCHED + index)).collect::<Vec<_>>(),
    )?;
    let twice = large.memory_mib()?;
    small.stop()?;
    large.stop()?;
    let mut row = |what: &str, few: Option<f64>, many: f64, decimals| {
        let few = few.map_or(Cell::None, |few| Cell::Number(few, decimals));
        stores.rows.push(vec![Cell::text(what), few, Cell::Number(many, decimals)]);
    };
    row("making it, seconds", Some(few.seconds), many.seconds, 1);
    row("its file, MiB", Some(few.file_mib()?), many.file_mib()?, 1);
    row("from the start of `bulla serve` to its first answer, ms", Some(starts[0]), starts[1], 1);
    row("resident memory after the start, MiB", Some(fresh[0]), fresh[1], 1);
    row("after the requests above, MiB", Some(used[0]), used[1], 1);
    row("after 200,000 requests, each about another key or the next time around, MiB", None, touched, 1);
    row("after another 200,000, MiB", None, twice, 1);
    if !plan.quick {
        let check = [few.check_seconds(plan)?, many.check_seconds(plan)?];
        row("`bulla store check`, seconds", Some(check[0].0), check[1].0, 1);
        row("its peak memory, MiB", check[0].1, check[1].1.unwrap_or_default(), 1);
    }
    report.add(table);
    report.add(by_operation);
    report.add(stores);
    report.note(
        "\"The same 10 in use\" is a large store whose users use ten keys: they are in memory. \"Each another key\" asks \
         for a key that was not asked for before, so that its records come out of the store.",
    );
    Ok(())
}

/// One kind of request.
struct Request {
    /// Whether it is about the key that has most of all.
    of_first: bool,
    name: &'static str,
    operation: &'static str,
    /// The input for a key, and the how manieth request it is.
    body: fn(&Used<'_>, usize) -> Value,
    /// Whether it is measured with another key each time too.
    each_another: bool,
}

/// The key that a request is about.
struct Used<'k> {
    key: &'k Key,
    /// A ciphertext of it.
    blob: Option<String>,
}

fn requests() -> Vec<Request> {
    let of_keys =
        |name, operation, body| Request { name, operation, body, each_another: true, of_first: false };
    let others =
        |name, operation, body| Request { name, operation, body, each_another: false, of_first: false };
    let first =
        |name, operation, body| Request { name, operation, body, each_another: false, of_first: true };
    vec![
        of_keys("DescribeKey", "DescribeKey", |used, _| json!({"KeyId": used.key.id})),
        of_keys("DescribeKey by alias", "DescribeKey", |used, _| json!({"KeyId": used.key.alias()})),
        of_keys(
            "GenerateDataKey",
            "GenerateDataKey",
            |used, _| json!({"KeyId": used.key.id, "KeySpec": "AES_256"}),
        ),
        of_keys("Encrypt", "Encrypt", |used, _| json!({"KeyId": used.key.id, "Plaintext": "aGVsbG8="})),
        others("Decrypt", "Decrypt", |used, _| json!({"CiphertextBlob": used.blob})),
        of_keys("GetKeyPolicy", "GetKeyPolicy", |used, _| json!({"KeyId": used.key.id})),
        of_keys("ListGrants of a key with 5", "ListGrants", |used, _| json!({"KeyId": used.key.id})),
        others("ListKeys, a page of 100", "ListKeys", |_, _| json!({"Limit": 100})),
        others("ListAliases, a page of 100", "ListAliases", |_, _| json!({"Limit": 100})),
        others(
            "TagResource",
            "TagResource",
            |used, number| json!({"KeyId": used.key.id, "Tags": [{"TagKey": "a", "TagValue": number.to_string()}]}),
        ),
        others(
            "CreateGrant",
            "CreateGrant",
            |used, _| json!({"KeyId": used.key.id, "GranteePrincipal": "arn:aws:iam::111122223333:user/x", "Operations": ["Decrypt"]}),
        ),
        others("CreateKey", "CreateKey", |_, _| json!({})),
        first(
            "GenerateDataKey, key with all grants and rotations",
            "GenerateDataKey",
            |used, _| json!({"KeyId": used.key.id, "KeySpec": "AES_256"}),
        ),
        first(
            "ListGrants of it, a page of 100",
            "ListGrants",
            |used, _| json!({"KeyId": used.key.id, "Limit": 100}),
        ),
        first(
            "CreateGrant for it",
            "CreateGrant",
            |used, _| json!({"KeyId": used.key.id, "GranteePrincipal": "arn:aws:iam::111122223333:user/x", "Operations": ["Decrypt"]}),
        ),
        first(
            "ListKeyRotations of it, a page of 100",
            "ListKeyRotations",
            |used, _| json!({"KeyId": used.key.id, "Limit": 100}),
        ),
    ]
}

struct Key {
    region: String,
    id: String,
    /// Among those of its region.
    number: usize,
}

impl Key {
    fn alias(&self) -> String {
        format!("alias/bulk-{}", self.number)
    }
}

/// A data directory with a store that was filled.
struct Filled {
    data: PathBuf,
    root: String,
    keys: Vec<Key>,
    seconds: f64,
}

impl Filled {
    fn make(
        plan: &Plan,
        name: &str,
        keys: u64,
        grants_of_first: u64,
        rotations: u64,
    ) -> Result<Self, Failure> {
        let data = plan.dir.join(name);
        let root = format!("file:{}", plan.dir.join(format!("{name}.key")).display());
        let options = ["--region", REGIONS, "--root-key", &root];
        Server::start(plan, &data, &options)?.stop()?;
        let started = Instant::now();
        let numbers = [keys, GRANTS_PER_KEY, grants_of_first, rotations].map(|number| number.to_string());
        let made = Command::new(&plan.populate).arg(&data).arg(&root).args(&numbers).output()?;
        if !made.status.success() {
            return Err(format!("populate failed: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let seconds = started.elapsed().as_secs_f64();
        let mut keys: Vec<Key> = Vec::new();
        for line in std::str::from_utf8(&made.stdout)?.lines() {
            let (region, id) = line.split_once(' ').ok_or("a line of populate")?;
            let number = keys.last().filter(|last| last.region == region).map_or(0, |last| last.number + 1);
            keys.push(Key { region: region.to_owned(), id: id.to_owned(), number });
        }
        Ok(Self { data, root, keys, seconds })
    }

    fn serve(&self, plan: &Plan) -> Result<Server, Failure> {
        Server::start(plan, &self.data, &["--root-key", &self.root])
    }

    /// The `index`th key in an order that leads all over the store, and to each key once.
    fn scattered(&self, index: usize) -> usize {
        // A prime that divides no number of keys that anybody asks for.
        index.wrapping_mul(7_368_787) % self.keys.len()
    }

    /// Requests a second, about these keys in turns.
    fn rate(&self, server: &Server, request: &Request, keys: &[usize], seconds: f64) -> Result<f64, Failure> {
        let keys = if request.of_first { &[0] } else { keys };
        let mut signed = Vec::with_capacity(keys.len());
        for (number, index) in keys.iter().enumerate() {
            let key = self.keys.get(*index).ok_or("too few keys")?;
            let blob = match request.operation {
                "Decrypt" => Some(self.blob(server, key)?),
                _ => None,
            };
            let body = (request.body)(&Used { key, blob }, number).to_string();
            signed.push(server.request(request.operation, &key.region, &body)?);
        }
        // With many, each is sent once: the measurement ends with them, if not before.
        let once = keys.len() > 10;
        Ok(load::run_in_turns(server.address, &signed, CONNECTIONS, seconds, once)?.requests_per_s)
    }

    fn blob(&self, server: &Server, key: &Key) -> Result<String, Failure> {
        let body = json!({"KeyId": key.id, "Plaintext": "aGVsbG8="}).to_string();
        let answer = load::once(server.address, &server.request("Encrypt", &key.region, &body)?)?;
        let answer: Value = serde_json::from_slice(&answer)?;
        Ok(answer.get("CiphertextBlob").and_then(Value::as_str).ok_or("no CiphertextBlob")?.to_owned())
    }

    /// A request to each of these keys.
    fn touch(&self, server: &Server, keys: &[usize]) -> Result<(), Failure> {
        for some in keys.chunks(REQUESTS) {
            let mut signed = Vec::with_capacity(some.len());
            for index in some {
                let key = self.keys.get(*index).ok_or("too few keys")?;
                let body = json!({"KeyId": key.id, "KeySpec": "AES_256"}).to_string();
                signed.push(server.request("GenerateDataKey", &key.region, &body)?);
            }
            load::run_in_turns(server.address, &signed, CONNECTIONS, 3600.0, true)?;
        }
        Ok(())
    }

    /// From the start of the process to the first answer.
    fn start_ms(&self, plan: &Plan) -> Result<f64, Failure> {
        let mut taken = Vec::new();
        for _ in 0..STARTS {
            let started = Instant::now();
            let server = self.serve(plan)?;
            let key = self.keys.first().ok_or("no keys")?;
            let body = json!({"KeyId": key.id}).to_string();
            load::once(server.address, &server.request("DescribeKey", &key.region, &body)?)?;
            taken.push(started.elapsed().as_secs_f64() * 1000.0);
            server.stop()?;
        }
        Ok(median(&taken))
    }

    fn file_mib(&self) -> Result<f64, Failure> {
        Ok(std::fs::metadata(self.data.join("store.db"))?.len() as f64 / f64::from(1 << 20))
    }

    /// How long it takes, and its peak memory.
    fn check_seconds(&self, plan: &Plan) -> Result<(f64, Option<f64>), Failure> {
        let time = Path::new("/usr/bin/time").is_file();
        let mut command = if time { Command::new("/usr/bin/time") } else { Command::new(&plan.binary) };
        if time {
            command.args(["-f", "%M"]).arg(&plan.binary);
        }
        command.args(["store", "check", "--root-key", &self.root, "--data-dir"]).arg(&self.data);
        let started = Instant::now();
        let output = command.env("HOME", &plan.dir).output()?;
        let seconds = started.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("store check: {said}").into());
        }
        let kib: Option<f64> = said.lines().last().and_then(|line| line.trim().parse().ok());
        Ok((seconds, kib.filter(|_| time).map(|kib| kib / 1024.0)))
    }
}
