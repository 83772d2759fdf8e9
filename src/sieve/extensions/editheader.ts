import type { Bound } from '../bound.ts';
import type { Compiler } from '../compile.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';
import { isFieldName, needFieldName } from '../fields.ts';
import { newField } from '../header-text.ts';
import type { SieveLimits } from '../limits.ts';
import { asciiCasemap } from '../match/comparators.ts';
import { is } from '../match/matcher.ts';
import { type HeaderField, readable } from '../message.ts';
import type { Run } from '../run.ts';

/** RFC 5293. Changes are seen by the tests that follow, and by actions from then on. */

/** RFC 5293 6: traces, and what keeps answers from being answered, stay. */
const PROTECTED = new Set(['received', 'auto-submitted', 'original-subject', 'original-from']);

export const editheader: Extension = {
  name: 'editheader',
  source: 'RFC 5293',
  commands: {
    addheader: {
      tags: { last: {} },
      arguments: ['string', 'string'],
      compile(bound, compiler) {
        checkName(bound, compiler);
        const [, value] = bound.args;
        if (typeof value !== 'string') return;
        if (!isFieldValue(value)) compiler.error(bound.at, invalidValue(value));
        else if (Buffer.byteLength(value) > compiler.limits.fieldValue)
          compiler.error(bound.at, tooLong(compiler.limits));
      },
      run: addHeader,
    },
    deleteheader: {
      takes: ['match'],
      tags: { index: { value: 'number' }, last: {} },
      arguments: ['string', 'strings'],
      trailing: 1,
      compile(bound, compiler) {
        checkName(bound, compiler);
        if (bound.tags.has('last') && !bound.tags.has('index'))
          compiler.error(bound.at, ':last needs :index');
      },
      run: deleteHeader,
    },
  },
};

function checkName(bound: Bound, compiler: Compiler): void {
  const [name] = bound.args;
  if (typeof name !== 'string') return;
  if (!isFieldName(name)) compiler.error(bound.at, `specified field name \`${name}' is invalid`);
  else if (PROTECTED.has(name.toLowerCase()))
    compiler.warn(bound.at, `specified field \`${name}' is protected; modification denied`);
}

/** NUL and bare line ends would make another header of it. */
function isFieldValue(value: string): boolean {
  return !/[\p{Cc}\ufffd]/u.test(value.replace(/[\t\r\n]/g, ''));
}

function invalidValue(value: string): string {
  return `specified value \`${value.slice(0, 80)}' for the field is invalid`;
}

function tooLong({ fieldValue }: SieveLimits): string {
  return `the value of a field is longer than ${fieldValue} octets`;
}

function addHeader(bound: Bound, run: Run): void {
  const name = run.text(bound.args[0]);
  const value = run.text(bound.args[1]).replace(/[ \t\r\n]+$/, '');
  needFieldName(name, bound.at);
  if (!isFieldValue(value)) throw new SieveRuntimeError(invalidValue(value), bound.at);
  if (run.host.isProtected(name.toLowerCase(), 'add')) return;
  if (Buffer.byteLength(value) > run.limits.fieldValue)
    throw new SieveRuntimeError(tooLong(run.limits), bound.at);
  const field = newField(name, value);
  const { fields } = run.message;
  run.charge(1, fields.length);
  run.message = run.message.withFields(bound.tags.has('last') ? [...fields, field] : [field, ...fields]);
}

async function deleteHeader(bound: Bound, run: Run): Promise<void> {
  const name = run.text(bound.args[0]);
  needFieldName(name, bound.at);
  const lower = name.toLowerCase();
  if (PROTECTED.has(lower) || run.host.isProtected(lower, 'delete')) return;
  const { fields } = run.message;
  let candidates = fields.filter((field) => field.name === lower);
  if (bound.tags.has('index')) {
    const index = run.number(bound.tags.get('index'));
    const at = bound.tags.has('last') ? candidates.length - index : index - 1;
    candidates = candidates.slice(Math.max(0, at), Math.max(0, at + 1));
  }
  const gone = await matching(bound, run, candidates);
  if (gone.size > 0) run.message = run.message.withFields(fields.filter((field) => !gone.has(field)));
}

/** RFC 5293 5: without patterns all of them; `:count` counts those that are there and takes all or none. */
async function matching(bound: Bound, run: Run, candidates: HeaderField[]): Promise<Set<HeaderField>> {
  if (bound.args[1] === undefined) return new Set(candidates);
  const patterns = run.texts(bound.args[1]);
  const { type, comparator } = bound.matcher ?? { type: is, comparator: asciiCasemap };
  const { matchValues } = run;
  const gone = new Set<HeaderField>();
  if (bound.tags.has('count')) {
    if (
      await type.matches(
        candidates.map(({ value }) => value),
        patterns,
        comparator,
        run,
      )
    )
      for (const field of candidates) gone.add(field);
  } else
    for (const field of candidates)
      if (await type.matches([readable(field.value)], patterns, comparator, run)) gone.add(field);
  run.matchValues = matchValues;
  return gone;
}
