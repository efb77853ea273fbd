//! A proxy (HTTP CONNECT) that breaks connections to the push server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens to the next connection to the push server. Later ones work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It is closed at once.
    Refuse,
    /// It is accepted and never answered.
    Hang,
    /// The answer comes one byte at a time.
    Dribble,
    /// After the first bytes of the answer nothing is read or written.
    StopReading,
    /// The answer is rubbish.
    Garbage,
}

pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    fault: Mutex<Option<Fault>>,
    /// How many more bytes reach the client before its connection to the push server is cut.
    cut: Mutex<Option<usize>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let proxy = Proxy { address, shared: shared.clone() };
        // Ends with the test process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = shared.clone();
                // A connection that breaks is what this proxy is for.
                thread::spawn(move || shared.serve(client).ok());
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn break_next(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = Some(fault);
    }

    /// Whether the fault still waits for a connection.
    pub fn is_armed(&self) -> bool {
        self.shared.fault.lock().unwrap().is_some() || self.shared.cut.lock().unwrap().is_some()
    }

    /// Cuts the connection to the push server after this many more bytes have come from there.
    pub fn cut_after(&self, bytes: usize) {
        *self.shared.cut.lock().unwrap() = Some(bytes);
    }

    pub fn disarm(&self) {
        *self.shared.cut.lock().unwrap() = None;
    }

    /// Cuts every connection, to the portal too.
    pub fn cut_all(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let head = read_head(&mut client)?;
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut server = TcpStream::connect(target)?;
        server.set_nodelay(true)?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        {
            let mut open = self.open.lock().unwrap();
            open.retain(|stream| stream.peer_addr().is_ok());
            open.extend([client.try_clone()?, server.try_clone()?]);
        }
        let request = read_head(&mut client)?;
        let push = ["GET /sub", "GET /bitrix/sub"].iter().any(|path| request.starts_with(path));
        let fault = if push { self.fault.lock().unwrap().take() } else { None };
        let mut rest = Vec::new();
        match fault {
            Some(Fault::Refuse) => return client.shutdown(Shutdown::Both),
            Some(Fault::Hang) => return client.read_to_end(&mut rest).map(drop),
            Some(Fault::Garbage) => {
                client.write_all(&[0xff, 0x00, b'\r', b'\n', 0x81, b'!'].repeat(50))?;
                return client.shutdown(Shutdown::Both);
            }
            _ => {}
        }
        server.write_all(request.as_bytes())?;
        let up = (client.try_clone()?, server.try_clone()?);
        let upstream = thread::spawn(move || {
            let (mut client, mut server) = up;
            let _ = io::copy(&mut client, &mut server);
            let _ = server.shutdown(Shutdown::Both);
        });
        let down = self.downstream(&mut server, &mut client, push, fault);
        if fault != Some(Fault::StopReading) {
            let _ = server.shutdown(Shutdown::Both);
            let _ = client.shutdown(Shutdown::Both);
            let _ = upstream.join();
        }
        down
    }

    fn downstream(
        &self,
        server: &mut TcpStream,
        client: &mut TcpStream,
        push: bool,
        fault: Option<Fault>,
    ) -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let count = server.read(&mut bytes)?;
            if count == 0 {
                return Ok(());
            }
            let mut some = &bytes[..count];
            if fault == Some(Fault::StopReading) {
                return client.write_all(&some[..count.min(20)]);
            }
            let mut last = false;
            if push {
                let mut cut = self.cut.lock().unwrap();
                if let Some(left) = *cut {
                    last = left <= count;
                    some = &some[..left.min(count)];
                    *cut = (!last).then(|| left - count);
                }
            }
            if fault == Some(Fault::Dribble) {
                some.chunks(1).try_for_each(|byte| client.write_all(byte))?;
            } else {
                client.write_all(some)?;
            }
            if last {
                return Ok(());
            }
        }
    }
}

/// Up to the empty line.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).map_err(io::Error::other)
}
