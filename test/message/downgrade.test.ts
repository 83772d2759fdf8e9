import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rawMessage } from '../../src/mail/raw-message.ts';
import { downgraded, downgradedHeader } from '../../src/message/downgrade.ts';
import { decodeWords } from '../../src/message/encoded-word.ts';
import { scan } from '../../src/message/scan.ts';

const header = async (text: string | Buffer): Promise<string> =>
  Buffer.from(await downgradedHeader(Buffer.from(text))).toString('latin1');
const word = (text: string): string => `=?utf-8?B?${Buffer.from(text).toString('base64')}?=`;

describe('fields (RFC 6857)', () => {
  test('the example of appendix A', async () => {
    const received = [
      'Return-Path: <élodie@example.com>',
      'Received: from a.example by b.example for <rené@example.net>',
      'Received: from a.example by b.example id é7; Mon, 30 Jul 2012 01:23:45 -0000',
      'From: Élodie <élodie@example.com>',
      'To: René <rené@example.net>,',
      '    Søren <søren@example.com>',
      'Cc: Zoë <zoë@example.org>',
      'Subject: Déjà vu',
      'Date: Mon, 30 Jul 2012 01:23:45 -0000',
      'Message-Id: <é@example.com>',
      'Mime-Version: 1.0',
      'Content-Type: text/plain; charset="UTF-8"',
      'Content-Transfer-Encoding: 8bit',
      'X-Unknown-Header: naïf',
      '',
      '',
    ].join('\r\n');
    expect(await header(received)).toBe(
      [
        `Return-Path: ${word('élodie@example.com')} :;`,
        'Received: from a.example by b.example',
        'Received: from a.example by b.example; Mon, 30 Jul 2012 01:23:45 -0000',
        `From: ${word('Élodie')} ${word('élodie@example.com')} :;`,
        `To: ${word('René')} ${word('rené@example.net')} :;,`,
        ` ${word('Søren')} ${word('søren@example.com')} :;`,
        `Cc: ${word('Zoë')} ${word('zoë@example.org')} :;`,
        `Subject: ${word('Déjà vu')}`,
        'Date: Mon, 30 Jul 2012 01:23:45 -0000',
        `Downgraded-Message-Id: ${word('<é@example.com>')}`,
        'Mime-Version: 1.0',
        'Content-Type: text/plain; charset="UTF-8"',
        'Content-Transfer-Encoding: 8bit',
        `X-Unknown-Header: ${word('naïf')}`,
        '',
        '',
      ].join('\r\n'),
    );
  });

  test.each([
    // 3.1.6, 3.1.8: a domain has a form in ASCII, and one can answer.
    ['From: "Müller, Hans" <hans@exämple.org>', `From: ${word('Müller, Hans')} <hans@xn--exmple-cua.org>`],
    [
      'To: ann@exämple.org, "Bob B." <b@example.org>',
      'To: ann@xn--exmple-cua.org,\r\n "Bob B." <b@example.org>',
    ],
    ['From: =?utf-8?Q?=C3=89?= <a@exämple.org>', 'From: =?utf-8?Q?=C3=89?= <a@xn--exmple-cua.org>'],
    // 3.1.7
    [
      'To: Freunde: ä@example.org, B <b@example.org>;',
      `To: Freunde ${word('ä@example.org, B <b@example.org>')} :;`,
    ],
    ['To: Kollegen: a@exämple.org;', 'To: Kollegen: a@xn--exmple-cua.org;'],
    // 3.1.3, 3.2.2
    ['Date: Mon, 30 Jul 2012 01:23:45 +0200 (été)', `Date: Mon, 30 Jul 2012 01:23:45 +0200 (${word('été')})`],
    ['Message-ID: <a@b> (é)', `Message-ID: <a@b> (${word('é')})`],
    // 3.1.4
    [
      'Content-Disposition: attachment; filename="Été (1).pdf"; size=3',
      'Content-Disposition: attachment;\r\n filename*=utf-8\'\'%C3%89t%C3%A9%20%281%29.pdf;\r\n size="3"',
    ],
    ['Content-Type: text/é', `Content-Type: ${word('text/é')}`],
    [
      'Received: from exämple.org (hôte [192.0.2.1]) by b',
      `Received: from xn--exmple-cua.org (${word('hôte [192.0.2.1]')}) by b`,
    ],
    // Encoded words beside raw text
    ['Subject: =?utf-8?Q?=C3=89t=C3=A9?= à Paris', `Subject: ${word('Été à Paris')}`],
    ['jünk', 'j??nk'],
  ])('%s', async (given, expected) => {
    expect(await header(`${given}\r\n\r\n`)).toBe(`${expected}\r\n\r\n`);
  });

  test('a field of ASCII stays as it is, to the octet', async () => {
    const odd = 'From :  a@b ,\r\n\tc@d (x)\r\nX:y\n';
    expect(await header(`${odd}Subject: é\r\n\r\n`)).toBe(`${odd}Subject: ${word('é')}\r\n\r\n`);
  });

  test('8-bit text that is no UTF-8 is read as well as it can be', async () => {
    const made = await header(Buffer.from('Subject: Gr\xfc\xdfe\r\n\r\n', 'latin1'));
    expect(decodeWords(made.slice(9).trim())).toBe('Grüße');
  });

  test('a letter of which A0 is the last octet is whole', async () => {
    expect(await header('Subject: voilà\r\nFrom: Voilà <a@é.org>\r\n\r\n')).toBe(
      `Subject: ${word('voilà')}\r\nFrom: ${word('Voilà')} <a@xn--9ca.org>\r\n\r\n`,
    );
  });

  test('a long file name is in pieces, none of which ends within an octet', async () => {
    const made = await header(`Content-Disposition: attachment; filename="${'é'.repeat(400)}"\r\n\r\n`);
    const values = [...made.matchAll(/filename\*\d+\*=(?:utf-8'')?([^;\r]*)/g)].map(
      ([, value = '']) => value,
    );
    expect(values.length).toBeGreaterThan(1);
    expect(
      values
        .map((value) =>
          Buffer.from(
            value.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
            'latin1',
          ).toString(),
        )
        .join(''),
    ).toHaveLength(400);
  });

  test('whatever comes, ASCII goes', async () => {
    const name = fc.constantFrom(
      'From',
      'To',
      'Subject',
      'Received',
      'Message-ID',
      'Content-Type',
      'Date',
      'X-Y',
    );
    const value = fc.string({
      unit: fc.constantFrom(
        'é',
        '\xff',
        '"',
        '(',
        ')',
        '<',
        '>',
        '@',
        ';',
        ',',
        ':',
        '=',
        ' ',
        'a',
        '*',
        '\r\n ',
        '日',
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 5 }), async (list) => {
        const text = list.map(([each, content]) => `${each}: ${content}\r\n`).join('');
        for (const bytes of [Buffer.from(text), Buffer.from(text, 'latin1')])
          expect((await downgradedHeader(bytes)).every((octet) => octet < 0x80)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('messages', () => {
  const MESSAGE = [
    'Subject: é',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: text/plain; charset=utf-8; name="é.txt"',
    '',
    'Grüße',
    '--b',
    'Content-Type: message/rfc822',
    '',
    'Subject: à',
    '',
    'inner é',
    '--b--',
    '',
  ].join('\r\n');

  test('headers of parts and of messages in it change, bodies do not', async () => {
    const bytes = Buffer.from(MESSAGE);
    const raw = rawMessage([bytes.subarray(0, 30), bytes.subarray(30)]);
    const made = await downgraded(raw, scan(bytes));
    const text = await read(made);
    expect(made?.size).toBe(Buffer.byteLength(text));
    expect(text).toBe(
      MESSAGE.replace('Subject: é', `Subject: ${word('é')}`)
        .replace(
          'text/plain; charset=utf-8; name="é.txt"',
          'text/plain;\r\n charset="utf-8";\r\n name*=utf-8\'\'%C3%A9.txt',
        )
        .replace('Subject: à', `Subject: ${word('à')}`),
    );
  });

  test('one that has ASCII headers is itself', async () => {
    const bytes = Buffer.from('Subject: a\r\n\r\né\r\n');
    const raw = rawMessage([bytes]);
    expect(await downgraded(raw, scan(bytes))).toBe(raw);
  });

  test('headers without end are not rewritten', async () => {
    const bytes = Buffer.from(`Subject: ${'é'.repeat(200_000)}\r\n\r\n`);
    expect(await downgraded(rawMessage([bytes]), scan(bytes))).toBeUndefined();
  });
});

async function read(raw: { read(): AsyncIterable<Uint8Array> } | undefined): Promise<string> {
  let text = '';
  const chunks: Uint8Array[] = [];
  for await (const chunk of raw?.read() ?? []) chunks.push(chunk);
  text = Buffer.concat(chunks).toString();
  return text;
}
