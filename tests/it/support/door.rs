//! A way to a server that can be shut, and that can hide something that the server says: for fail-over, and for servers that
//! lack what the one in the tests has.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a door leads.
#[derive(Clone)]
pub enum To {
    /// A port of this host.
    Port(u16),
    /// A socket file.
    Socket(PathBuf),
}

/// A port whose connections go on to a server.
pub struct Door {
    /// `ldap://127.0.0.1:PORT`.
    pub url: String,
    open: Arc<AtomicBool>,
}

type Half<T> = Box<T>;

impl Door {
    /// Opens one. Of what the server says `hides` becomes something else of the same length.
    pub fn open(to: To, hides: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ldap://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let open = Arc::new(AtomicBool::new(true));
        let is_open = open.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Shut: whoever knocks is turned away.
                if is_open.load(Ordering::SeqCst) {
                    let _ = carry(&client, &to, hides);
                }
            }
        });
        Self { url, open }
    }

    /// From now on nobody comes in.
    pub fn shut(&self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

fn carry(client: &TcpStream, to: &To, hides: Option<&'static str>) -> std::io::Result<()> {
    let (mut from_server, mut to_server): (Half<dyn Read + Send>, Half<dyn Write + Send>) = match to {
        To::Port(port) => {
            let server = TcpStream::connect(("127.0.0.1", *port))?;
            (Box::new(server.try_clone()?), Box::new(server))
        }
        To::Socket(path) => {
            let server = UnixStream::connect(path)?;
            (Box::new(server.try_clone()?), Box::new(server))
        }
    };
    let (mut from_client, mut to_client) = (client.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
    });
    std::thread::spawn(move || {
        let mut octets = vec![0; 1 << 20];
        while let Ok(n) = from_server.read(&mut octets) {
            let said = &mut octets[..n];
            if let Some(hidden) = hides {
                let places: Vec<usize> =
                    said.windows(hidden.len()).enumerate().filter(|(_, w)| *w == hidden.as_bytes()).map(|(i, _)| i).collect();
                places.into_iter().for_each(|i| said[i + hidden.len() - 1] = b'0');
            }
            if n == 0 || to_client.write_all(said).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    Ok(())
}
