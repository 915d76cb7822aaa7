-- The same tables as schema-16.sql for SQLite: same names and defaults, the types SQLite knows.
-- Text compares byte by byte here, and nothing sets `lastmodified` on a change.

CREATE TABLE piwigo_config (
  param TEXT NOT NULL DEFAULT '',
  value TEXT,
  comment TEXT DEFAULT NULL,
  PRIMARY KEY (param)
);

CREATE TABLE piwigo_sites (
  id INTEGER PRIMARY KEY,
  galleries_url TEXT NOT NULL DEFAULT ''
);

CREATE TABLE piwigo_plugins (
  id TEXT NOT NULL DEFAULT '' PRIMARY KEY,
  state TEXT NOT NULL DEFAULT 'inactive',
  version TEXT NOT NULL DEFAULT '0'
);

CREATE TABLE piwigo_categories (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL DEFAULT '',
  id_uppercat INTEGER DEFAULT NULL,
  comment TEXT,
  dir TEXT DEFAULT NULL,
  "rank" INTEGER DEFAULT NULL,
  status TEXT NOT NULL DEFAULT 'public' CHECK (status IN ('public', 'private')),
  site_id INTEGER DEFAULT NULL,
  visible TEXT NOT NULL DEFAULT 'true' CHECK (visible IN ('true', 'false')),
  representative_picture_id INTEGER DEFAULT NULL,
  uppercats TEXT NOT NULL DEFAULT '',
  commentable TEXT NOT NULL DEFAULT 'true' CHECK (commentable IN ('true', 'false')),
  global_rank TEXT DEFAULT NULL,
  image_order TEXT DEFAULT NULL,
  permalink TEXT DEFAULT NULL,
  lastmodified TEXT DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE piwigo_images (
  id INTEGER PRIMARY KEY,
  file TEXT NOT NULL DEFAULT '',
  date_available TEXT NOT NULL DEFAULT '1970-01-01 00:00:00',
  date_creation TEXT DEFAULT NULL,
  name TEXT DEFAULT NULL,
  comment TEXT,
  author TEXT DEFAULT NULL,
  hit INTEGER NOT NULL DEFAULT 0,
  filesize INTEGER DEFAULT NULL,
  width INTEGER DEFAULT NULL,
  height INTEGER DEFAULT NULL,
  coi TEXT DEFAULT NULL,
  representative_ext TEXT DEFAULT NULL,
  date_metadata_update TEXT DEFAULT NULL,
  rating_score REAL DEFAULT NULL,
  path TEXT NOT NULL DEFAULT '',
  storage_category_id INTEGER DEFAULT NULL,
  level INTEGER NOT NULL DEFAULT 0,
  md5sum TEXT DEFAULT NULL,
  added_by INTEGER NOT NULL DEFAULT 0,
  rotation INTEGER DEFAULT NULL,
  latitude REAL DEFAULT NULL,
  longitude REAL DEFAULT NULL,
  lastmodified TEXT DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE piwigo_image_category (
  image_id INTEGER NOT NULL DEFAULT 0,
  category_id INTEGER NOT NULL DEFAULT 0,
  "rank" INTEGER DEFAULT NULL,
  PRIMARY KEY (image_id, category_id)
);

CREATE TABLE piwigo_image_format (
  format_id INTEGER PRIMARY KEY,
  image_id INTEGER NOT NULL DEFAULT 0,
  ext TEXT NOT NULL,
  filesize INTEGER DEFAULT NULL
);

CREATE TABLE piwigo_users (
  id INTEGER PRIMARY KEY,
  username TEXT NOT NULL DEFAULT '',
  password TEXT DEFAULT NULL,
  mail_address TEXT DEFAULT NULL
);

CREATE TABLE piwigo_user_infos (
  user_id INTEGER NOT NULL DEFAULT 0,
  nb_image_page INTEGER NOT NULL DEFAULT 15,
  status TEXT NOT NULL DEFAULT 'guest' CHECK (status IN ('webmaster', 'admin', 'normal', 'generic', 'guest')),
  language TEXT NOT NULL DEFAULT 'en_UK',
  expand TEXT NOT NULL DEFAULT 'false' CHECK (expand IN ('true', 'false')),
  show_nb_comments TEXT NOT NULL DEFAULT 'false' CHECK (show_nb_comments IN ('true', 'false')),
  show_nb_hits TEXT NOT NULL DEFAULT 'false' CHECK (show_nb_hits IN ('true', 'false')),
  recent_period INTEGER NOT NULL DEFAULT 7,
  theme TEXT NOT NULL DEFAULT 'modus',
  registration_date TEXT NOT NULL DEFAULT '1970-01-01 00:00:00',
  enabled_high TEXT NOT NULL DEFAULT 'true' CHECK (enabled_high IN ('true', 'false')),
  level INTEGER NOT NULL DEFAULT 0,
  activation_key TEXT DEFAULT NULL,
  activation_key_expire TEXT DEFAULT NULL,
  last_visit TEXT DEFAULT NULL,
  last_visit_from_history TEXT NOT NULL DEFAULT 'false' CHECK (last_visit_from_history IN ('true', 'false')),
  lastmodified TEXT DEFAULT CURRENT_TIMESTAMP,
  preferences TEXT DEFAULT NULL,
  PRIMARY KEY (user_id)
);

CREATE TABLE piwigo_groups (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL DEFAULT '',
  is_default TEXT NOT NULL DEFAULT 'false' CHECK (is_default IN ('true', 'false')),
  lastmodified TEXT DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE piwigo_user_group (
  user_id INTEGER NOT NULL DEFAULT 0,
  group_id INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (group_id, user_id)
);

CREATE TABLE piwigo_user_access (
  user_id INTEGER NOT NULL DEFAULT 0,
  cat_id INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, cat_id)
);

CREATE TABLE piwigo_group_access (
  group_id INTEGER NOT NULL DEFAULT 0,
  cat_id INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (group_id, cat_id)
);

CREATE TABLE piwigo_sessions (
  id TEXT NOT NULL DEFAULT '',
  data TEXT NOT NULL,
  expiration TEXT NOT NULL DEFAULT '1970-01-01 00:00:00',
  PRIMARY KEY (id)
);

CREATE TABLE piwigo_user_auth_keys (
  auth_key_id INTEGER PRIMARY KEY,
  auth_key TEXT NOT NULL,
  apikey_secret TEXT DEFAULT NULL,
  user_id INTEGER NOT NULL,
  created_on TEXT NOT NULL,
  duration INTEGER DEFAULT NULL,
  expired_on TEXT NOT NULL,
  apikey_name TEXT DEFAULT NULL,
  key_type TEXT DEFAULT NULL,
  revoked_on TEXT DEFAULT NULL,
  last_used_on TEXT DEFAULT NULL,
  last_notified_on TEXT DEFAULT NULL
);

CREATE UNIQUE INDEX piwigo_sites_sites_ui1 ON piwigo_sites (galleries_url);
CREATE UNIQUE INDEX piwigo_categories_categories_i3 ON piwigo_categories (permalink);
CREATE INDEX piwigo_categories_categories_i2 ON piwigo_categories (id_uppercat);
CREATE INDEX piwigo_images_images_i1 ON piwigo_images (storage_category_id);
CREATE INDEX piwigo_images_images_i2 ON piwigo_images (date_available);
CREATE INDEX piwigo_images_images_i3 ON piwigo_images (rating_score);
CREATE INDEX piwigo_images_images_i4 ON piwigo_images (hit);
CREATE INDEX piwigo_images_images_i5 ON piwigo_images (date_creation);
CREATE INDEX piwigo_images_images_i6 ON piwigo_images (latitude);
CREATE INDEX piwigo_images_images_i7 ON piwigo_images (path);
CREATE INDEX piwigo_image_category_image_category_i1 ON piwigo_image_category (category_id);
CREATE UNIQUE INDEX piwigo_users_users_ui1 ON piwigo_users (username);
CREATE UNIQUE INDEX piwigo_groups_groups_ui1 ON piwigo_groups (name);
