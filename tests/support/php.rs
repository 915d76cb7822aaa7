//! PHP with a stand-in for Piwigo's `i.php`, as a FastCGI server for nginx or a wrapper for mod_fcgid.

use std::path::PathBuf;

use super::process::{self, Endpoint, Server};
use super::sandbox::Sandbox;

/// Says which derivative the request asks for, by the rules by which Piwigo's `i.php` reads a request. With
/// `ajaxload=true` it says the derivative's URL, by the rules by which Piwigo finds its own URL
/// (`get_absolute_root_url`).
pub const I_PHP: &str = r#"<?php
header('X-Made-By: i.php');
$query = isset($_SERVER['QUERY_STRING']) ? $_SERVER['QUERY_STRING'] : '';
$info = isset($_SERVER['PATH_INFO']) ? $_SERVER['PATH_INFO'] : '';
$end = strpos($query, '&');
if (isset($_GET['b'])) header('Cache-control: no-store, max-age=100');
$asked = $info !== '' ? $info : rawurldecode($end ? substr($query, 0, $end) : $query);
if (($_GET['ajaxload'] ?? '') == 'true') {
  $own = $_SERVER['SCRIPT_NAME'];
  if (!empty($_SERVER['REDIRECT_SCRIPT_NAME'])) {
    $own = $_SERVER['REDIRECT_SCRIPT_NAME'];
  } elseif (isset($_SERVER['REDIRECT_URL'])) {
    $own = $_SERVER['REDIRECT_URL'];
  }
  $base = 'http://' . $_SERVER['HTTP_HOST'] . rtrim(substr($own, 0, strrpos($own, '/')), '/') . '/';
  echo json_encode(['url' => $base . '_data/i/' . ltrim($asked, '/')]);
  exit;
}
header('Content-Type: text/plain');
echo "made by i.php: $asked\n";
echo "query=$query\npath_info=$info\nmethod={$_SERVER['REQUEST_METHOD']}\n";
echo "script={$_SERVER['SCRIPT_NAME']}\nuri={$_SERVER['REQUEST_URI']}\n";
echo 'body=' . strlen(file_get_contents('php://input')) . "\n";
"#;

/// Stands for any other page of the gallery.
pub const INDEX_PHP: &str = "<?php\nheader('Content-Type: text/html');\necho \"a page of Piwigo\\n\";\n";

/// Sends downloads with the headers that PHP gives Piwigo's own (`session_cache_limiter('public')`).
pub const ACTION_PHP: &str = r#"<?php
header('Cache-Control: public, max-age=10800');
header('Expires: ' . gmdate('D, d M Y H:i:s', time() + 10800) . ' GMT');
http_response_code(isset($_GET['refuse']) ? 401 : 200);
header('X-Query: ' . (isset($_SERVER['QUERY_STRING']) ? $_SERVER['QUERY_STRING'] : ''));
header('X-Script: ' . basename($_SERVER['SCRIPT_NAME']) . ' ' . $_SERVER['REQUEST_METHOD']);
echo "action.php of Piwigo\n";
if (!empty($_SERVER['REMOTE_USER'])) echo "as {$_SERVER['REMOTE_USER']}\n";
"#;

/// A running `php-cgi`, which answers one request at a time.
pub struct PhpFcgi {
    server: Server,
}

impl PhpFcgi {
    /// Writes the stand-in scripts into the gallery and serves them at [`Sandbox::php_socket`].
    pub fn start(sandbox: &Sandbox) -> Self {
        write_scripts(sandbox);
        let socket = sandbox.php_socket();
        let mut command = sandbox.command(program());
        command
            .arg("-n")
            .arg("-b")
            .arg(&socket)
            .env("PHP_FCGI_MAX_REQUESTS", "0")
            .current_dir(sandbox.path());
        let log = sandbox.path().join("log/php.log");
        let server = Server::start("php-cgi", command, &log, &Endpoint::Unix(socket));
        Self { server: server.unwrap_or_else(|log| panic!("{log}")) }
    }

    pub fn id(&self) -> u32 {
        self.server.id()
    }
}

/// Writes the stand-ins for `i.php`, `action.php` and `index.php`.
pub fn write_scripts(sandbox: &Sandbox) {
    sandbox.write("gallery/i.php", I_PHP);
    sandbox.write("gallery/index.php", INDEX_PHP);
    sandbox.write("gallery/action.php", ACTION_PHP);
}

/// The path of `php-cgi`.
pub fn program() -> PathBuf {
    process::find_program(&["php-cgi", "php-cgi8.2", "php-cgi8.4"]).expect("php-cgi")
}
