import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RawMessage, rawMessage } from '../../src/mail/raw-message.ts';
import { convert, examine, type Unfit } from '../../src/message/re-encode.ts';
import { scan } from '../../src/message/scan.ts';
import type { Part } from '../../src/message/structure.ts';
import { transferDecoder } from '../../src/message/transfer.ts';
import { corpusFiles, nearlyMail } from './samples.ts';

const SEVEN: Unfit = { eightBit: true, binary: false };
const LINES: Unfit = { eightBit: false, binary: true };
const BOTH: Unfit = { eightBit: true, binary: true };

const message = (text: string): RawMessage => rawMessage([Buffer.from(text, 'utf8')]);

async function converted(raw: RawMessage, unfit: Unfit): Promise<Buffer> {
  const { root } = await examine(raw, unfit);
  const chunks: Uint8Array[] = [];
  for await (const chunk of convert(raw, root, unfit)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function text(raw: string, unfit: Unfit = SEVEN): Promise<string> {
  return (await converted(message(raw), unfit)).toString('latin1');
}

test('a text becomes quoted-printable, its header otherwise as it was (RFC 6152 3)', async () => {
  const header = 'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n';
  expect(await text(`${header}Content-Transfer-Encoding: 8bit\r\nTo: y@z.test\r\n\r\nété = summer\r\n`)).toBe(
    `${header}To: y@z.test\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9t=C3=A9 =3D summer\r\n`,
  );
});

test('a message from before MIME becomes one (RFC 1428 3)', async () => {
  expect(await text('Subject: x\r\n\r\nété\r\n')).toBe(
    'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n' +
      'Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9t=C3=A9\r\n',
  );
});

test('only the parts that need it are touched, the labels above them say 7bit', async () => {
  const part = (encoding: string, body: string): string =>
    `--b\r\nContent-Type: text/plain\r\n${encoding}\r\n${body}\r\n`;
  const head = (label: string): string =>
    `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: ${label}\r\n\r\n`;
  const before =
    `${head('8bit')}préambule\r\n` +
    part('', 'plain') +
    part('Content-Transfer-Encoding: 8bit\r\n', 'été') +
    part('Content-Transfer-Encoding: base64\r\n', 'w6k=') +
    part('Content-Transfer-Encoding: 8bit\r\n', 'only ASCII') +
    '--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\u00e9\r\n--b--\r\nepilogue\r\n';
  expect(await text(before)).toBe(
    `${head('7bit')}pr??ambule\r\n` +
      part('', 'plain') +
      part('Content-Transfer-Encoding: quoted-printable\r\n', '=C3=A9t=C3=A9') +
      part('Content-Transfer-Encoding: base64\r\n', 'w6k=') +
      part('Content-Transfer-Encoding: 7bit\r\n', 'only ASCII') +
      '--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\n--b--\r\nepilogue\r\n',
  );
});

test('an attached message is converted within: it cannot be encoded itself (RFC 2046 5.2.1)', async () => {
  const inner = (body: string, label: string): string =>
    `Subject: y\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ${label}\r\n\r\n${body}\r\n`;
  const outer = (label: string): string =>
    `MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: ${label}\r\n\r\n`;
  expect(await text(outer('8bit') + inner('été', '8bit'))).toBe(
    outer('7bit') + inner('=C3=A9t=C3=A9', 'quoted-printable'),
  );
});

test('what is encoded already and has 8-bit octets all the same loses only those', async () => {
  const header = 'MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n';
  expect(await text(`${header}YWJj\u00e9\r\n`)).toBe(`${header}YWJj??\r\n`);
});

describe('a message in lines that are none (RFC 3030)', () => {
  const header = 'MIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: ';
  test('becomes base64, for every host', async () => {
    const body = Buffer.from('\0\n\r\u00e9', 'utf8');
    expect(await text(`${header}binary\r\n\r\n${body.toString('utf8')}`, LINES)).toBe(
      `${header}base64\r\n\r\n${body.toString('base64')}`,
    );
  });
  test('but not where the lines are good, 8-bit or not', async () => {
    expect(await text(`${header}binary\r\n\r\né\r\n`, LINES)).toBe(
      Buffer.from(`${header}binary\r\n\r\né\r\n`).toString('latin1'),
    );
  });
  test('long lines count', async () => {
    expect((await examine(message(`x: y\r\n\r\n${'a'.repeat(998)}\r\n`), LINES)).fits).toBe(true);
    expect((await examine(message(`x: y\r\n\r\n${'a'.repeat(999)}\r\n`), LINES)).fits).toBe(false);
  });
});

test('a message that fits is known as such', async () => {
  expect((await examine(message('Subject: x\r\n\r\nplain\r\n'), BOTH)).fits).toBe(true);
  expect((await examine(message('Subject: x\r\n\r\nété\r\n'), SEVEN)).fits).toBe(false);
  expect((await examine(message('Subject: x\r\n\r\nété\r\n'), LINES)).fits).toBe(true);
});

/** Type and decoded bytes of every leaf. */
function leaves(bytes: Buffer, part: Part = scan(bytes)): string[] {
  if (part.children.length > 0) return part.children.flatMap((child) => leaves(bytes, child));
  if (part.message) return leaves(bytes, part.message);
  const decoder = transferDecoder(part.encoding);
  const body = Buffer.concat([decoder.write(bytes.subarray(part.body.start, part.body.end)), decoder.end()]);
  return [`${part.type}/${part.subtype} ${body.toString('latin1')}`];
}

/** Broken encodings lose their 8-bit octets, and nothing else is compared for them. */
function isSound(bytes: Buffer, part: Part): boolean {
  if (part.children.length > 0) return part.children.every((child) => isSound(bytes, child));
  if (part.message) return isSound(bytes, part.message);
  const ascii = bytes.subarray(part.body.start, part.body.end).every((octet) => octet < 0x80);
  return ['7bit', '8bit', 'binary'].includes(part.encoding) || ascii;
}

test('the corpus: all bodies are 7-bit afterwards, and say what they said', { timeout: 60_000 }, async () => {
  const files = corpusFiles(['mime']);
  let changed = 0;
  for (const { name, read } of files) {
    const before = Buffer.from(read().toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
    if (before.length > 1_000_000) continue;
    const raw = rawMessage([before]);
    const { root, fits } = await examine(raw, SEVEN);
    if (fits) continue;
    const after = await converted(raw, SEVEN);
    if (!isSound(before, root)) continue;
    expect(leaves(after), name).toEqual(leaves(before));
    changed++;
  }
  if (files.length > 0) expect(changed).toBeGreaterThan(20);
});

test('whatever looks like mail is converted without an error, and its bodies are 7-bit', async () => {
  await fc.assert(
    fc.asyncProperty(nearlyMail, async (bytes) => {
      const after = await converted(rawMessage([Buffer.from(bytes)]), BOTH);
      const { root } = await examine(rawMessage([after]), BOTH);
      for (const span of bodies(root))
        expect(after.subarray(span.start, span.end).every((octet) => octet < 0x80)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

function bodies(part: Part): readonly { start: number; end: number }[] {
  if (part.children.length > 0) return part.children.flatMap(bodies);
  return part.message ? bodies(part.message) : [part.body];
}
