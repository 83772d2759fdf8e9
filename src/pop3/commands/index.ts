import type { Command } from '../command.ts';
import { apop } from './apop.ts';
import { auth } from './auth.ts';
import { capa } from './capa.ts';
import { dele } from './dele.ts';
import { lang } from './lang.ts';
import { list } from './list.ts';
import { noop } from './noop.ts';
import { pass } from './pass.ts';
import { quit } from './quit.ts';
import { retr } from './retr.ts';
import { rset } from './rset.ts';
import { stat } from './stat.ts';
import { stls } from './stls.ts';
import { top } from './top.ts';
import { uidl } from './uidl.ts';
import { user } from './user.ts';
import { utf8 } from './utf8.ts';

const ordinary: readonly Command[] = [
  user,
  pass,
  apop,
  auth,
  stls,
  stat,
  list,
  retr,
  dele,
  noop,
  rset,
  top,
  uidl,
  lang,
  utf8,
  quit,
];

/** All commands. A new one is a file and a line above. */
export const commands: readonly Command[] = [...ordinary, capa(ordinary)];
