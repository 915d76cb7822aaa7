//! Configuration files of galleries as their owners write them, and what can be known from them without PHP.

use piwigo_gate::piwigo::php::config::{MAX_SOURCE_BYTES, PhpConfig};
use piwigo_gate::piwigo::php::value::{PhpKey, PhpValue};
use proptest::prelude::*;

/// `<?php` and the code, read as a file called `config.inc.php` that follows Piwigo's defaults.
fn read(code: &str) -> PhpConfig {
    let mut config = PhpConfig::new();
    config.read(
        "defaults.php",
        b"<?php $conf['ext'] = array('jpg', 'png'); $conf['name'] = 'pwg'; $conf['on'] = true;",
    );
    config.read("config.inc.php", format!("<?php\n{code}").as_bytes());
    config
}

/// A value as PHP would write it, briefly.
fn show(value: &PhpValue) -> String {
    match value {
        PhpValue::Null => "null".into(),
        PhpValue::Bool(bool) => bool.to_string(),
        PhpValue::Int(int) => int.to_string(),
        PhpValue::Float(float) => format!("{float:?}"),
        PhpValue::Bytes(bytes) => format!("'{}'", bytes.escape_ascii()),
        PhpValue::Array(array) => {
            let elements = array.iter().map(|(key, value)| match key {
                PhpKey::Int(key) => format!("{key}=>{}", show(value)),
                PhpKey::Bytes(key) => format!("{}=>{}", key.escape_ascii(), show(value)),
            });
            format!("[{}]", elements.collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

/// `$conf[key]`: its value, `unset`, or the line of what was not understood.
fn conf(config: &PhpConfig, key: &str) -> String {
    match config.conf(key) {
        Ok(value) => value.map_or("unset".into(), show),
        Err(error) => format!("{}:{}", error.file, error.line),
    }
}

fn constant(config: &PhpConfig, name: &str) -> String {
    match config.constant(name) {
        Ok(value) => value.map_or("unset".into(), show),
        Err(error) => format!("{}:{}", error.file, error.line),
    }
}

#[test]
fn the_files_that_piwigo_installs_are_understood() {
    let mut config = PhpConfig::new();
    config.read(
        "database.inc.php",
        b"<?php\n$conf['dblayer'] = 'mysqli';\n$conf['db_base'] = 'piwigo';\n$conf['db_user'] = 'piwigo';\n\
          $conf['db_password'] = 'it\\'s \\\\ a $ecret';\n$conf['db_host'] = 'localhost:3307';\n\n\
          $prefixeTable = 'piwigo_';\n\ndefine('PHPWG_INSTALLED', true);\ndefine('PWG_CHARSET', 'utf-8');\n\
          define('DB_CHARSET', 'utf8');\ndefine('DB_COLLATE', '');\n\n?>",
    );
    assert_eq!(conf(&config, "db_password"), r"'it\'s \\ a $ecret'");
    assert_eq!(conf(&config, "db_host"), "'localhost:3307'");
    assert_eq!(config.table_prefix(), Ok(Some("piwigo_")));
    assert_eq!(constant(&config, "PHPWG_INSTALLED"), "true");
    assert_eq!(constant(&config, "DB_CHARSET"), "'utf8'");
    assert_eq!(conf(&config, "users_table"), "unset");
    assert_eq!(constant(&config, "USERS_TABLE"), "unset");
}

#[test]
fn what_is_written_out_has_its_value() {
    let table = [
        ("$conf['k'] = 'v';", "'v'"),
        ("$conf[\"k\"] = \"v\\n\\x41\";", "'v\\nA'"),
        ("$conf['k'] = -0x10;", "-16"),
        ("$conf['k'] = 60*60*24 - 1;", "86399"),
        ("$conf['k'] = 1.5;", "1.5"),
        ("$conf['k'] = TRUE;", "true"),
        ("$conf['k'] = Null;", "null"),
        ("$conf['k'] = ('v');", "'v'"),
        ("$conf['k'] = 'a' . 1 . true . null . \"b\";", "'a11b'"),
        ("$conf['k'] = $conf['name'] . '_x';", "'pwg_x'"),
        ("$conf['k'] = $conf['ext'][1];", "'png'"),
        ("$prefixeTable = 'p_'; $conf['k'] = $prefixeTable.'users';", "'p_users'"),
        ("define('DIR', './photos'); $conf['k'] = DIR . '/';", "'./photos/'"),
        ("const DIR = 'photos'; $conf['k'] = \\DIR;", "'photos'"),
        ("$conf['k'] = array();", "[]"),
        (
            "$conf['k'] = array(1, 'a' => array(2), 5 => 'x', '7' => [3, ], 'y');",
            "[0=>1 a=>[0=>2] 5=>'x' 7=>[0=>3] 8=>'y']",
        ),
        (
            "$conf['k'] = array_merge($conf['ext'], array('tif', 'a' => 1), ['a' => 2]);",
            "[0=>'jpg' 1=>'png' 2=>'tif' a=>2]",
        ),
        ("$conf['k'] = 'first'; $conf['k'] = 'last';", "'last'"),
        ("$conf['k'] = null; $conf['k'][] = 'a'; $conf['k']['b']['c'] = 1;", "[0=>'a' b=>[c=>1]]"),
        ("// $conf['k'] = 1;\n# $conf['k'] = 2;\n/* $conf['k'] = 3; */", "unset"),
        ("?> $conf['k'] = 1; <?php", "unset"),
        ("echo '$conf[k] = 1;';", "unset"),
        ("$conf['k'] = 'v' ?>", "'v'"),
        ("if (rand()) { $conf['k'] = 1; } $conf['k'] = 2;", "2"),
        ("$x = $conf['k']; echo isset($conf['k']) ? count($conf['k']) : in_array(1, $conf['k']);", "unset"),
        ("if (!defined('PHPWG_ROOT_PATH')) die('Hacking attempt!'); $conf['k'] = 1;", "1"),
        ("function f() { return 1; } $conf['k'] = 1;", "1"),
        ("foreach ($conf as $key => $value) echo $key; $conf['k'] = 1;", "1"),
        ("$object->conf = 5; Some::$conf['k'] = 5; $conf['k'] = 1;", "1"),
    ];
    for (code, value) in table {
        assert_eq!(conf(&read(code), "k"), value, "{code}");
    }
}

#[test]
fn what_only_running_tells_is_an_error_with_its_place() {
    for code in [
        "$conf['k'] = strtolower('V');",
        "$conf['k'] = getenv('K') ?: 'v';",
        "$conf['k'] = $x;",
        "$conf['k'] = \"v$x\";",
        "$conf['k'] = UNKNOWN_CONSTANT;",
        "$conf['k'] = __DIR__;",
        "$conf['k'] = $conf['never_set'];",
        "$conf['k'] = (int) '5';",
        "$conf['k'] = ['a', ...$x];",
        "$conf['k'] = <<<EOT\nv\nEOT;",
        "$conf['k'] = include 'k.php';",
        "$conf['k'] = $conf['other'] = 1;",
        "$conf['other'] = $conf['k'] = 1;",
        "$conf['k'] .= 'v';",
        "$conf['k'] ??= 'v';",
        "$conf['k']++;",
        "$conf['k'][] = 'added to an unknown default';",
        "$conf['k'] = 'text'; $conf['k']['x'] = 'y';",
        "unset($conf['k']);",
        "@$conf['k'] = 1;",
        "if ($x) $conf['k'] = 1;",
        "if ($x) { $conf['k'] = 1; }",
        "if ($x): $y = 1; $conf['k'] = 1; endif;",
        "if ($x) { } else $conf['k'] = 1;",
        "foreach ($x as $conf['k']) { }",
        "foreach ($conf['k'] as &$x) { }",
        "switch ($x) { case 1: $conf['k'] = 1; }",
        "function f() { global $conf; $conf['k'] = 1; }",
        "list($conf['k'], $x) = $y;",
        "[$x, [$conf['k']]] = $y;",
        "$x = &$conf['k'];",
        "array_push($conf['k'], 1);",
        "$x->method($conf['k']);",
        "$GLOBALS['conf']['k'] = 1;",
        "$GLOBALS[$x] = 1;",
        "$conf[$x] = 1;",
        "foreach ($x as $key => $value) $conf[$key] = $value;",
        "$conf = array('k' => 1);",
        "$conf += $x;",
        "unset($conf);",
        "$$x = 1;",
        "extract($x);",
        "eval($x);",
        "if ($x) return; $conf['k'] = 1;",
        "return; $conf['k'] = 1;",
        "goto end; end: ;",
        "namespace X;",
        "'open",
        "(",
    ] {
        assert_eq!(conf(&read(code), "k"), "config.inc.php:2", "{code}");
    }
    let error = read("\n$conf['k'] = f();").conf("k").unwrap_err();
    assert_eq!(
        error.to_string(),
        "config.inc.php, line 3: the value of $conf['k'] is the result of PHP code that cannot be evaluated here"
    );
}

#[test]
fn one_setting_that_is_not_understood_leaves_the_others_alone() {
    let config =
        read("$conf['bad'] = f();\n$conf['ext'][] = 'tif'; if ($x) { $conf['worse'] = 1; }\n$conf['k'] = 1;");
    let table = [
        ("bad", "config.inc.php:2"),
        ("worse", "config.inc.php:3"),
        ("k", "1"),
        ("ext", "[0=>'jpg' 1=>'png' 2=>'tif']"),
        ("name", "'pwg'"),
        ("never_set", "unset"),
    ];
    for (key, value) in table {
        assert_eq!(conf(&config, key), value, "{key}");
    }
}

#[test]
fn only_a_later_plain_assignment_makes_a_setting_known_again() {
    let table = [
        ("$conf['k'] = f(); $conf['k'] = 1;", "1"),
        ("$conf[$x] = 1; $conf['k'] = 1;", "1"),
        ("$conf['k'] = f();\n$conf['k']['x'] = 1;", "config.inc.php:2"),
        ("$conf['k'] = f();\nif ($x) $conf['k'] = 1;", "config.inc.php:3"),
        ("$x = &$conf['k']; $conf['k'] = 1; $x = 2;", "config.inc.php:2"),
        ("$conf['k'] = &$x; $conf['k'] = 1; $x = 2;", "config.inc.php:2"),
        ("function f() { $GLOBALS['conf']['k'] = 2; } $conf['k'] = 1; f();", "config.inc.php:2"),
        ("$f = function () use (&$conf) { $conf['k'] = 2; }; $conf['k'] = 1; $f();", "config.inc.php:2"),
    ];
    for (code, value) in table {
        assert_eq!(conf(&read(code), "k"), value, "{code}");
    }
}

#[test]
fn the_first_definition_of_a_constant_counts() {
    let table = [
        ("define('C', 'a');", "'a'"),
        ("@define(\"C\", 'a' . 'b');", "'ab'"),
        ("define('C', 1); define('C', 2);", "1"),
        ("if (!defined('C')) define('C', 1);", "1"),
        ("if (!defined('C')) { define('C', 1); }", "1"),
        ("defined('C') or define('C', 1); defined('C') || define('C', 2);", "1"),
        ("const C = 1;", "1"),
        ("define('C', 1); if ($x) define('C', 2);", "1"),
        ("if ($x) define('C', 2); define('C', 1);", "config.inc.php:2"),
        ("if (!defined('D')) define('C', 1);", "config.inc.php:2"),
        ("if (!defined('C')) define('C', 1); else f();", "config.inc.php:2"),
        ("define('C', f());", "config.inc.php:2"),
        ("define('C', 1, true);", "config.inc.php:2"),
        ("define($x, 1);", "config.inc.php:2"),
        ("define($x, 1); define('C', 1);", "config.inc.php:2"),
        ("const A = 1, C = 2;", "config.inc.php:2"),
        ("Some::define('C', 1);", "unset"),
    ];
    for (code, value) in table {
        assert_eq!(constant(&read(code), "C"), value, "{code}");
    }
}

#[test]
fn the_table_prefix_is_a_string_or_not_understood() {
    let table = [
        ("", Ok(None)),
        ("$prefixeTable = 'p_';", Ok(Some("p_"))),
        ("$prefixeTable = 'a'; $prefixeTable = \"b\" . 'c';", Ok(Some("bc"))),
        ("if ($x) $prefixeTable = 'a'; $prefixeTable = 'b';", Ok(Some("b"))),
        ("$prefixeTable = 5;", Err(2)),
        ("$prefixeTable = 'a'; $prefixeTable .= '_';", Err(2)),
        ("$prefixeTable = 'a';\nif ($x) { $prefixeTable = 'b'; }", Err(3)),
        ("$x = &$prefixeTable; $prefixeTable = 'a';", Err(2)),
        ("$GLOBALS['prefixeTable'] = 'a';", Err(2)),
    ];
    for (code, prefix) in table {
        let config = read(code);
        assert_eq!(config.table_prefix().map_err(|error| error.line), prefix, "{code}");
    }
}

#[test]
fn a_later_file_wins() {
    let mut config = read("$conf['k'] = 1; $conf['l'] = 1; $conf['m'] = f();");
    config.read("later.php", b"\xef\xbb\xbf<?php\n$conf['k'] = 2;\nif ($x) $conf['l'] = 2;\n$conf['m'] = 3;");
    let values = ["k", "l", "m"].map(|key| conf(&config, key));
    assert_eq!(values, ["2", "later.php:3", "3"]);
    config.set_conf("k", PhpValue::Int(5));
    assert_eq!(conf(&config, "k"), "5");
}

#[test]
fn included_files_are_named() {
    let config = read("include 'a.php';\nif ($x) { require_once(PATH . 'b.php'); }\n$conf['k'] = 1;");
    let includes: Vec<_> =
        config.includes().iter().map(|include| (include.line, include.expression.as_str())).collect();
    assert_eq!(includes, [(2, "'a.php'"), (3, "(PATH . 'b.php')")]);
    assert_eq!(conf(&config, "k"), "1");
}

#[test]
fn a_file_out_of_all_proportion_is_not_read() {
    let mut config = PhpConfig::new();
    config.read("big.php", &vec![b' '; MAX_SOURCE_BYTES + 1]);
    assert_eq!(conf(&config, "k"), "big.php:1");
    let nested = |depth| format!("$conf['k'] = {}1{};", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(conf(&read(&nested(60)), "k"), "1");
    assert_eq!(conf(&read(&nested(100)), "k"), "config.inc.php:2");
    assert_eq!(conf(&read(&nested(100_000)), "name"), "config.inc.php:2");
    let minus = format!("$conf['k'] = {}1;", "- ".repeat(100_000));
    assert_eq!(conf(&read(&minus), "k"), "config.inc.php:2");
}

#[test]
fn settings_that_grow_by_themselves_are_given_up() {
    for growth in [
        "$conf['k'] = $conf['k'] . $conf['k'];",
        "$conf['k'] = array($conf['k'], $conf['k']);",
        "$conf['k'] = array($conf['k']);",
        "$conf['k'] = array_merge(array($conf['k']), array($conf['k']));",
        "$conf['a'] = array(); $conf['a'][] = $conf['k']; $conf['k'] = $conf['a'];",
    ] {
        let config = read(&format!("$conf['k'] = 'x'; {}", growth.repeat(10_000)));
        assert_eq!(conf(&config, "k"), "config.inc.php:2", "{growth}");
    }
    let wide = |count| read(&format!("$conf['k'] = array(); {}", "$conf['k'][] = 1;".repeat(count)));
    assert!(conf(&wide(10_000), "k").ends_with(" 9999=>1]"));
    assert_eq!(conf(&wide(10_001), "k"), "config.inc.php:2");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_panics(source in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut config = PhpConfig::new();
        config.read("bytes", &source);
        let _ = (config.conf("k"), config.constant("C"), config.table_prefix());
    }

    #[test]
    fn no_code_panics(words in proptest::collection::vec(proptest::sample::select(vec![
        "$conf", "['k']", "[", "]", "(", ")", "{", "}", "=", ";", ",", "=>", "'v'", "5", "-", ".", "array", "array_merge",
        "define", "defined", "!", "if", "else", ":", "endif", "function", "f", "foreach", "as", "&", "$x", "$GLOBALS",
        "list", "unset", "return", "const", "C", "use", "class", "?>", "<?php", "\"{$", "\"", "<<<E\n", "\nE", "//", "\n",
        "include", "$", "::", "->", "namespace", "catch", "fn", "@", "or", "$prefixeTable", "switch", "case", "do", "try",
    ]), 0..40)) {
        let config = read(&words.join(" "));
        let _ = (config.conf("k"), config.constant("C"), config.table_prefix());
    }
}
