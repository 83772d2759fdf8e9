import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SmtpError } from '../../src/mail/reply.ts';
import { countReceived, deliveredTo, HeaderSection, MAX_HEADER } from '../../src/smtp/header.ts';
import { smtpOptions } from '../../src/smtp/options.ts';
import { parseMailParameters, parseRcptParameters } from '../../src/smtp/parameters.ts';
import { parseForwardPath, parseReversePath, splitArguments } from '../../src/smtp/path.ts';
import { completeHeader } from '../../src/smtp/submitted-header.ts';

const piece = fc.constantFrom(
  '<',
  '>',
  '"',
  '\\',
  '@',
  ':',
  ',',
  ' ',
  '\t',
  '=',
  '+',
  '+2B',
  ';',
  '.',
  'FROM',
  'TO',
  'a',
  'example.org',
  'SIZE=1',
  'NOTIFY=NEVER',
  'ORCPT=rfc822;a',
  'ENVID=',
  'postmaster',
  '[127.0.0.1]',
  '\u00e9',
  '\ud83d',
);
const hostile = fc.array(piece, { maxLength: 30 }).map((parts) => parts.join(''));

/** Runs it; anything but its own error is a failure. */
function refuses(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error;
    expect(error.reply.code).toBeGreaterThanOrEqual(500);
  }
}

test('MAIL and RCPT throw nothing but SmtpError', () => {
  fc.assert(
    fc.property(hostile, fc.constantFrom('ascii', 'utf-8'), (text, alphabet) => {
      for (const keyword of ['FROM', 'TO'] as const)
        refuses(() => {
          const { path, parameters } = splitArguments(`${keyword}:${text}`, keyword);
          refuses(() => parseMailParameters(parameters, { requireTls: true }));
          refuses(() => parseRcptParameters(parameters));
          refuses(() => parseReversePath(path, alphabet));
          refuses(() => parseForwardPath(path, alphabet));
        });
    }),
    { numRuns: 3000 },
  );
});

test('decoded parameters hold no control characters, whatever is encoded', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (octets) => {
      const hex = [...octets]
        .map((octet) => `+${octet.toString(16).toUpperCase().padStart(2, '0')}`)
        .join('');
      refuses(() => {
        const { envid } = parseMailParameters([`ENVID=${hex}`], { requireTls: false });
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there.
        expect(envid).not.toMatch(/[\x00-\x1f\x7f]/);
      });
    }),
  );
});

test('long arguments take one pass', () => {
  for (const text of [
    '<'.repeat(1e5),
    `<${'"'.repeat(1e5)}`,
    `<${'\\"'.repeat(5e4)}`,
    `<>${' A'.repeat(5e4)}`,
  ])
    refuses(() => splitArguments(`FROM:${text}`, 'FROM'));
});

test('a header section is found however it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('\r\n', '\r', 'a: b', 'x'), { maxLength: 12 }).map((parts) => parts.join('')),
      fc.integer({ min: 1, max: 5 }),
      (text, size) => {
        const section = new HeaderSection();
        const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n') + 2;
        let fed = '';
        for (let at = 0; at < text.length; at += size) {
          const chunk = text.slice(at, at + size);
          fed += chunk;
          const part = section.take(Buffer.from(chunk));
          if (part.is === 'open') continue;
          expect(part.header.toString() + part.rest.toString()).toBe(fed);
          expect(part.header.toString()).toBe(text.slice(0, end));
          return;
        }
        expect(text.startsWith('\r\n') || text.includes('\r\n\r\n')).toBe(false);
        expect(section.end().toString()).toBe(text);
      },
    ),
    { numRuns: 2000 },
  );
});

test('a header section is not held without bound', () => {
  const section = new HeaderSection();
  const chunk = Buffer.alloc(65_536, 'x');
  let held = 0;
  for (;;) {
    held += chunk.length;
    const part = section.take(chunk);
    if (part.is === 'open') continue;
    expect(part.is).toBe('too-long');
    expect(held).toBeLessThanOrEqual(MAX_HEADER + chunk.length);
    return;
  }
});

test('only whole field names are counted', () => {
  expect(countReceived('Received: a\r\nX-Received: b\r\nreceived : c\r\n Received: d\r\n')).toBe(2);
  expect(deliveredTo('Delivered-To: a@b.c \r\nX: Delivered-To: d@e.f\r\nDELIVERED-TO:g@h.i\r\n')).toEqual([
    'a@b.c',
    'g@h.i',
  ]);
});

test('a completed header keeps every octet but those of Bcc', () => {
  const field = fc.constantFrom(
    'Subject: x\r\n',
    'From: a@b.c\r\n',
    'X: y\r\n z\r\n',
    'To:\r\n\tq\r\n',
    'Bcc: h\r\n i\r\n',
  );
  fc.assert(
    fc.property(fc.array(field), (fields) => {
      const { header, body } = completeHeader(fields.join(''), {
        id: 'Q1',
        hostname: 'mx.example.org',
        from: null,
        at: new Date(0),
      });
      const kept = fields.filter((one) => !one.startsWith('Bcc')).join('');
      expect(header.startsWith(kept)).toBe(true);
      expect(header.slice(kept.length)).toBe(
        'Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <Q1@mx.example.org>\r\n',
      );
      expect(body).toBe('');
    }),
  );
});

test('the settings: defaults, and what RFC 5321 asks for', () => {
  expect(smtpOptions.parse({})).toMatchObject({
    maxMessageSize: 50 * 1024 * 1024,
    maxRecipients: 1000,
    bareNewline: 'refuse',
    greetingDelay: 0,
    timeouts: { command: 300_000, data: 180_000 },
  });
  expect(smtpOptions.safeParse({ maxRecipients: 99 }).success).toBe(false);
  expect(smtpOptions.safeParse({ maxSize: '1MB' }).success).toBe(false);
});
