import type { Bound } from '../bound.ts';
import type { Compiler } from '../compile.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';
import type { Run } from '../run.ts';
import { isScriptAddress } from '../script-address.ts';
import { checkFcc, fccOf } from './fcc.ts';

/** RFC 5230, with the seconds of RFC 6131. Whether an answer is sent at all is for delivery to say. */

const DAY = 86_400;
const DEFAULT_DAYS = 7;

export const vacation: Extension = {
  name: 'vacation',
  source: 'RFC 5230',
  commands: {
    vacation: {
      tags: {
        days: { group: 'period', value: 'number' },
        subject: { value: 'string' },
        from: { value: 'string' },
        addresses: { value: 'strings' },
        mime: {},
        handle: { value: 'string' },
      },
      arguments: ['string'],
      compile: check,
      run: vacate,
    },
  },
};

export const vacationSeconds: Extension = {
  name: 'vacation-seconds',
  source: 'RFC 6131',
  implies: ['vacation'],
  tags: { vacation: { seconds: { group: 'period', value: 'number' } } },
};

function check(bound: Bound, compiler: Compiler): void {
  checkFcc(bound, compiler);
  const from = bound.tags.get('from');
  if (typeof from === 'string' && !isScriptAddress(from))
    compiler.error(bound.at, `:from is no address: ${from}`);
  const addresses = bound.tags.get('addresses');
  for (const address of typeof addresses === 'object' && 'texts' in addresses ? addresses.texts : [])
    if (typeof address === 'string' && !isScriptAddress(address))
      compiler.error(bound.at, `:addresses has what is no address: ${address}`);
  const [reason] = bound.args;
  if (bound.tags.has('mime') && typeof reason === 'string' && !isEntity(reason))
    compiler.error(bound.at, 'what :mime announces must begin with MIME header fields or an empty line');
}

/** RFC 5230 4.6: header fields, a blank line, the body. */
function isEntity(text: string): boolean {
  return /^(?:[!-9;-~]+[ \t]*:|\r?\n)/.test(text);
}

function vacate(bound: Bound, run: Run): void {
  const { tags } = bound;
  const text = (name: string): string | null => (tags.has(name) ? run.text(tags.get(name)) : null);
  const from = text('from');
  if (from !== null && !isScriptAddress(from))
    throw new SieveRuntimeError(`:from is no address: ${from}`, bound.at);
  run.act({
    type: 'vacation',
    handle: text('handle'),
    seconds: tags.has('seconds')
      ? run.number(tags.get('seconds'))
      : (tags.has('days') ? Math.max(1, run.number(tags.get('days'))) : DEFAULT_DAYS) * DAY,
    subject: text('subject'),
    from,
    addresses: run.texts(tags.get('addresses')),
    mime: tags.has('mime'),
    reason: run.text(bound.args[0]),
    fcc: fccOf(bound, run),
  });
}
