//! A socket belongs to the network namespace in which it was made, whoever uses it. Here one `call` makes a listener in
//! a new namespace. Only sockets that are made in the same namespace can reach it.
//!
//! An ordinary user can run it if user namespaces are allowed.

use clone_trampoline::{Builder, SafeFlags};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let builder = Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::NEWNET);
    let (listener, mut client) = builder.call(|| {
        raise_loopback()?;
        let listener = TcpListener::bind(("127.0.0.1", 80))?;
        let client = TcpStream::connect(("127.0.0.1", 80))?;
        std::io::Result::Ok((listener, client))
    })??;
    println!("outside, with a listener at {} of a namespace that is nobody's", listener.local_addr()?);

    let (mut server, peer) = listener.accept()?;
    client.write_all(b"hello")?;
    let mut text = [0; 5];
    server.read_exact(&mut text)?;
    println!("{} from {}", String::from_utf8_lossy(&text), peer.ip());
    Ok(())
}

/// Does the same as `ip link set lo up`.
fn raise_loopback() -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: `request` has the type that SIOCSIFFLAGS reads.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
