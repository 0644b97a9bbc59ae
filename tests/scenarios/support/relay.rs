//! A way between two boxes that a test cuts: connections that come to it go on to where it leads, until they are cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A relay on loopback. What is connected through it ends with it.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// Leads to that address.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its port");
        let open = Arc::<Mutex<Vec<TcpStream>>>::default();
        let theirs = Arc::downgrade(&open);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Some(open) = theirs.upgrade() else { return };
                let Ok(far) = TcpStream::connect(target) else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone(), to.try_clone());
                    if let (Ok(from), Ok(to)) = (from, to) {
                        std::thread::spawn(move || carry(from, to));
                    }
                }
                open.lock().expect("no panic").extend([near, far]);
            }
        });
        Self { address, open }
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection in the middle of whatever it carries. Gives how many there were.
    pub fn cut(&self) -> usize {
        let open = std::mem::take(&mut *self.open.lock().expect("no panic"));
        for stream in &open {
            // One that is over already has nothing left to end.
            let _ = stream.shutdown(Shutdown::Both);
        }
        open.len() / 2
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
