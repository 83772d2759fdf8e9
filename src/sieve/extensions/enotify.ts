import type { Bound } from '../bound.ts';
import type { Compiler } from '../compile.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';
import { mailtoProblem } from '../mailto.ts';
import type { Run } from '../run.ts';
import { isScriptAddress } from '../script-address.ts';
import { checkFcc, fccOf } from './fcc.ts';

/** RFC 5435; the one method is mailto (RFC 5436). */
export const enotify: Extension = {
  name: 'enotify',
  source: 'RFC 5435',
  commands: {
    notify: {
      tags: {
        from: { value: 'string' },
        importance: { value: 'string' },
        options: { value: 'strings' },
        message: { value: 'string' },
      },
      arguments: ['string'],
      compile: check,
      run: notify,
    },
  },
  tests: {
    valid_notify_method: {
      arguments: ['strings'],
      check: (bound, run) => run.texts(bound.args[0]).every((method) => problem(method) === undefined),
    },
    notify_method_capability: {
      takes: ['match'],
      arguments: ['string', 'string', 'strings'],
      check(bound, run) {
        const method = run.text(bound.args[0]);
        // RFC 5436 2.8: whether anybody reads mail at the moment cannot be known.
        if (problem(method) !== undefined || run.text(bound.args[1]).toLowerCase() !== 'online') return false;
        return run.match(bound, ['maybe'], run.texts(bound.args[2]));
      },
    },
  },
  tags: { set: { encodeurl: { group: '15' } } },
  modifiers: { encodeurl: { precedence: 15, apply: encodeUrl } },
};

const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

/** RFC 5435 6: octets of UTF-8 that are not unreserved (RFC 3986 2.3). No character is cut in two. */
function encodeUrl(text: string, most: number): string {
  let encoded = '';
  for (const char of text) {
    let one = char;
    if (!UNRESERVED.test(char)) {
      one = '';
      for (const octet of Buffer.from(char)) one += `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
    }
    if (encoded.length + one.length > most) break;
    encoded += one;
  }
  return encoded;
}

function problem(method: string): string | undefined {
  if (!/^mailto:/i.test(method)) return 'only mailto: is known here';
  return mailtoProblem(method);
}

function check(bound: Bound, compiler: Compiler): void {
  checkFcc(bound, compiler);
  const { at, tags } = bound;
  if (compiler.limits.notifications === 0)
    compiler.error(at, 'local policy prohibits the use of a notify action');
  const [method] = bound.args;
  const wrong = typeof method === 'string' ? problem(method) : undefined;
  if (wrong !== undefined) compiler.error(at, `invalid notify method ${JSON.stringify(method)}: ${wrong}`);
  const importance = tags.get('importance');
  if (typeof importance === 'string' && !/^[123]$/.test(importance))
    compiler.error(at, ':importance is "1", "2" or "3"');
  const from = tags.get('from');
  if (typeof from === 'string' && !isScriptAddress(from)) compiler.error(at, `:from is no address: ${from}`);
  const options = tags.get('options');
  if (typeof options === 'object' && 'texts' in options)
    for (const option of options.texts)
      if (typeof option === 'string' && !/^[A-Za-z0-9][\w.-]*=./.test(option))
        compiler.error(at, `:options has what is no option: ${option}`);
}

function notify(bound: Bound, run: Run): void {
  const { at, tags } = bound;
  const method = run.text(bound.args[0]);
  const wrong = problem(method);
  if (wrong !== undefined)
    throw new SieveRuntimeError(`invalid notify method ${JSON.stringify(method)}: ${wrong}`, at);
  const importance = Number(run.text(tags.get('importance')));
  const from = tags.has('from') ? run.text(tags.get('from')) : null;
  if (from !== null && !isScriptAddress(from))
    throw new SieveRuntimeError(`:from is no address: ${from}`, at);
  run.act({
    type: 'notify',
    method,
    from,
    importance: importance === 1 || importance === 3 ? importance : 2,
    options: run.texts(tags.get('options')),
    message: tags.has('message') ? run.text(tags.get('message')) : null,
    fcc: fccOf(bound, run),
  });
}
