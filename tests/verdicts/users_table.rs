//! A Piwigo whose accounts are another program's: `users_table` and `user_fields`. Real MariaDB throughout.

use crate::support::mariadb;
use crate::support::scene::Scene;
use crate::support::verdicts::{every_verdict, gate};
use piwigo_gate::gate::Gate;
use piwigo_gate::settings::{Options, Settings};
use piwigo_gate::verdict::access::Admins;

/// Moves Piwigo's accounts into a forum's database, with other names for all columns.
const FORUM: &str = "CREATE DATABASE forum;
    RENAME TABLE piwigo.piwigo_users TO forum.members;
    ALTER TABLE forum.members
      CHANGE id member_no INT UNSIGNED NOT NULL,
      CHANGE username login VARCHAR(100) COLLATE utf8mb3_bin,
      CHANGE password pass_hash VARCHAR(255),
      CHANGE mail_address mail VARCHAR(255);
    GRANT SELECT ON forum.members TO gate@localhost;";

const CONFIG: &str = "<?php
$conf['enable_formats'] = true;
$conf['users_table'] = 'forum.members';
$conf['user_fields'] = array(
  'id' => 'member_no', 'username' => 'login', 'password' => 'pass_hash', 'email' => 'mail',
);
";

/// The sentence with which a gate does not open.
async fn refusal(scene: &Scene) -> String {
    let options = Options { gallery: Some(scene.sandbox.gallery()), ..Options::default() };
    match Gate::open(Settings::resolve(options, None).unwrap()).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn every_verdict_with_accounts_in_another_programs_table() {
    let scene = Scene::start();
    scene.database.sql_as_root(FORUM);
    scene.sandbox.write("gallery/local/config/config.inc.php", CONFIG);
    let options = Options { admins: Some(Admins::Strict), ..Options::default() };
    every_verdict(&gate(&scene.sandbox, options).await, &scene.world).await;
}

#[tokio::test]
async fn every_verdict_with_a_mapped_column_in_piwigos_database() {
    let scene = Scene::start();
    // No quotes in the name, but characters that need them in SQL.
    scene.database.sql(
        "RENAME TABLE piwigo_users TO `my-accounts`; ALTER TABLE `my-accounts` CHANGE id `uid` MEDIUMINT UNSIGNED;",
    );
    scene.sandbox.write(
        "gallery/local/config/config.inc.php",
        "<?php\n$conf['users_table'] = 'my-accounts';\n$conf['user_fields']['id'] = 'uid';\n",
    );
    // As Piwigo's own file has it.
    scene.sandbox.write(
        "gallery/include/config_default.inc.php",
        "<?php\n$conf['user_fields'] = array(\n  'id' => 'id', 'username' => 'username', 'password' => 'password',\n\
         'email' => 'mail_address');\n",
    );
    let options = Options { admins: Some(Admins::Strict), ..Options::default() };
    every_verdict(&gate(&scene.sandbox, options).await, &scene.world).await;
}

#[tokio::test]
async fn a_table_or_column_that_is_not_there_is_named() {
    let scene = Scene::start();
    scene.database.sql_as_root(FORUM);
    let table = [
        (CONFIG.replace("forum.members", "forum.users"), "there is no table forum.users"),
        (CONFIG.replace("member_no", "id"), "the table forum.members has no column id"),
        (CONFIG.replace("'forum.members'", "null"), "there is no table piwigo_users"),
        (CONFIG.replace("forum.members", "forum.mem`bers"), "cannot be a table's name"),
    ];
    for (config, names) in table {
        scene.sandbox.write("gallery/local/config/config.inc.php", &config);
        let said = refusal(&scene).await;
        assert!(said.contains(names), "{said}");
    }
    scene.sandbox.write("gallery/local/config/config.inc.php", CONFIG);
    scene.database.sql_as_root("REVOKE SELECT ON forum.members FROM gate@localhost");
    let said = refusal(&scene).await;
    assert!(said.contains("there is no table forum.members") && said.contains("grant"), "{said}");
    assert!(!said.contains(mariadb::PASSWORD), "{said}");
}
