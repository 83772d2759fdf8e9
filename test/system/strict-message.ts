import { Atom, fetched, type StrictImap, type Value } from '../strict-imap.ts';

/**
 * Asks for everything that can be asked of one message and holds the answers against each other: the envelope and the
 * structure by their grammar (RFC 9051 9), each part's octets and lines against what the structure says of them.
 */

const ENCODINGS = ['7bit', '8bit', 'binary', 'base64', 'quoted-printable'];
/** Items of one FETCH; the server allows 100. */
const ITEMS = 90;

interface NamedPart {
  readonly path: string;
  readonly type: string;
  readonly encoding: string;
  readonly octets: number;
  readonly lines: number | null;
}

/** What is wrong with it; undefined when nothing is. */
export async function checkMessage(client: StrictImap, number: number): Promise<string | undefined> {
  try {
    await check(client, number);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function check(client: StrictImap, number: number): Promise<void> {
  const items = await fetch(
    client,
    number,
    'RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BINARY.SIZE[] BINARY.PEEK[]',
  );
  const whole = octets(items.get('BODY[]'));
  const size = items.get('RFC822.SIZE');
  equal('RFC822.SIZE', size, whole.length);
  equal('BINARY.SIZE[]', items.get('BINARY.SIZE[]'), whole.length);
  if (!octets(items.get('BINARY[]')).equals(whole)) throw new Error('BINARY[] is not BODY[]');
  if (!Buffer.concat([octets(items.get('BODY[HEADER]')), octets(items.get('BODY[TEXT]'))]).equals(whole))
    throw new Error('HEADER and TEXT are not the whole');
  envelope(items.get('ENVELOPE'));
  const parts = [...structure(items.get('BODYSTRUCTURE'), '', 'extended')];
  const basic = [...structure(items.get('BODY'), '', 'basic')];
  if (JSON.stringify(parts) !== JSON.stringify(basic)) throw new Error('BODY and BODYSTRUCTURE differ');
  await checkParts(client, number, parts);
}

async function checkParts(client: StrictImap, number: number, parts: readonly NamedPart[]): Promise<void> {
  const wanted: string[] = [];
  for (const { path, encoding, type } of parts) {
    wanted.push(`BODY.PEEK[${path}]`, `BODY.PEEK[${path}.MIME]`);
    if (type === 'message/rfc822') wanted.push(`BODY.PEEK[${path}.HEADER]`, `BODY.PEEK[${path}.TEXT]`);
    if (ENCODINGS.includes(encoding)) wanted.push(`BINARY.PEEK[${path}]`, `BINARY.SIZE[${path}]`);
  }
  const items = new Map<string, Value>();
  for (let at = 0; at < wanted.length; at += ITEMS)
    for (const [name, value] of await fetch(client, number, wanted.slice(at, at + ITEMS).join(' ')))
      items.set(name, value);
  for (const { path, encoding, octets: announced, lines } of parts) {
    const body = octets(items.get(`BODY[${path}]`) ?? null);
    equal(`octets of ${path}`, announced, body.length);
    if (lines !== null) equal(`lines of ${path}`, lines, linesOf(body));
    if (!items.has(`BODY[${path}.MIME]`)) throw new Error(`no BODY[${path}.MIME]`);
    if (!ENCODINGS.includes(encoding)) continue;
    const decoded = octets(items.get(`BINARY[${path}]`) ?? null);
    equal(`BINARY.SIZE[${path}]`, items.get(`BINARY.SIZE[${path}]`), decoded.length);
    if (['7bit', '8bit', 'binary'].includes(encoding) && !decoded.equals(body))
      throw new Error(`BINARY[${path}] is not BODY[${path}]`);
  }
}

async function fetch(client: StrictImap, number: number, items: string): Promise<Map<string, Value>> {
  const { untagged } = await client.ok(`FETCH ${number} (${items})`);
  const responses = untagged.map(fetched).filter((found) => found !== undefined);
  if (responses.length !== 1) throw new Error(`${responses.length} FETCH responses`);
  return responses[0] ?? new Map();
}

function* structure(
  value: Value | undefined,
  path: string,
  form: 'basic' | 'extended',
): Generator<NamedPart> {
  const fields = list(value, 'a body');
  if (!Array.isArray(fields[0])) {
    yield* single(fields, path === '' ? '1' : path, form);
    return;
  }
  const parts = fields.findIndex((field) => !Array.isArray(field));
  for (let at = 0; at < parts; at++)
    yield* structure(fields[at], path === '' ? `${at + 1}` : `${path}.${at + 1}`, form);
  const rest = fields.slice(parts);
  string(rest[0], 'a subtype');
  if (form === 'basic') equal('fields of a multipart', rest.length, 1);
  else {
    equal('fields of a multipart', rest.length, 5);
    parameters(rest[1]);
    extension(rest.slice(2));
  }
}

function* single(fields: readonly Value[], path: string, form: 'basic' | 'extended'): Generator<NamedPart> {
  const type = `${string(fields[0], 'a type')}/${string(fields[1], 'a subtype')}`.toLowerCase();
  parameters(fields[2]);
  nstring(fields[3]);
  nstring(fields[4]);
  const encoding = string(fields[5], 'an encoding').toLowerCase();
  const octetsOf = number(fields[6]);
  let next = 7;
  let lines: number | null = null;
  if (type.startsWith('text/')) lines = number(fields[next++]);
  else if (type === 'message/rfc822' || type === 'message/global') {
    envelope(fields[next++]);
    const inner = list(fields[next++], 'the body of a message');
    lines = number(fields[next++]);
    yield { path, type, encoding, octets: octetsOf, lines };
    // One that is encoded is not looked into: an empty part stands there for the grammar's sake.
    if (!['base64', 'quoted-printable'].includes(encoding))
      yield* structure(inner, messagePath(inner, path), form);
  }
  if (form === 'basic') equal('fields of a part', fields.length, next);
  else {
    equal('fields of a part', fields.length, next + 4);
    nstring(fields[next]);
    extension(fields.slice(next + 1));
  }
  if (!type.startsWith('message/')) yield { path, type, encoding, octets: octetsOf, lines };
  else if (lines === null) yield { path, type, encoding, octets: octetsOf, lines };
}

/** The parts of a message that is no multipart are `.1` (RFC 9051 6.4.5.1). */
function messagePath(inner: readonly Value[], path: string): string {
  return Array.isArray(inner[0]) ? path : `${path}.1`;
}

/** RFC 9051 7.5.2: ten fields, the address lists of four-string groups. */
function envelope(value: Value | undefined): void {
  const fields = list(value, 'an envelope');
  equal('fields of an envelope', fields.length, 10);
  for (const at of [0, 1, 8, 9]) nstring(fields[at]);
  for (const at of [2, 3, 4, 5, 6, 7]) {
    const addresses = fields[at];
    if (addresses === null) continue;
    const members = list(addresses, 'addresses');
    if (members.length === 0) throw new Error('an empty list of addresses');
    for (const member of members) {
      const parts = list(member, 'an address');
      equal('fields of an address', parts.length, 4);
      parts.forEach(nstring);
    }
  }
}

function extension(fields: readonly Value[]): void {
  equal('extension fields', fields.length, 3);
  const [disposition, language, location] = fields;
  if (disposition !== null) {
    const [type, values, ...more] = list(disposition, 'a disposition');
    string(type, 'a disposition');
    parameters(values);
    equal('fields of a disposition', more.length, 0);
  }
  if (Array.isArray(language)) {
    if (language.length === 0) throw new Error('an empty list of languages');
    for (const tag of language) string(tag, 'a language');
  } else nstring(language);
  nstring(location);
}

function parameters(value: Value | undefined): void {
  if (value === null) return;
  const fields = list(value, 'parameters');
  if (fields.length === 0 || fields.length % 2 !== 0) throw new Error('parameters that are no pairs');
  for (const field of fields) string(field, 'a parameter');
}

function list(value: Value | undefined, what: string): readonly Value[] {
  if (!Array.isArray(value)) throw new Error(`${what} expected`);
  return value;
}

function string(value: Value | undefined, what: string): string {
  if (!(value instanceof Buffer)) throw new Error(`${what} expected`);
  return value.toString('latin1');
}

function nstring(value: Value | undefined): void {
  if (value !== null && !(value instanceof Buffer))
    throw new Error(`a string or NIL expected, not ${value instanceof Atom ? value.text : typeof value}`);
}

function number(value: Value | undefined): number {
  if (typeof value !== 'number') throw new Error('a number expected');
  return value;
}

function octets(value: Value | undefined): Buffer {
  if (!(value instanceof Buffer)) throw new Error('octets expected');
  return value;
}

function equal(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what}: ${found}, not ${wanted}`);
}

function linesOf(body: Buffer): number {
  let lines = 0;
  for (const octet of body) if (octet === 0x0a) lines++;
  return lines;
}
