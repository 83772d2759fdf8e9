import { core } from '../core/core.ts';
import type { Extension } from '../extension.ts';
import { body } from './body.ts';
import { comparators } from './comparators.ts';
import { copy } from './copy.ts';
import { date } from './date.ts';
import { duplicate } from './duplicate.ts';
import { editheader } from './editheader.ts';
import { encodedCharacter } from './encoded-character.ts';
import { enotify } from './enotify.ts';
import { envelope, envelopeDsn } from './envelope.ts';
import { dovecotEnvironment, environment, imapsieve } from './environment.ts';
import { extlists } from './extlists.ts';
import { extracttext } from './extracttext.ts';
import { fcc } from './fcc.ts';
import { fileinto } from './fileinto.ts';
import { ihave } from './ihave.ts';
import { imap4flags } from './imap4flags.ts';
import { include } from './include.ts';
import { index } from './index-tag.ts';
import { mailbox, mailboxid, mboxmetadata, servermetadata, specialUse } from './mailbox.ts';
import { foreverypart, mime } from './mime.ts';
import { redirectDsn } from './redirect-dsn.ts';
import { regex } from './regex.ts';
import { ereject, reject } from './reject.ts';
import { relational } from './relational.ts';
import { enclose, replace } from './replace.ts';
import { spamtest, spamtestplus, virustest } from './spamtest.ts';
import { subaddress } from './subaddress.ts';
import { vacation, vacationSeconds } from './vacation.ts';
import { variables } from './variables.ts';
import { debug, execute, filter, pipe, report } from './vnd-dovecot.ts';

/** Those that run programs of the machine: there for scripts only where an admin has listed some. */
export const PROGRAM_EXTENSIONS: readonly Extension[] = [pipe, filter, execute];

/** All that a script may require, and what needs no require. */
export const EXTENSIONS: readonly Extension[] = [
  core,
  ...comparators,
  body,
  copy,
  date,
  duplicate,
  editheader,
  enclose,
  encodedCharacter,
  enotify,
  envelope,
  envelopeDsn,
  environment,
  ereject,
  extlists,
  extracttext,
  fcc,
  fileinto,
  foreverypart,
  ihave,
  imap4flags,
  imapsieve,
  include,
  index,
  mailbox,
  mailboxid,
  mboxmetadata,
  mime,
  redirectDsn,
  regex,
  reject,
  relational,
  replace,
  servermetadata,
  spamtest,
  spamtestplus,
  specialUse,
  subaddress,
  vacation,
  vacationSeconds,
  variables,
  virustest,
  debug,
  dovecotEnvironment,
  report,
];
