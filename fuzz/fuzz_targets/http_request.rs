//! A request from anywhere, through the whole pipeline: nothing panics, a forged signature never holds, an input that
//! was read is written and read again as the same, and whatever an authenticated caller sends, the answer is a result
//! or a refusal, never an internal error, and on record.
#![no_main]

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use bulla_api::{Service, wire};
use bulla_audit::MemorySink;
use bulla_crypto::{RootKey, SeededRng};
use bulla_engine::{Authenticated, Engine, EngineOptions, EngineParts, NewStore, RequestMeta, SimClock, Via};
use bulla_sigv4::{Instant, Request, SigningKey, VerifyPolicy, parse_authorization, verify, verify_unknown};
use bulla_store::SimDisk;
use libfuzzer_sys::fuzz_target;

static SIGNING_KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    // No input can be signed with it: it is no one's.
    SigningKey::derive(b"a secret that stands in no seed", "20261123", "us-east-1", "kms")
});

/// 2026-11-23T12:00:00Z, the date of the seeds.
const NOW: Instant = Instant::from_seconds(1_795_435_200);
const NOW_MS: u64 = 1_795_435_200_000;
const POLICY: VerifyPolicy<'static> = VerifyPolicy { regions: &["us-east-1"], services: &["kms", "iam", "sts"] };

macro_rules! read_inputs {
    ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {
        fn read_input(target: &str, body: &[u8]) {
            match target {
                $(stringify!($name) => {
                    if let Ok(input) = wire::decode_input::<bulla_api::$name>(&mut body.to_vec()) {
                        let written = wire::encode_input::<bulla_api::$name>(&input).to_vec();
                        let again = wire::decode_input::<bulla_api::$name>(&mut written.clone());
                        let again = again.expect("what was written is read");
                        let rewritten = wire::encode_input::<bulla_api::$name>(&again);
                        assert_eq!(rewritten.to_vec(), written);
                    }
                    let _ = wire::decode_output::<bulla_api::$name>(&mut body.to_vec());
                    if let Ok(form) = wire::Form::parse(&mut body.to_vec()) {
                        let _ = wire::decode_form_input::<bulla_api::$name>(&form);
                    }
                })*
                _ => {
                    let _ = wire::decode_error(body, Some(target));
                }
            }
        }
    };
}
bulla_api::for_each_operation!(read_inputs);

fuzz_target!(|data: &[u8]| {
    let Some((head, body)) = split_once(data, b"\r\n\r\n") else { return };
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let Some(first) = lines.next().and_then(|line| std::str::from_utf8(line).ok()) else { return };
    let mut words = first.split(' ');
    let (method, path_and_query) = (words.next().unwrap_or_default(), words.next().unwrap_or("/"));
    let mut headers: Vec<(&str, &[u8])> = Vec::new();
    for line in lines {
        let Some((name, value)) = split_once(line, b":") else { continue };
        let Ok(name) = std::str::from_utf8(name) else { continue };
        headers.push((name, value.trim_ascii()));
    }
    let request = Request { method, path_and_query, headers: &headers, body };
    if let Ok(presented) = parse_authorization(&request) {
        assert!(
            verify(&request, &presented, &SIGNING_KEY, NOW, &POLICY).is_err(),
            "a forged signature holds"
        );
        let _ = verify_unknown(&request, &presented, NOW, &POLICY).to_string();
    }
    let target = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-target"));
    let target = target.and_then(|(_, value)| std::str::from_utf8(value).ok()).unwrap_or_default();
    let operation = Service::ALL.iter().find_map(|service| target.strip_prefix(service.target_prefix()));
    read_input(operation.unwrap_or(target), body);
    SERVICE.with_borrow_mut(|service| {
        let service = service.get_or_insert_with(Running::new);
        service.answer(&request, target, body);
        service.answered += 1;
        // What it made is forgotten now and then, so that memory and limits don't fill up.
        if service.answered == 2000 {
            *service = Running::new();
        }
    });
});

thread_local! {
    static SERVICE: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// An engine on a simulated disk, with one key that the seeds name, and a caller who is root.
struct Running {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    caller: Authenticated,
    sink: Arc<MemorySink>,
    answered: u32,
}

impl Running {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let sink = Arc::new(MemorySink::new());
        let disk = SimDisk::new(1);
        disk.set_yields_max(0);
        let parts = EngineParts {
            store: Arc::new(disk.open()),
            root: RootKey::generate(&SeededRng::new(7)).expect("a slot"),
            clock: Arc::new(SimClock::at(NOW_MS)),
            rng: Arc::new(SeededRng::new(8)),
            audit: Arc::clone(&sink) as _,
            options: EngineOptions::default(),
        };
        let new = NewStore {
            account: Some("111122223333".parse().expect("an account")),
            regions: vec!["us-east-1".parse().expect("a region")],
            passphrase: None,
        };
        let (engine, caller) = runtime.block_on(async {
            let engine = Engine::create(parts, new).await.expect("a store");
            let caller = engine.local_caller(None, None, Via::Embedded).await.expect("its root");
            let meta = || RequestMeta::local(engine.new_request_id(), "fuzz");
            let made = engine
                .dispatch(Ok(caller.clone()), meta(), "TrentService.CreateKey", &mut b"{}".to_owned())
                .await;
            let made = String::from_utf8(made.into_body().to_vec()).expect("JSON");
            let id = made.split_once("\"KeyId\":\"").expect("a key").1.get(..36).expect("an id").to_owned();
            let mut alias = format!(r#"{{"AliasName":"alias/a","TargetKeyId":"{id}"}}"#).into_bytes();
            let answer =
                engine.dispatch(Ok(caller.clone()), meta(), "TrentService.CreateAlias", &mut alias).await;
            assert_eq!(answer.status(), 200);
            (engine, caller)
        });
        Self { runtime, engine, caller, sink, answered: 0 }
    }

    fn answer(&self, request: &Request<'_>, target: &str, body: &[u8]) {
        let meta = || RequestMeta::local(self.engine.new_request_id(), "fuzz");
        self.runtime.block_on(async {
            let forged = self.engine.authenticate(request).await;
            assert!(forged.is_err(), "a forged request is authenticated");
            let refused = self.engine.dispatch(forged, meta(), target, &mut body.to_vec()).await;
            assert_eq!(refused.status() / 100, 4, "to no one: {}", refused.status());
            let answer =
                self.engine.dispatch(Ok(self.caller.clone()), meta(), target, &mut body.to_vec()).await;
            let status = answer.status();
            assert!(status == 200 || status / 100 == 4, "answered {status}: {:?}", answer.error_type());
            self.engine.tick().await;
            assert!(!self.sink.take().is_empty(), "answered without a record");
        });
    }
}

fn split_once<'d>(data: &'d [u8], separator: &[u8]) -> Option<(&'d [u8], &'d [u8])> {
    let at = data.windows(separator.len()).position(|window| window == separator)?;
    Some((&data[..at], &data[at + separator.len()..]))
}
