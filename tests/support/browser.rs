//! Headless Chromium with one tab, controlled by the `DevTools` protocol: messages that end with a zero byte,
//! over two pipes. This needs no port and no `WebSocket`, and the browser ends when its pipe is closed,
//! however the test ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::process;
use super::sandbox::Sandbox;

/// Maximum time for a message of the browser, on a slow and busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Every page here is the demo's own, so the browser runs without its own sandbox, which needs rights that a
/// container does not have. The other flags turn off the first-run page and the browser's own traffic.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--window-size=1240,1000",
    "--remote-debugging-pipe",
];

/// A running browser.
pub struct Browser {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    session: String,
    last_id: u64,
    /// Events of the browser that no call has taken yet.
    events: Vec<Value>,
    downloads: PathBuf,
}

impl Browser {
    /// Starts the browser with an empty profile in the sandbox, and opens an empty tab.
    pub fn start(sandbox: &Sandbox) -> Self {
        let program = process::find_program(&["chromium", "google-chrome", "google-chrome-stable"])
            .expect("the page of the demo is tested in Chromium");
        let profile = tempfile::Builder::new()
            .prefix("browser-")
            .tempdir_in(sandbox.path())
            .expect("a directory in the sandbox")
            .keep();
        sandbox.hand_over(&profile);
        // The protocol's pipes are descriptors 3 (to the browser) and 4 (from it).
        let mut child = sandbox
            .command("/bin/sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .current_dir(&profile)
            .env("HOME", &profile)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(profile.join("log")).expect("a file in the sandbox"))
            .spawn()
            .expect("the browser starts");
        let (sender, from) = channel();
        let mut pipe = BufReader::new(child.stdout.take().expect("a pipe"));
        thread::spawn(move || {
            let mut message = Vec::new();
            while pipe.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                let value = serde_json::from_slice(&message).expect("JSON from the browser");
                message.clear();
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let to = child.stdin.take();
        let downloads = profile.join("downloads");
        let mut browser =
            Self { child, to, from, session: String::new(), last_id: 0, events: Vec::new(), downloads };
        browser.open_tab();
        browser
    }

    fn open_tab(&mut self) {
        let target = self.command("Target.createTarget", &json!({"url": "about:blank"}));
        let attached =
            self.command("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        attached["sessionId"].as_str().expect("a session").clone_into(&mut self.session);
        for domain in ["Page", "Network", "Log", "Runtime"] {
            self.command(&format!("{domain}.enable"), &json!({}));
        }
        let to = json!({"behavior": "allow", "downloadPath": self.downloads, "eventsEnabled": true});
        self.command("Browser.setDownloadBehavior", &to);
    }

    /// The directory of downloads.
    pub fn downloads(&self) -> &Path {
        &self.downloads
    }

    /// Goes to a URL as if a visitor had typed it, and waits until the page has loaded.
    pub fn open(&mut self, url: &str) {
        self.forget("Page.loadEventFired");
        self.command("Page.navigate", &json!({"url": url}));
        self.wait_for("Page.loadEventFired");
        // The event may belong to the tab's first, empty page.
        let is_there = "document.readyState === 'complete' && location.href !== 'about:blank'";
        process::wait_until(url, || self.evaluate(is_there) == true);
    }

    /// Gives the tab this width and height in CSS pixels, as on a device without a window frame.
    pub fn resize(&mut self, width: u32, height: u32) {
        let device = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
        self.command("Emulation.setDeviceMetricsOverride", &device);
    }

    /// Goes back in the tab's history.
    pub fn back(&mut self) {
        self.forget("Page.loadEventFired");
        self.evaluate("history.back()");
        self.wait_for("Page.loadEventFired");
    }

    /// Clicks a link with the mouse and waits until the page behind it has loaded.
    pub fn follow(&mut self, selector: &str) {
        self.forget("Page.loadEventFired");
        self.click(selector);
        self.wait_for("Page.loadEventFired");
    }

    /// Clicks a link with the mouse, waits until the browser has saved the file, and returns the name that
    /// the browser gave it.
    pub fn download(&mut self, selector: &str) -> String {
        self.click(selector);
        let begun = self.wait_for("Browser.downloadWillBegin");
        loop {
            let progress = self.wait_for("Browser.downloadProgress");
            match progress["state"].as_str() {
                Some("completed") => break,
                Some("inProgress") => {}
                other => panic!("{selector}: the download is {other:?}"),
            }
        }
        begun["suggestedFilename"].as_str().expect("a name").to_owned()
    }

    /// Presses and releases the mouse in the middle of the one element that `selector` finds.
    fn click(&mut self, selector: &str) {
        let found = self.evaluate(&format!(
            "(() => {{
                const all = document.querySelectorAll({selector:?});
                all[0]?.scrollIntoView({{block: 'center', behavior: 'instant'}});
                const box = all[0]?.getBoundingClientRect();
                return [all.length, box?.x + box?.width / 2, box?.y + box?.height / 2];
            }})()"
        ));
        assert_eq!(found[0], 1, "{selector}");
        for kind in ["mousePressed", "mouseReleased"] {
            let at = json!({"type": kind, "x": found[1], "y": found[2], "button": "left", "clickCount": 1});
            self.command("Input.dispatchMouseEvent", &at);
        }
    }

    /// The value of an expression in the page's language; the value of a promise is awaited.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let mut answer = self.command("Runtime.evaluate", &asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// What the console got since the last call: exceptions, messages, and resources that did not load. Each
    /// has its URL, or an empty text.
    pub fn console(&mut self) -> Vec<(String, String)> {
        let mut said = Vec::new();
        self.events.retain(|event| {
            let (text, url) = match event["method"].as_str() {
                Some("Log.entryAdded") => {
                    let entry = &event["params"]["entry"];
                    (entry["text"].clone(), entry["url"].as_str().unwrap_or_default())
                }
                Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled") => (event["params"].clone(), ""),
                _ => return true,
            };
            said.push((text.as_str().map_or_else(|| text.to_string(), str::to_owned), url.to_owned()));
            false
        });
        said
    }

    /// Drops earlier events of this name.
    fn forget(&mut self, name: &str) {
        self.events.retain(|event| event["method"] != name);
    }

    /// The parameters of the first event of this name.
    fn wait_for(&mut self, name: &str) -> Value {
        loop {
            if let Some(index) = self.events.iter().position(|event| event["method"] == name) {
                return self.events.remove(index)["params"].take();
            }
            let event = self.receive(name);
            self.events.push(event);
        }
    }

    fn command(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if !self.session.is_empty() && !method.starts_with("Browser.") {
            message["sessionId"] = json!(self.session);
        }
        let to = self.to.as_mut().expect("the pipe is open until the end");
        to.write_all(format!("{message}\0").as_bytes()).expect("the browser reads");
        loop {
            let mut answer = self.receive(method);
            if answer["id"] == self.last_id {
                assert!(answer.get("error").is_none(), "{message}: {answer}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    fn receive(&mut self, wanted: &str) -> Value {
        self.from.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            let log = self.downloads.with_file_name("log");
            panic!(
                "the browser says nothing about {wanted} ({error}):\n{}",
                std::fs::read_to_string(log).unwrap_or_default()
            )
        })
    }
}

impl Drop for Browser {
    /// Closes the pipe, which ends the browser and its helpers.
    fn drop(&mut self) {
        self.to = None;
        process::wait_or_kill(&mut self.child);
    }
}
