//! A model on loopback: what it says is scripted, what it counts is true, and what goes wrong is asked for.
//!
//! It speaks the Messages, Chat Completions and Responses interfaces. It never knows which client asks it.

mod ask;
mod cache;
mod fault;
mod http;
mod wire;

pub(crate) use ask::{Api, Ask, Say};
pub(crate) use cache::{Usage, tokens};
pub(crate) use fault::Fault;

use cache::Cache;
use http::{Answer, Request};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// What comes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Say(Say),
    Fail(Fault),
}

/// What a model does with a request; the log holds all that came before.
pub(crate) type Script = dyn Fn(&Ask, &[Served]) -> Reply + Send + Sync;

/// One request that was answered, or not.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// In milliseconds since 1970: when it was asked.
    pub(crate) at: u64,
    pub(crate) path: String,
    /// What the prompt says which feature it is about.
    pub(crate) feature: String,
    /// Whether the client could use tools on it; else it is about something beside the work: a title.
    pub(crate) has_tools: bool,
    /// How often tools had been used in this conversation.
    pub(crate) turn: usize,
    /// What went wrong.
    pub(crate) fault: Option<&'static str>,
    pub(crate) usage: Usage,
}

/// A running model.
pub(crate) struct Model {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    cache: Cache,
    log: Vec<Served>,
    open: Vec<TcpStream>,
    is_over: bool,
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

impl Model {
    /// Starts one that does as the script says.
    pub(crate) fn start(script: impl Fn(&Ask, &[Served]) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            kept: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut kept = served.kept();
                if kept.is_over {
                    return;
                }
                kept.open.extend(stream.try_clone());
                drop(kept);
                let served = Arc::clone(&served);
                std::thread::spawn(move || served.serve(&stream));
            }
        });
        Self { port, shared }
    }

    /// All requests so far, in the order in which they were decided on.
    pub(crate) fn log(&self) -> Vec<Served> {
        self.shared.kept().log.clone()
    }

    /// What was served to one feature.
    pub(crate) fn usage_of(&self, feature: &str, fits: impl Fn(&Served) -> bool) -> Usage {
        let mut sum = Usage::default();
        for served in self.log() {
            if served.feature == feature && fits(&served) {
                sum += served.usage;
            }
        }
        sum
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let mut kept = self.shared.kept();
        kept.is_over = true;
        for stream in kept.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(kept);
        // Wakes the one that listens.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn serve(&self, stream: &TcpStream) {
        let Some(request) = Request::read(stream) else {
            return;
        };
        let api = match request.path.as_str() {
            path if path.ends_with("/messages") => Some(Api::Messages),
            path if path.ends_with("/chat/completions") => Some(Api::Chat),
            path if path.ends_with("/responses") => Some(Api::Responses),
            _ => None,
        };
        let at = now_ms();
        let asked = api.filter(|_| request.method == "POST");
        let ask = asked.and_then(|api| Ask::read(api, &request.body));
        let Some(ask) = ask else {
            self.turn_away(stream, &request, at);
            return;
        };
        let (number, reply, usage) = self.decide(&ask, &request.path, at);
        match reply {
            Reply::Say(say) => say_all(stream, &ask, number, &say, usage),
            Reply::Fail(fault) => fail(stream, &ask, number, fault),
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    /// Decides under one lock, so that the log is in the order of what the cache saw.
    fn decide(&self, ask: &Ask, path: &str, at: u64) -> (u64, Reply, Usage) {
        let mut kept = self.kept();
        let reply = (self.script)(ask, &kept.log);
        let mut usage = Usage::default();
        let mut fault = None;
        match &reply {
            Reply::Say(say) => usage = counted(&mut kept.cache, ask, say),
            Reply::Fail(it) => fault = Some(it.name()),
        }
        kept.log.push(Served {
            at,
            path: path.to_owned(),
            feature: feature_in(&ask.said).to_owned(),
            has_tools: ask.has_tools(),
            turn: ask.turns,
            fault,
            usage,
        });
        (kept.log.len() as u64, reply, usage)
    }

    /// What is no request to a model: clients ask whether anybody is there, or count tokens.
    fn turn_away(&self, stream: &TcpStream, request: &Request, at: u64) {
        let text = String::from_utf8_lossy(&request.body);
        let (status, body) = match request.path.as_str() {
            path if path.ends_with("/count_tokens") => {
                (200, format!("{{\"input_tokens\": {}}}", tokens(&text)))
            }
            _ => (404, "{\"error\": {\"message\": \"not here\"}}".to_owned()),
        };
        self.kept().log.push(Served {
            at,
            path: format!("{} {}", request.method, request.path),
            feature: String::new(),
            has_tools: false,
            turn: 0,
            fault: None,
            usage: Usage::default(),
        });
        Answer(stream).whole(status, &[], &body);
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn counted(cache: &mut Cache, ask: &Ask, say: &Say) -> Usage {
    let name = format!("{:?} {}", ask.api, ask.model);
    let mut usage = cache.take(&name, &ask.blocks);
    if ask.api != Api::Messages {
        // These do not tell what is written: it is input as any other.
        usage.input += std::mem::take(&mut usage.cache_write);
    }
    usage.output = tokens(&say.text());
    usage
}

/// The feature that a prompt of harness's is about.
pub(crate) fn feature_in(said: &str) -> &str {
    let line = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Feature: "));
    line.unwrap_or_default().trim()
}

fn say_all(stream: &TcpStream, ask: &Ask, number: u64, say: &Say, usage: Usage) {
    let mut answer = Answer(stream);
    if !ask.streams {
        answer.whole(200, &[], &wire::whole(ask, number, say, usage).to_string());
        return;
    }
    answer.stream();
    for piece in wire::pieces(ask, number, say, usage) {
        answer.piece(&piece);
    }
    answer.end();
}

fn fail(stream: &TcpStream, ask: &Ask, number: u64, fault: Fault) {
    let mut answer = Answer(stream);
    if let Some((status, headers, body)) = fault.refusal(ask.api) {
        answer.whole(status, &headers, &body.to_string());
        return;
    }
    match fault {
        Fault::Garbage => {
            answer.stream();
            answer.piece("event: message_start\ndata: {\"type\": \"mess}\n\n<html>\n\n");
            answer.end();
        }
        Fault::Broken | Fault::Stall => {
            let say = Say::Text("I am about to begin.".to_owned());
            let pieces = wire::pieces(ask, number, &say, Usage::default());
            answer.stream();
            pieces[..pieces.len() / 2]
                .iter()
                .for_each(|piece| answer.piece(piece));
        }
        _ => {}
    }
    if matches!(fault, Fault::Hang | Fault::Stall) {
        // Until the other side gives up, or the model is dropped.
        let mut stream = stream;
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }
}
