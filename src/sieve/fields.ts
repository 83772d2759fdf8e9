import { type Mailbox, parseAddressList } from '../message/address-list.ts';
import { parseStructured } from '../message/parameters.ts';
import type { Part } from '../message/structure.ts';
import type { Bound } from './bound.ts';
import type { Compiler } from './compile.ts';
import { SieveRuntimeError } from './errors.ts';
import { type HeaderField, readable } from './message.ts';
import type { Run } from './run.ts';

/** The header fields that a test is about: of the message or of MIME parts, all of a name or one of them. */

/** RFC 5322 2.2: what a field's name is made of. */
const NAME = /^[!-9;-~]+$/;

/** The fields that hold addresses, and nothing else may be asked for by `address` (RFC 5228 5.1). */
const ADDRESSES = new Set(
  (
    'from to cc bcc sender reply-to resent-from resent-to resent-cc resent-bcc resent-sender resent-reply-to ' +
    'delivered-to envelope-to return-path apparently-to errors-to original-from mail-followup-to mail-reply-to ' +
    'disposition-notification-to return-receipt-to return-receipt-requested read-receipt-to abuse-reports-to ' +
    'for-approval for-handling for-comment registered-mail-reply-requested-by content-from'
  ).split(' '),
);

/** Of private fields nobody knows. */
function mayHoldAddresses(name: string): boolean {
  return ADDRESSES.has(name) || name.startsWith('x-');
}

export function isFieldName(text: string): boolean {
  return NAME.test(text);
}

/** For `compile` of words whose first argument names fields. */
export function checkFieldNames(bound: Bound, compiler: Compiler, kind: 'any' | 'addresses'): void {
  checkMimeTags(bound, compiler);
  const [names] = bound.args;
  for (const name of typeof names === 'object' && 'texts' in names ? names.texts : []) {
    if (typeof name !== 'string') continue;
    if (!isFieldName(name)) compiler.warn(bound.at, `there can be no header field "${name}"`);
    else if (kind === 'addresses' && !bound.tags.has('mime') && !mayHoldAddresses(name.toLowerCase()))
      compiler.error(bound.at, `the field ${name} does not hold addresses; use header instead of address`);
  }
}

function checkMimeTags(bound: Bound, compiler: Compiler): void {
  const { tags } = bound;
  if (tags.has('last') && !tags.has('index')) compiler.error(bound.at, ':last needs :index (RFC 5260 6)');
  if (tags.get('index') === 0) compiler.error(bound.at, ':index begins with 1');
  if (tags.has('mime')) return;
  for (const tag of ['anychild', 'type', 'subtype', 'contenttype', 'param'])
    if (tags.has(tag)) compiler.error(bound.at, `:${tag} needs :mime`);
}

/**
 * The fields of these names, in the order of the names, as the tags of the word narrow them down. At once, but for those of
 * MIME parts.
 */
export function chosenFields(
  bound: Bound,
  run: Run,
  names: readonly string[],
): HeaderField[] | Promise<HeaderField[]> {
  if (bound.tags.has('mime')) return fieldsOfParts(bound, run, names);
  run.charge(0, 8 * names.length);
  const chosen: HeaderField[] = [];
  for (const name of names) for (const field of run.message.named(name.toLowerCase())) chosen.push(field);
  return byIndex(bound, run, chosen);
}

async function fieldsOfParts(bound: Bound, run: Run, names: readonly string[]): Promise<HeaderField[]> {
  const chosen: HeaderField[] = [];
  for (const fields of await headersOf(bound, run))
    for (const name of names) {
      const lower = name.toLowerCase();
      run.charge(0, fields.length * 8);
      for (const field of fields) if (field.name === lower) chosen.push(field);
    }
  return byIndex(bound, run, chosen);
}

/** RFC 5260 6. */
export function byIndex<T>(bound: Bound, run: Run, all: T[]): T[] {
  if (!bound.tags.has('index')) return all;
  const index = run.number(bound.tags.get('index'));
  const at = bound.tags.has('last') ? all.length - index : index - 1;
  return all.slice(at, at + 1).filter(() => at >= 0);
}

/** The headers that count (RFC 5703 4.1). */
async function headersOf(bound: Bound, run: Run): Promise<(readonly HeaderField[])[]> {
  const loop = run.loops.at(-1);
  if (!bound.tags.has('anychild'))
    return [loop ? await loop.message.partFields(loop.part) : run.message.fields];
  const message = loop?.message ?? run.message;
  const headers: (readonly HeaderField[])[] = [];
  for (const part of partsOf(loop?.part ?? (await message.structure()))) {
    run.charge(1, part.header.end - part.header.start);
    headers.push(await message.partFields(part));
  }
  return headers;
}

/** The part and all in it, depth first. A message in a message is a part of its own. */
export function* partsOf(part: Part): Generator<Part> {
  yield part;
  for (const child of part.children) yield* partsOf(child);
  if (part.message) yield* partsOf(part.message);
}

/** What `header` looks at in a field. */
export function fieldTexts(bound: Bound, run: Run, field: HeaderField): string[] {
  const { name, value } = field;
  const { tags } = bound;
  if (tags.has('param')) {
    const { parameters } = parseStructured(value);
    return run.texts(tags.get('param')).flatMap((wanted) => parameters[wanted.toLowerCase()] ?? []);
  }
  const whole = tags.has('contenttype');
  if (!whole && !tags.has('type') && !tags.has('subtype')) return [readableField(field)];
  if (name === 'content-disposition') return [tags.has('subtype') ? '' : parseStructured(value).value];
  if (name !== 'content-type') return [''];
  const type = parseStructured(value).value;
  if (whole) return [type];
  const [first = '', second = ''] = type.split('/');
  return [tags.has('type') ? first : second];
}

/** Many tests of a script look at the same fields. */
const readBefore = new WeakMap<HeaderField, string>();
const addressesBefore = new WeakMap<HeaderField, readonly Mailbox[]>();

function readableField(field: HeaderField): string {
  const known = readBefore.get(field);
  if (known !== undefined) return known;
  const text = readable(field.value);
  readBefore.set(field, text);
  return text;
}

export function addressesOf(field: HeaderField): readonly Mailbox[] {
  const known = addressesBefore.get(field);
  if (known) return known;
  const found = addressesIn(field.value);
  addressesBefore.set(field, found);
  return found;
}

/** The addresses of a field's value, groups resolved. */
export function addressesIn(value: string): Mailbox[] {
  return parseAddressList(value).flatMap((each) => (each.is === 'group' ? each.members : [each]));
}

export function needFieldName(name: string, at: number): void {
  if (!isFieldName(name)) throw new SieveRuntimeError(`specified field name \`${name}' is invalid`, at);
}
