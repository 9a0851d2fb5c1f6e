//! As much of HTTP/1.1 as clients of a model speak: one request a connection, and answers that end with it.
//!
//! Knows nothing of models.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// What was asked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without what stands behind a question mark.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads one; `None` if the other side went away or speaks something else.
    pub(crate) fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let first = line(&mut reader)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?);
        let path = path.split('?').next()?.to_owned();
        let mut headers = Vec::new();
        loop {
            let line = line(&mut reader)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self {
            method,
            path,
            headers,
            body: Vec::new(),
        };
        if request.header("expect").is_some() {
            let mut stream = stream;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        request.body = request.read_body(&mut reader)?;
        Some(request)
    }

    /// The value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        all.find(|(is, _)| is == name)
            .map(|(_, value)| value.as_str())
    }

    fn read_body(&self, reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = line(reader)?;
                let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
                let mut chunk = vec![0; size];
                reader.read_exact(&mut chunk).ok()?;
                line(reader)?;
                if size == 0 {
                    return Some(body);
                }
                body.append(&mut chunk);
            }
        }
        let length = self.header("content-length").unwrap_or("0");
        body.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut body).ok()?;
        Some(body)
    }
}

fn line(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Where the answer goes. What the other side does not take any more is not missed.
pub(crate) struct Answer<'a>(pub &'a TcpStream);

impl Answer<'_> {
    /// A whole answer.
    pub(crate) fn whole(&mut self, status: u16, headers: &[(&str, String)], body: &str) {
        let length = [("content-length", body.len().to_string())];
        self.head(status, "application/json", headers.iter().chain(&length));
        self.write(body);
    }

    /// The beginning of an answer that comes in pieces.
    pub(crate) fn stream(&mut self) {
        let chunked = [("transfer-encoding", "chunked".to_owned())];
        self.head(200, "text/event-stream", chunked.iter());
    }

    /// A piece of it.
    pub(crate) fn piece(&mut self, text: &str) {
        self.write(&format!("{:x}\r\n{text}\r\n", text.len()));
    }

    /// Its end. An answer without one was cut off.
    pub(crate) fn end(&mut self) {
        self.write("0\r\n\r\n");
    }

    fn write(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes());
    }

    fn head<'h>(
        &mut self,
        status: u16,
        kind: &str,
        headers: impl Iterator<Item = &'h (&'h str, String)>,
    ) {
        let mut head = format!(
            "HTTP/1.1 {status} {}\r\ncontent-type: {kind}\r\nconnection: close\r\nrequest-id: req_loopback\r\n",
            if status < 300 { "OK" } else { "Refused" }
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.write(&(head + "\r\n"));
    }
}
