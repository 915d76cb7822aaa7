//! A FastCGI client on one connection, for tests without a web server.

use fastcgi_client::{Client, Params, Request, io};
use tokio::io::{AsyncRead, AsyncWrite};

/// The reply to one request without a body.
///
/// The client library ends STDIN twice. A gate that closes the connection after its reply can close it before
/// the second end arrives (EPIPE), so the request asks to keep the connection open, and this function closes
/// it.
pub async fn ask(stream: impl AsyncRead + AsyncWrite + Unpin, params: Params<'_>) -> String {
    let request = Request::new(params, io::empty());
    let reply = Client::new_keep_alive_tokio(stream).execute(request).await.expect("a reply");
    assert!(reply.stderr.is_none(), "FCGI_STDERR is not used: {:?}", reply.stderr);
    String::from_utf8(reply.stdout.expect("FCGI_STDOUT")).expect("a head in ASCII")
}
