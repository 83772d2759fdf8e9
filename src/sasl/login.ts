import type { Directory } from '../directory/directory.ts';
import { type AttemptLog, broken } from './attempt.ts';
import { passwordAttempt } from './plain.ts';
import type { SaslMechanism } from './sasl.ts';
import { utf8 } from './text.ts';

const USERNAME = Buffer.from('Username:');
const PASSWORD = Buffer.from('Password:');

/** LOGIN, never standardised (draft-murchison-sasl-login): two questions, two answers. Some clients know no other. */
export function login(directory: Directory, log: AttemptLog): SaslMechanism {
  const check = passwordAttempt(directory, log);
  return {
    name: 'LOGIN',
    plaintext: true,
    start: (context) => {
      let name: string | undefined;
      let asked = false;
      return {
        async respond(response) {
          if (response === null) {
            if (asked) return broken(log, context, 'LOGIN');
            asked = true;
            return { is: 'challenge', data: USERNAME };
          }
          const text = utf8(response);
          if (!text) return broken(log, context, 'LOGIN');
          if (name === undefined) {
            name = text;
            asked = true;
            return { is: 'challenge', data: PASSWORD };
          }
          return check(context, 'LOGIN', { login: name, password: text, authzid: '' });
        },
      };
    },
  };
}
