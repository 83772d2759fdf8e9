-- The schema of the mail index as version 1 made it: never to be changed.
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE folders (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox TEXT NOT NULL UNIQUE,
  dir TEXT NOT NULL UNIQUE,
  uid_validity INTEGER NOT NULL,
  uid_next INTEGER NOT NULL,
  uid_mark INTEGER NOT NULL,
  modseq INTEGER NOT NULL,
  modseq_mark INTEGER NOT NULL,
  special_use TEXT,
  keywords TEXT NOT NULL,
  total INTEGER NOT NULL,
  unseen INTEGER NOT NULL,
  size INTEGER NOT NULL,
  first_recent INTEGER NOT NULL,
  vanished_floor INTEGER NOT NULL,
  new_time REAL NOT NULL,
  cur_time REAL NOT NULL,
  certain INTEGER NOT NULL
);
-- id: folder and uid. place: 0 new/, 1 cur/. info: the letters on disk. lf: has bare LFs, is converted when read.
CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  flags INTEGER NOT NULL,
  modseq INTEGER NOT NULL,
  internal_date INTEGER NOT NULL,
  saved_date INTEGER NOT NULL,
  size INTEGER NOT NULL,
  email_high INTEGER NOT NULL,
  email_low INTEGER NOT NULL,
  place INTEGER NOT NULL,
  lf INTEGER NOT NULL,
  info TEXT,
  base TEXT NOT NULL
);
CREATE INDEX fresh ON messages (id) WHERE place = 0;
-- Messages whose file name has still to follow. cur: it leaves new/ even without flags.
CREATE TABLE pending (id INTEGER PRIMARY KEY, cur INTEGER NOT NULL);
CREATE TABLE tombstones (id INTEGER PRIMARY KEY, modseq INTEGER NOT NULL);
-- Files of expunged messages that have still to go.
CREATE TABLE removals (id INTEGER PRIMARY KEY, base TEXT NOT NULL, place INTEGER NOT NULL, info TEXT);
-- torn: a power cut left the file incomplete; the same key replaces it.
CREATE TABLE deliveries (key TEXT PRIMARY KEY, id INTEGER NOT NULL, at INTEGER NOT NULL, torn INTEGER NOT NULL)
  WITHOUT ROWID;
-- Copies and moves of several messages under way.
CREATE TABLE intents (number INTEGER PRIMARY KEY, plan TEXT NOT NULL);
CREATE TABLE summaries (
  id INTEGER PRIMARY KEY,
  sent INTEGER,
  envelope TEXT NOT NULL,
  body TEXT NOT NULL,
  body_structure TEXT NOT NULL,
  part TEXT NOT NULL
);
CREATE TABLE headers (id INTEGER PRIMARY KEY, header BLOB NOT NULL);
INSERT INTO meta VALUES ('clean', 0), ('tmp_cleaned', 0);
PRAGMA user_version = 1;
