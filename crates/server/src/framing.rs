//! Finds the heads of requests in what a peer sends, before hyper reads it, and whether each of them says in one way
//! only where its body ends.
//!
//! A request with both `Transfer-Encoding` and `Content-Length` is read in one way here and, perhaps, in another by a
//! proxy before: what one takes for a body the other takes for a request (RFC 9112, 6.1, 6.3 and 11.2). hyper goes by
//! `Transfer-Encoding`, and has dropped the other field by the time that it hands a request over. So the bytes are
//! followed from the first on, with the same parser, and nothing that could not be followed is answered.

/// A head with more fields is refused.
pub(crate) const FIELDS_MAX: usize = 64;

/// Follows the requests of one connection.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
    /// What has come of a head that isn't whole.
    partial: Vec<u8>,
    partial_bytes_max: usize,
    plain_heads: u32,
}

#[derive(Debug)]
enum State {
    Head,
    /// So many bytes of it are to come.
    Body(u64),
    /// Where the next head begins is not known. The connection must end before it.
    Lost,
}

/// What a head says of its body's end.
#[derive(Debug, PartialEq, Eq)]
enum BodyEnd {
    After(u64),
    Chunked,
    Contradictory,
}

impl Framing {
    /// For heads of so many bytes.
    pub(crate) const fn new(head_bytes_max: usize) -> Self {
        Self { state: State::Head, partial: Vec::new(), partial_bytes_max: head_bytes_max, plain_heads: 0 }
    }

    /// How many heads there were before the first that leaves a doubt, or could not be followed.
    pub(crate) const fn plain_heads(&self) -> u32 {
        self.plain_heads
    }

    /// Takes what the peer has sent next.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Head => bytes = self.head(bytes),
                State::Body(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= here as u64;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    bytes = bytes.get(here..).unwrap_or_default();
                }
                State::Lost => return,
            }
        }
    }

    /// Takes bytes of a head; gives back what comes after it.
    fn head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.partial.is_empty() {
            return match parse(bytes) {
                Ok(Some((length, end))) => {
                    self.ended(&end);
                    bytes.get(length..).unwrap_or_default()
                }
                Ok(None) => self.keep(bytes),
                Err(_) => self.lose(),
            };
        }
        // Looked for first, so that a head that trickles in isn't parsed at every byte, nor a body copied.
        let Some((piece, rest)) = split_after_empty_line(&self.partial, bytes) else {
            return self.keep(bytes);
        };
        self.keep(piece);
        match parse(&self.partial) {
            Ok(Some((_, end))) => {
                self.partial = Vec::new();
                self.ended(&end);
                rest
            }
            // Empty lines may come before a head.
            Ok(None) => rest,
            Err(_) => self.lose(),
        }
    }

    fn ended(&mut self, end: &BodyEnd) {
        self.state = match end {
            BodyEnd::After(0) => State::Head,
            BodyEnd::After(length) => State::Body(*length),
            // Its chunks are hyper's to read; the answer ends the connection.
            BodyEnd::Chunked | BodyEnd::Contradictory => State::Lost,
        };
        if *end != BodyEnd::Contradictory {
            self.plain_heads = self.plain_heads.saturating_add(1);
        }
    }

    /// More than a head may have is left to hyper to refuse.
    fn keep(&mut self, bytes: &[u8]) -> &'static [u8] {
        if self.partial.len() > self.partial_bytes_max {
            return self.lose();
        }
        self.partial.extend_from_slice(bytes);
        &[]
    }

    /// hyper reads no request in this either.
    fn lose(&mut self) -> &'static [u8] {
        self.state = State::Lost;
        self.partial = Vec::new();
        &[]
    }
}

/// Parses a head: its length and what it says of its body; `None` when it isn't whole.
fn parse(bytes: &[u8]) -> Result<Option<(usize, BodyEnd)>, httparse::Error> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes)? else { return Ok(None) };
    let values = |name: &'static str| {
        head.headers
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    };
    let mut lengths = values("content-length").map(digits);
    let end = match (values("transfer-encoding").next(), lengths.next()) {
        (None, None) => BodyEnd::After(0),
        (Some(_), None) => BodyEnd::Chunked,
        (None, Some(Some(first))) if lengths.all(|length| length == Some(first)) => BodyEnd::After(first),
        _ => BodyEnd::Contradictory,
    };
    Ok(Some((length, end)))
}

/// A number as `Content-Length` has it: digits alone.
fn digits(value: &[u8]) -> Option<u64> {
    if value.iter().all(u8::is_ascii_digit) { std::str::from_utf8(value).ok()?.parse().ok() } else { None }
}

/// Splits after the first line end that follows another one, perhaps in `before`.
fn split_after_empty_line<'a>(before: &[u8], bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut at_line_start = matches!(before, [.., b'\n'] | [.., b'\n', b'\r']);
    let end = bytes.iter().position(|byte| {
        let ends = *byte == b'\n' && at_line_start;
        at_line_start = *byte == b'\n' || (*byte == b'\r' && at_line_start);
        ends
    })?;
    bytes.split_at_checked(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many of the heads in this, sent in pieces of so many bytes, leave no doubt.
    fn plain_heads(sent: &[u8], piece: usize) -> u32 {
        let mut framing = Framing::new(1000);
        sent.chunks(piece).for_each(|piece| framing.follow(piece));
        framing.plain_heads()
    }

    #[test]
    fn heads_are_found_between_bodies_however_they_come_in_pieces() {
        let body = "POST / HTTP/1.1\r\n\r\n";
        let sent = format!(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}\r\n\r\nGET / HTTP/1.1\n\n\
             POST /a HTTP/1.0\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n12345\
             POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            body.len()
        );
        for piece in 1..=sent.len() {
            assert_eq!(plain_heads(sent.as_bytes(), piece), 4, "in pieces of {piece}");
        }
    }

    #[test]
    fn two_ways_to_find_the_end_of_a_body_are_a_doubt_in_either_order() {
        for fields in [
            "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
            "content-length: 5\r\nTransfer-Encoding: chunked\r\n",
            "content-length: 5\r\nx: y\r\ntransfer-encoding: identity\r\n",
            "content-length: 5\r\ncontent-length: 6\r\n",
            "content-length: +5\r\n",
            "content-length: 5, 5\r\n",
            "content-length: 99999999999999999999999\r\n",
        ] {
            let sent = format!(
                "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\n{fields}\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
            );
            for piece in 1..=sent.len() {
                assert_eq!(plain_heads(sent.as_bytes(), piece), 1, "{fields} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_no_head_is_not_kept() {
        let mut framing = Framing::new(1000);
        for _ in 0..1000 {
            framing.follow(b"GET");
        }
        assert!(framing.partial.capacity() < 10_000 && matches!(framing.state, State::Lost));
        let mut framing = Framing::new(1000);
        framing.follow(b"\x16\x03\x01");
        framing.follow(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(framing.plain_heads(), 0);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            requests in proptest::collection::vec((0usize..40, any::<bool>(), "[a-z\\r\\n :]{0,12}"), 0..6),
            cuts in proptest::collection::vec(1usize..30, 1..40),
        ) {
            let mut sent = Vec::new();
            for (length, blank, junk) in &requests {
                let blank = if *blank { "\r\n" } else { "" };
                let body: String = junk.chars().cycle().take(if junk.is_empty() { 0 } else { *length }).collect();
                let head = format!("{blank}POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                sent.extend_from_slice(head.as_bytes());
            }
            let mut framing = Framing::new(1000);
            let (mut rest, mut cuts) = (sent.as_slice(), cuts.iter().cycle());
            while let Some((piece, after)) = rest.split_at_checked((*cuts.next().unwrap_or(&1)).min(rest.len())) {
                framing.follow(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(framing.plain_heads() as usize, requests.len());
        }
    }
}
