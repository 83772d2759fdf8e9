import type { Command } from '../command.ts';
import { authenticate } from './authenticate.ts';
import {
  checkscript,
  deletescript,
  getscript,
  havespace,
  listscripts,
  putscript,
  renamescript,
  setactive,
} from './scripts.ts';
import { capability, logout, noop, starttls, unauthenticate } from './session.ts';

/** All of RFC 5804 2. */
export const commands: readonly Command[] = [
  authenticate,
  starttls,
  logout,
  capability,
  havespace,
  putscript,
  listscripts,
  setactive,
  getscript,
  deletescript,
  renamescript,
  checkscript,
  noop,
  unauthenticate,
];
