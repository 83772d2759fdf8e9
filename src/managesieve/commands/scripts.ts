import type { Complaint } from '../../sieve/errors.ts';
import { count, nameOf, numberOf, octetsOf, textOf, utf8 } from '../arguments.ts';
import type { Command, Ok } from '../command.ts';
import { SieveNo } from '../errors.ts';
import { string } from '../strings.ts';

/** Commands about scripts. */

/** HAVESPACE (RFC 5804 2.5). */
export const havespace: Command = {
  name: 'HAVESPACE',
  state: 'authenticated',

  async run(session, args, account) {
    count(args, 2);
    await session.scripts.admit(account, nameOf(args, 0), numberOf(args, 1));
    return {};
  },
};

/** PUTSCRIPT (RFC 5804 2.6): kept octet by octet, and only when it compiles. */
export const putscript: Command = {
  name: 'PUTSCRIPT',
  state: 'authenticated',

  async run(session, args, account) {
    count(args, 2);
    const name = nameOf(args, 0);
    const source = octetsOf(args, 1);
    await session.scripts.admit(account, name, source.length);
    const warnings = await session.check(account, utf8(source));
    await session.scripts.put(account, name, source);
    return warned(warnings);
  },
};

/** CHECKSCRIPT (RFC 5804 2.12). */
export const checkscript: Command = {
  name: 'CHECKSCRIPT',
  state: 'authenticated',

  async run(session, args, account) {
    count(args, 1);
    return warned(await session.check(account, textOf(args, 0)));
  },
};

/** LISTSCRIPTS (RFC 5804 2.7). */
export const listscripts: Command = {
  name: 'LISTSCRIPTS',
  state: 'authenticated',

  async run(session, args, account) {
    count(args, 0);
    const entries = await session.scripts.list(account);
    const lines = entries.map(({ name, active }) => `${string(name)}${active ? ' ACTIVE' : ''}\r\n`);
    await session.connection.write(lines.join(''));
    return {};
  },
};

/** SETACTIVE (RFC 5804 2.8): the empty name makes none active. */
export const setactive: Command = {
  name: 'SETACTIVE',
  state: 'authenticated',

  async run(session, args, account) {
    count(args, 1);
    const name = octetsOf(args, 0).length === 0 ? null : nameOf(args, 0);
    if (name !== null) {
      const source = await session.scripts.get(account, name);
      if (source === undefined) throw new SieveNo('there is no script of that name', 'NONEXISTENT');
      // It may have come there by another way, or from a time with other rules.
      await session.check(account, utf8(source));
    }
    await session.scripts.activate(account, name);
    return {};
  },
};

/** GETSCRIPT (RFC 5804 2.9). */
export const getscript: Command = {
  name: 'GETSCRIPT',
  state: 'authenticated',

  async run(session, args, account) {
    count(args, 1);
    const source = await session.scripts.get(account, nameOf(args, 0));
    if (source === undefined) throw new SieveNo('there is no script of that name', 'NONEXISTENT');
    await session.connection.write(`{${source.length}}\r\n`);
    await session.connection.write(source);
    await session.connection.write('\r\n');
    return {};
  },
};

/** DELETESCRIPT (RFC 5804 2.10): not the active one. */
export const deletescript: Command = {
  name: 'DELETESCRIPT',
  state: 'authenticated',

  async run(session, args, account) {
    count(args, 1);
    await session.scripts.delete(account, nameOf(args, 0));
    return {};
  },
};

/** RENAMESCRIPT (RFC 5804 2.11). */
export const renamescript: Command = {
  name: 'RENAMESCRIPT',
  state: 'authenticated',

  async run(session, args, account) {
    count(args, 2);
    await session.scripts.rename(account, nameOf(args, 0), nameOf(args, 1));
    return {};
  },
};

function warned(warnings: readonly Complaint[]): Ok {
  return warnings.length === 0 ? {} : { code: 'WARNINGS', text: shown(warnings) };
}

export function shown(complaints: readonly Complaint[]): string {
  return complaints
    .map(({ line, column, message }) => `line ${line}, column ${column}: ${message}`)
    .join('\r\n');
}
