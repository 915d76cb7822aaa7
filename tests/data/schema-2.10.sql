-- The tables of Piwigo 2.10.2 that a gate reads, as its installer makes them on MariaDB or MySQL:
-- same columns, types, keys and engine; utf8mb3, with `_bin` where Piwigo says BINARY.
-- Facts: Piwigo 2.10.2, install/piwigo_structure-mysql.sql.

CREATE TABLE piwigo_config (
  param VARCHAR(40) NOT NULL DEFAULT '',
  value TEXT,
  comment VARCHAR(255) DEFAULT NULL,
  PRIMARY KEY (param)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_sites (
  id TINYINT(4) NOT NULL AUTO_INCREMENT,
  galleries_url VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY sites_ui1 (galleries_url)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_plugins (
  id VARCHAR(64) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  state ENUM('inactive','active') NOT NULL DEFAULT 'inactive',
  version VARCHAR(64) NOT NULL DEFAULT '0',
  PRIMARY KEY (id)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_categories (
  id SMALLINT(5) UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(255) NOT NULL DEFAULT '',
  id_uppercat SMALLINT(5) UNSIGNED DEFAULT NULL,
  comment TEXT,
  dir VARCHAR(255) DEFAULT NULL,
  `rank` SMALLINT(5) UNSIGNED DEFAULT NULL,
  status ENUM('public','private') NOT NULL DEFAULT 'public',
  site_id TINYINT(4) UNSIGNED DEFAULT NULL,
  visible ENUM('true','false') NOT NULL DEFAULT 'true',
  representative_picture_id MEDIUMINT(8) UNSIGNED DEFAULT NULL,
  uppercats VARCHAR(255) NOT NULL DEFAULT '',
  commentable ENUM('true','false') NOT NULL DEFAULT 'true',
  global_rank VARCHAR(255) DEFAULT NULL,
  image_order VARCHAR(128) DEFAULT NULL,
  permalink VARCHAR(64) COLLATE utf8mb3_bin DEFAULT NULL,
  lastmodified TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (id),
  UNIQUE KEY categories_i3 (permalink),
  KEY categories_i2 (id_uppercat),
  KEY lastmodified (lastmodified)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_images (
  id MEDIUMINT(8) UNSIGNED NOT NULL AUTO_INCREMENT,
  file VARCHAR(255) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  date_available DATETIME NOT NULL DEFAULT '1970-01-01 00:00:00',
  date_creation DATETIME DEFAULT NULL,
  name VARCHAR(255) DEFAULT NULL,
  comment TEXT,
  author VARCHAR(255) DEFAULT NULL,
  hit INT(10) UNSIGNED NOT NULL DEFAULT 0,
  filesize MEDIUMINT(9) UNSIGNED DEFAULT NULL,
  width SMALLINT(9) UNSIGNED DEFAULT NULL,
  height SMALLINT(9) UNSIGNED DEFAULT NULL,
  coi CHAR(4) DEFAULT NULL,
  representative_ext VARCHAR(4) DEFAULT NULL,
  date_metadata_update DATE DEFAULT NULL,
  rating_score FLOAT(5,2) UNSIGNED DEFAULT NULL,
  path VARCHAR(255) NOT NULL DEFAULT '',
  storage_category_id SMALLINT(5) UNSIGNED DEFAULT NULL,
  level TINYINT UNSIGNED NOT NULL DEFAULT 0,
  md5sum CHAR(32) DEFAULT NULL,
  added_by MEDIUMINT(8) UNSIGNED NOT NULL DEFAULT 0,
  rotation TINYINT UNSIGNED DEFAULT NULL,
  latitude DOUBLE(8,6) DEFAULT NULL,
  longitude DOUBLE(9,6) DEFAULT NULL,
  lastmodified TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (id),
  KEY images_i1 (storage_category_id),
  KEY images_i2 (date_available),
  KEY images_i3 (rating_score),
  KEY images_i4 (hit),
  KEY images_i5 (date_creation),
  KEY images_i6 (latitude),
  KEY lastmodified (lastmodified)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_image_category (
  image_id MEDIUMINT(8) UNSIGNED NOT NULL DEFAULT 0,
  category_id SMALLINT(5) UNSIGNED NOT NULL DEFAULT 0,
  `rank` MEDIUMINT(8) UNSIGNED DEFAULT NULL,
  PRIMARY KEY (image_id, category_id),
  KEY image_category_i1 (category_id)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_image_format (
  format_id INT(11) UNSIGNED NOT NULL AUTO_INCREMENT,
  image_id MEDIUMINT(8) UNSIGNED NOT NULL DEFAULT 0,
  ext VARCHAR(255) NOT NULL,
  filesize MEDIUMINT(9) UNSIGNED DEFAULT NULL,
  PRIMARY KEY (format_id)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_users (
  id MEDIUMINT(8) UNSIGNED NOT NULL AUTO_INCREMENT,
  username VARCHAR(100) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  password VARCHAR(255) DEFAULT NULL,
  mail_address VARCHAR(255) DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY users_ui1 (username)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_user_infos (
  user_id MEDIUMINT(8) UNSIGNED NOT NULL DEFAULT 0,
  nb_image_page SMALLINT(3) UNSIGNED NOT NULL DEFAULT 15,
  status ENUM('webmaster','admin','normal','generic','guest') NOT NULL DEFAULT 'guest',
  language VARCHAR(50) NOT NULL DEFAULT 'en_UK',
  expand ENUM('true','false') NOT NULL DEFAULT 'false',
  show_nb_comments ENUM('true','false') NOT NULL DEFAULT 'false',
  show_nb_hits ENUM('true','false') NOT NULL DEFAULT 'false',
  recent_period TINYINT(3) UNSIGNED NOT NULL DEFAULT 7,
  theme VARCHAR(255) NOT NULL DEFAULT 'modus',
  registration_date DATETIME NOT NULL DEFAULT '1970-01-01 00:00:00',
  enabled_high ENUM('true','false') NOT NULL DEFAULT 'true',
  level TINYINT UNSIGNED NOT NULL DEFAULT 0,
  activation_key VARCHAR(255) DEFAULT NULL,
  activation_key_expire DATETIME DEFAULT NULL,
  last_visit DATETIME DEFAULT NULL,
  last_visit_from_history ENUM('true','false') NOT NULL DEFAULT 'false',
  lastmodified TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (user_id),
  KEY lastmodified (lastmodified)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_groups (
  id SMALLINT(5) UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(255) NOT NULL DEFAULT '',
  is_default ENUM('true','false') NOT NULL DEFAULT 'false',
  lastmodified TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (id),
  UNIQUE KEY groups_ui1 (name),
  KEY lastmodified (lastmodified)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_user_group (
  user_id MEDIUMINT(8) UNSIGNED NOT NULL DEFAULT 0,
  group_id SMALLINT(5) UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (group_id, user_id)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_user_access (
  user_id MEDIUMINT(8) UNSIGNED NOT NULL DEFAULT 0,
  cat_id SMALLINT(5) UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, cat_id)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_group_access (
  group_id SMALLINT(5) UNSIGNED NOT NULL DEFAULT 0,
  cat_id SMALLINT(5) UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (group_id, cat_id)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_sessions (
  id VARCHAR(255) COLLATE utf8mb3_bin NOT NULL DEFAULT '',
  data MEDIUMTEXT NOT NULL,
  expiration DATETIME NOT NULL DEFAULT '1970-01-01 00:00:00',
  PRIMARY KEY (id)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;

CREATE TABLE piwigo_user_auth_keys (
  auth_key_id INT(11) UNSIGNED NOT NULL AUTO_INCREMENT,
  auth_key VARCHAR(255) NOT NULL,
  user_id MEDIUMINT(8) UNSIGNED NOT NULL,
  created_on DATETIME NOT NULL,
  duration INT(11) UNSIGNED DEFAULT NULL,
  expired_on DATETIME NOT NULL,
  PRIMARY KEY (auth_key_id)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb3;
