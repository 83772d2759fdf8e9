import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rawMessage } from '../../src/mail/raw-message.ts';
import { ByteFile } from '../../src/transfer/file.ts';
import { detectFormat } from '../../src/transfer/mbox/detect.ts';
import { extents, firstMessage } from '../../src/transfer/mbox/extents.ts';
import { MBOX_FORMATS, type MboxFormat } from '../../src/transfer/mbox/format.ts';
import { formatFromLine, fromLineDate } from '../../src/transfer/mbox/from-line.ts';
import { quoteFrom } from '../../src/transfer/mbox/quoting.ts';
import { readMboxMessage } from '../../src/transfer/mbox/read.ts';
import { mboxMessage } from '../../src/transfer/mbox/write.ts';
import { asRead, corpusMessages, haveCorpus } from '../corpus.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'facteur-mbox-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Read {
  readonly text: string;
  readonly flags: readonly string[];
  readonly date: number | null;
}

/** All messages of an mbox that has these octets. */
function read(bytes: string | Uint8Array, format: MboxFormat, mode: 'strip' | 'keep' = 'strip'): Read[] {
  const path = join(dir, 'box');
  writeFileSync(path, typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  const file = new ByteFile(path);
  try {
    return [...extents(file, format, firstMessage(file))].map((extent) => {
      const message = readMboxMessage(file, extent, format, mode);
      return {
        text: Buffer.concat([...message.chunks]).toString('latin1'),
        flags: [...message.status.flags].sort(),
        date: fromLineDate(extent.fromLine),
      };
    });
  } finally {
    file.close();
  }
}

async function write(
  messages: readonly { readonly text: string; readonly flags?: readonly string[] }[],
  format: MboxFormat,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for (const { text, flags = [] } of messages) {
    const raw = rawMessage([Buffer.from(text, 'latin1')]);
    for await (const chunk of mboxMessage({ raw, flags, internalDate: 1_000_000_000_000 }, format))
      chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Lines that are made to mislead. */
const line = fc.oneof(
  { weight: 3, arbitrary: fc.string({ maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, '')) },
  fc.constantFrom(
    '',
    'From ',
    'From a@b Sun Sep  9 01:46:40 2001',
    '>From x',
    '>>>From x',
    ' From x',
    'Content-Length: 3',
    'Status: RO',
    'X-Mbox-Fields: 1',
    '\r',
    'x\r',
    '>',
    '>>',
    'Fro',
  ),
);
const headerLine = fc.constantFrom(
  'Subject: x',
  'Status: O',
  'X-Keywords: a b',
  'Content-Length: 12',
  'X-Mbox-Fields: 2',
  ' folded',
  'From a@b Sun Sep  9 01:46:40 2001',
  '>From a@b',
  'no field',
);
const message = fc
  .record({
    header: fc.array(headerLine, { maxLength: 4 }),
    body: fc.array(line, { maxLength: 8 }),
    ending: fc.constantFrom('\r\n', ''),
  })
  .map(({ header, body, ending }) => ({
    whole: `${header.map((text) => `${text}\r\n`).join('')}\r\n${body.join('\r\n')}${body.length > 0 ? ending : ''}`,
    flags: [],
  }));

describe('what is written is read again', () => {
  test.each(['mboxcl', 'mboxcl2'] as const)('%s: the same octets', async (format) => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 4 }), async (messages) => {
        const texts = messages.map(({ whole }) => whole);
        const box = await write(
          texts.map((text) => ({ text })),
          format,
        );
        expect(read(box, format).map(({ text }) => text)).toEqual(texts);
      }),
      { numRuns: 200 },
    );
  });

  test('mboxrd: the same octets, and a line end at the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 4 }), async (messages) => {
        const texts = messages.map(({ whole }) => (whole.endsWith('\r\n') ? whole : `${whole}\r\n`));
        const box = await write(
          texts.map((text) => ({ text })),
          'mboxrd',
        );
        expect(read(box, 'mboxrd').map(({ text }) => text)).toEqual(texts);
      }),
      { numRuns: 200 },
    );
  });

  test('mboxo: but ">From " lines, which come back as "From "', async () => {
    const text = 'Subject: x\r\n\r\nFrom me\r\n>From you\r\n>>From them\r\n';
    const [back] = read(await write([{ text }], 'mboxo'), 'mboxo');
    expect(back?.text).toBe('Subject: x\r\n\r\nFrom me\r\nFrom you\r\n>>From them\r\n');
  });

  test.each(MBOX_FORMATS)('%s: flags, keywords, date', async (format) => {
    const flags = ['\\Seen', '\\Answered', '\\Flagged', '\\Draft', '\\Deleted', '$Forwarded', 'work'].sort();
    const box = await write(
      [{ text: 'Subject: x\r\n\r\nx\r\n', flags }, { text: 'Subject: y\r\n\r\ny\r\n' }],
      format,
    );
    expect(read(box, format)).toEqual([
      { text: 'Subject: x\r\n\r\nx\r\n', flags, date: 1_000_000_000_000 },
      { text: 'Subject: y\r\n\r\ny\r\n', flags: [], date: 1_000_000_000_000 },
    ]);
  });

  test('the variant is recognised', async () => {
    const messages = [{ text: 'Subject: x\r\n\r\nFrom me\r\n' }, { text: 'Subject: y\r\n\r\ny\r\n' }];
    for (const [format, found] of [
      ['mboxo', 'mboxrd'],
      ['mboxrd', 'mboxrd'],
      ['mboxcl', 'mboxcl'],
      ['mboxcl2', 'mboxcl2'],
    ] as const) {
      const path = join(dir, 'variant');
      writeFileSync(path, await write(messages, format));
      const file = new ByteFile(path);
      expect(detectFormat(file)).toBe(found);
      file.close();
    }
  });
});

describe.skipIf(!haveCorpus)('the corpus', () => {
  test.each(['mboxrd', 'mboxcl', 'mboxcl2'] as const)(
    '%s: the same octets',
    async (format) => {
      const texts = corpusMessages().map(({ bytes }) => asRead(bytes).toString('latin1'));
      const box = await write(
        texts.map((text) => ({ text })),
        format,
      );
      const found = read(box, format);
      expect(found).toHaveLength(texts.length);
      // Only a length says that the last line of a body has no end.
      const hasEnd = (text: string): boolean =>
        text.endsWith('\n') || (format !== 'mboxrd' && /(?:^|\n)\r?\n/.test(text));
      const different = texts.filter((text, at) => found[at]?.text !== (hasEnd(text) ? text : `${text}\r\n`));
      expect(different.map((text) => text.slice(0, 200))).toEqual([]);
    },
    60_000,
  );
});

describe('quoting', () => {
  test('is the same however the octets are cut', () => {
    const part = fc.constantFrom('>', '>>>', 'From ', 'F', 'From', ' ', '\n', '\r\n', 'x');
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 30 }),
        fc.array(fc.nat(40)),
        fc.constantFrom('quote', 'unquote'),
        fc.constantFrom('every', 'bare'),
        (parts, cuts, mode, lines) => {
          const whole = parts.join('');
          const chunks: string[] = [];
          let at = 0;
          for (const cut of [...cuts].sort((a, b) => a - b)) {
            chunks.push(whole.slice(at, cut));
            at = Math.max(at, Math.min(cut, whole.length));
          }
          chunks.push(whole.slice(at));
          const run = (pieces: readonly string[]): string =>
            Buffer.concat([
              ...quoteFrom(
                pieces.map((piece) => Buffer.from(piece)),
                { mode, lines },
              ),
            ]).toString();
          const pattern = {
            quote: { every: /^(?=>*From )/gm, bare: /^(?=From )/gm },
            unquote: { every: /^>(?=>*From )/gm, bare: /^>(?=From )/gm },
          }[mode][lines];
          // In JavaScript a CR begins a line too.
          const wanted = whole
            .split('\n')
            .map((text) => text.replace(new RegExp(pattern.source), mode === 'quote' ? '>' : ''))
            .join('\n');
          expect(run([whole])).toBe(wanted);
          expect(run(chunks)).toBe(wanted);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('mboxes of other programs', () => {
  const FROM = 'From a@example.org Sat Jan  3 01:05:34 1996';

  test('garbage before the first message, no empty line and no line end at the end', () => {
    expect(
      read(`\njunk\n\n${FROM}\nSubject: x\n\nx\n\n${FROM}\nSubject: y\n\ny`, 'mboxrd').map(
        ({ text }) => text,
      ),
    ).toEqual(['Subject: x\r\n\r\nx\r\n', 'Subject: y\r\n\r\ny']);
    expect(read('no mbox at all\n', 'mboxrd')).toEqual([]);
    expect(read('', 'mboxrd')).toEqual([]);
  });

  test('a "From " that is text does not begin a message', () => {
    const box = `${FROM}\nSubject: x\n\n\nFrom here on\nFrom me at 12:00\n\nFrom there\nx\n\n${FROM}\nSubject: y\n\ny\n\n`;
    expect(read(box, 'mboxrd')).toHaveLength(2);
  });

  test('no empty line between messages', () => {
    const box = `${FROM}\nSubject: x\n\nx\n${FROM}\nSubject: y\n\ny\n`;
    expect(read(box, 'mboxrd').map(({ text }) => text)).toEqual([
      'Subject: x\r\n\r\nx\r\n',
      'Subject: y\r\n\r\ny\r\n',
    ]);
  });

  test('CRLF line ends, Thunderbird', () => {
    const box =
      'From - Sat Jan  3 01:05:34 2004\r\nX-Mozilla-Status: 0005\r\nX-Mozilla-Status2: 00000000\r\nX-Mozilla-Keys: $label1 nonjunk         \r\nSubject: x\r\n\r\nx\r\n\r\n' +
      'From - Sat Jan  3 01:05:35 2004\r\nX-Mozilla-Status: 0000\r\nSubject: y\r\n\r\ny\r\n';
    expect(read(box, 'mboxrd')).toEqual([
      {
        text: 'Subject: x\r\n\r\nx\r\n',
        flags: ['$label1', '\\Flagged', '\\Seen', 'nonjunk'],
        date: Date.UTC(2004, 0, 3, 1, 5, 34),
      },
      { text: 'Subject: y\r\n\r\ny\r\n', flags: [], date: Date.UTC(2004, 0, 3, 1, 5, 35) },
    ]);
  });

  test('a wrong Content-Length is not believed', () => {
    const box = `${FROM}\nContent-Length: 1\nSubject: x\n\nlonger\n\n${FROM}\nContent-Length: 2\nSubject: y\n\ny\n\n`;
    expect(read(box, 'mboxcl2').map(({ text }) => text)).toEqual([
      'Content-Length: 1\r\nSubject: x\r\n\r\nlonger\r\n',
      'Subject: y\r\n\r\ny\r\n',
    ]);
  });

  test('status fields stay when asked', () => {
    const [message] = read(`${FROM}\nStatus: RO\nSubject: x\n\nx\n`, 'mboxrd', 'keep');
    expect(message).toMatchObject({ text: 'Status: RO\r\nSubject: x\r\n\r\nx\r\n', flags: ['\\Seen'] });
  });

  test.each([
    ['From a Sat Jan  3 01:05:34 1996', Date.UTC(1996, 0, 3, 1, 5, 34)],
    ['From a@b Sat Jan 13 1:05 1996', Date.UTC(1996, 0, 13, 1, 5)],
    ['From a  Sat Jan  3 01:05:34 +0100 1996', Date.UTC(1996, 0, 3, 0, 5, 34)],
    ['From a Sat Jan  3 01:05:34 1996 -0500', Date.UTC(1996, 0, 3, 6, 5, 34)],
    ['From a Sat Jan  3 01:05:34 EST 1996', Date.UTC(1996, 0, 3, 6, 5, 34)],
    ['From "a b"@c Sat Jan  3 01:05:34 1996 remote from d', Date.UTC(1996, 0, 3, 1, 5, 34)],
    ['From ???@??? Sat Jan 03 01:05:34 1996', Date.UTC(1996, 0, 3, 1, 5, 34)],
    ['From a@b Sat, 3 Jan 1996 01:05:34 +0000', Date.UTC(1996, 0, 3, 1, 5, 34)],
    ['From me at 12:00', null],
    ['From ', null],
  ])('%s', (text, date) => {
    expect(fromLineDate(text)).toBe(date);
  });

  test('a "From " line from dates and senders', () => {
    expect(formatFromLine('a@b', Date.UTC(1996, 0, 3, 1, 5, 4))).toBe('From a@b Wed Jan  3 01:05:04 1996');
    expect(formatFromLine('', 0)).toBe('From MAILER-DAEMON Thu Jan  1 00:00:00 1970');
  });
});

describe('size', () => {
  test('a line of several windows, made of what must be looked at twice', async () => {
    const text = `Subject: x\r\n\r\n${'>'.repeat(3_000_000)}From x\r\n${'From '.repeat(500_000)}\r\n`;
    const [back] = read(await write([{ text }], 'mboxrd'), 'mboxrd');
    expect(back?.text === text).toBe(true);
  });
});
