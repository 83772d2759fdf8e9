import { noArguments } from '../arguments.ts';
import type { Command, Pop3Session } from '../command.ts';

/** What is true of the whole server, not of one command. */
const GENERAL = [
  // RFC 2449 6.4, RFC 3206: all texts in brackets are codes, and a failed login is told from a failing server.
  'RESP-CODES',
  'AUTH-RESP-CODE',
  // RFC 2449 6.6, 6.7: no message is ever removed by the server itself.
  'PIPELINING',
  'EXPIRE NEVER',
];

/** CAPA (RFC 2449 5), with what the other commands say of themselves. */
export function capa(commands: readonly Command[]): Command {
  return {
    name: 'CAPA',
    state: 'any',

    run(session, args) {
      noArguments(args);
      const { loginDelay } = session.settings;
      const lines = [
        ...GENERAL,
        // RFC 2449 6.5: the same for all users, so the word USER is not needed.
        ...(loginDelay > 0 ? [`LOGIN-DELAY ${Math.ceil(loginDelay / 1000)}`] : []),
        ...announced(commands, session),
        `IMPLEMENTATION Facteur ${session.version}`,
      ];
      const shown = lines.filter((line) => session.offers(line.split(' ')[0] ?? ''));
      return `capability list follows\r\n${shown.map((line) => `${line}\r\n`).join('')}.`;
    },
  };
}

function announced(commands: readonly Command[], session: Pop3Session): string[] {
  return commands.flatMap((command) => command.capability?.(session) ?? []);
}
