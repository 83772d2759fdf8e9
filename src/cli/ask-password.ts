import { DirectoryError } from '../directory/errors.ts';
import { MAX_PASSWORD } from '../directory/password.ts';
import type { CliIo } from './io.ts';

/** More than a password, its line end and a hash have. */
const MAX_INPUT = 4 * MAX_PASSWORD;

/** The first line of standard input, for programs and password managers. Spaces in it belong to the password. */
export async function readPassword(io: CliIo): Promise<string> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of io.stdin) {
    bytes = Buffer.concat([bytes, Buffer.from(chunk)]);
    if (bytes.includes(0x0a)) break;
    if (bytes.length > MAX_INPUT)
      throw new DirectoryError(
        'invalid',
        `the password on standard input is longer than ${MAX_PASSWORD} octets`,
      );
  }
  const end = bytes.indexOf(0x0a);
  const line = (end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8').replace(/\r$/, '');
  if (line === '') throw new DirectoryError('invalid', 'standard input has no password in its first line');
  return line;
}

/**
 * Asks the person at the terminal, twice, without showing it.
 * @returns undefined when just Enter was pressed: make one up.
 */
export async function askPassword(io: CliIo): Promise<string | undefined> {
  const first = await askHidden(io, 'Password (just Enter makes one up): ');
  if (first === '') return undefined;
  const second = await askHidden(io, 'Once more: ');
  if (first !== second) throw new DirectoryError('invalid', 'the two are not the same; nothing was changed');
  return first;
}

/** Asks once for a password that is known elsewhere. */
export async function askSecret(io: CliIo, question: string): Promise<string> {
  const secret = await askHidden(io, question);
  if (secret === '') throw new DirectoryError('invalid', 'no password was given');
  return secret;
}

type Terminal = NodeJS.ReadableStream & { setRawMode?(mode: boolean): unknown };

/** Reads keys one by one, since a terminal in its usual mode would show them. */
function askHidden(io: CliIo, question: string): Promise<string> {
  const terminal: Terminal = io.stdin;
  io.err(question);
  terminal.setRawMode?.(true);
  return new Promise((resolve, reject) => {
    let typed = '';
    const onData = (chunk: Buffer | string): void => {
      const chars = [...chunk.toString('utf8')];
      for (const [i, char] of chars.entries()) {
        if (char === '\r' || char === '\n') {
          const rest = chars.slice(i + 1).join('');
          finish(() => resolve(typed));
          // What was typed ahead, or pasted, belongs to the next question.
          if (rest !== '') terminal.unshift(Buffer.from(rest));
          return;
        }
        if (char === '\u0003' || char === '\u0004') {
          finish(() => reject(new DirectoryError('invalid', 'cancelled; nothing was changed')));
          return;
        }
        if (char === '\u007f' || char === '\b') typed = [...typed].slice(0, -1).join('');
        else if (char === '\u0015') typed = '';
        else if (typed.length < MAX_PASSWORD) typed += char;
      }
    };
    const onEnd = (): void =>
      finish(() => reject(new DirectoryError('invalid', 'no password was given; nothing was changed')));
    const finish = (answer: () => void): void => {
      terminal.off('data', onData);
      terminal.off('end', onEnd);
      terminal.setRawMode?.(false);
      terminal.pause();
      io.err('\n');
      answer();
    };
    terminal.on('data', onData);
    terminal.on('end', onEnd);
    terminal.resume();
  });
}
