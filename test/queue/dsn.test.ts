import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ParsedMail, simpleParser } from 'mailparser';
import { expect, test } from 'vitest';
import type { Address } from '../../src/mail/address.ts';
import { type RawMessage, rawMessage } from '../../src/mail/raw-message.ts';
import type { Reply } from '../../src/mail/reply.ts';
import { composeDsn, type Dsn } from '../../src/queue/dsn.ts';
import type { QueuedMessage, QueuedRecipient, QueueId } from '../../src/queue/queue.ts';
import type { DsnEvent, DsnRecipient } from '../../src/queue/report.ts';
import { address } from './fixtures.ts';

const NOW = Date.parse('2026-03-03T10:20:30Z');
const TERMS = { hostname: 'mx.example.org', now: NOW, expire: 5 * 86_400_000 };
const ORIGINAL = [
  'From: Sender <sender@example.org>',
  'To: bob@example.net',
  'Subject: A question',
  'Message-ID: <q-1@example.org>',
  'References: <r-0@example.org> <r-1@example.org>',
  '',
  'Do you have time?',
  '',
].join('\r\n');

function recipient(to: string, more: Partial<QueuedRecipient> = {}): QueuedRecipient {
  const parsed = address(to);
  const state = { is: 'waiting', attempts: 1, nextAttempt: NOW } as const;
  return { index: 0, address: parsed, original: parsed, account: null, state, ...more };
}

function message(recipients: readonly QueuedRecipient[], more: Partial<QueuedMessage> = {}): QueuedMessage {
  return {
    id: '1k0000000abcde' as QueueId,
    from: address('sender@example.org'),
    body: '7bit',
    smtputf8: false,
    requireTls: false,
    source: 'submission',
    account: null,
    queuedAt: NOW - 3_600_000,
    size: ORIGINAL.length,
    finalTrace: 0,
    recipients,
    ...more,
  };
}

interface Case {
  readonly to?: readonly QueuedRecipient[];
  readonly action?: DsnRecipient['action'];
  readonly reply?: Reply;
  readonly remoteMta?: string;
  readonly event?: DsnEvent;
  readonly message?: Partial<QueuedMessage>;
  readonly original?: string | RawMessage;
  readonly sender?: Address;
}

async function compose(one: Case): Promise<{ dsn: Dsn; text: string; parsed: ParsedMail }> {
  const to = one.to ?? [recipient('bob@example.net')];
  const original = one.original ?? ORIGINAL;
  const raw = typeof original === 'string' ? rawMessage([Buffer.from(original)]) : original;
  const sender = one.sender ?? address('sender@example.org');
  const told = to.map((entry) => ({
    recipient: entry,
    action: one.action ?? 'failed',
    reply: one.reply ?? { code: 550, enhanced: '5.1.1' as const, text: '<bob@example.net>: user unknown' },
    ...(one.remoteMta !== undefined && { remoteMta: one.remoteMta }),
  }));
  const about = message(to, { size: raw.size, from: sender, ...one.message });
  const dsn = await composeDsn(about, sender, raw, one.event ?? 'failure', told, TERMS);
  const chunks: Uint8Array[] = [];
  for await (const chunk of dsn.raw.read()) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  expect(bytes.length).toBe(dsn.raw.size);
  const text = bytes.toString();
  // Lines end with CRLF and stay below what SMTP allows (RFC 5321 4.5.3.1.6).
  expect(text.replace(/\r\n/g, '')).not.toMatch(/[\r\n]/);
  return { dsn, text, parsed: await simpleParser(bytes) };
}

/** The parts of the report, by their type. */
function parts(text: string): { type: string; header: string; body: string }[] {
  const boundary = /boundary="([^"]+)"/.exec(text)?.[1] ?? '';
  return text
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => {
      const end = part.indexOf('\r\n\r\n');
      const header = part.slice(2, end);
      return {
        type: /Content-Type: ([^;\r]+)/i.exec(header)?.[1] ?? '',
        header,
        body: part.slice(end + 4, -2),
      };
    });
}

const unfolded = (text: string): string => text.replace(/\r\n /g, ' ');

test('a failure: three parts, addressed to the sender, from the null sender (RFC 3461 6, RFC 6522)', async () => {
  const { dsn, text, parsed } = await compose({ remoteMta: 'mx1.example.net' });
  expect(dsn.message).toEqual({
    from: null,
    body: '7bit',
    smtputf8: false,
    requireTls: false,
    source: 'dsn',
    account: null,
    recipients: [
      {
        address: address('sender@example.org'),
        original: address('sender@example.org'),
        account: null,
        notify: [],
      },
    ],
  });
  expect(parsed.from?.value[0]?.address).toBe('MAILER-DAEMON@mx.example.org');
  expect(parsed.to && 'text' in parsed.to ? parsed.to.text : '').toBe('sender@example.org');
  expect(parsed.subject).toBe('Undelivered mail returned to sender');
  expect(parsed.headers.get('auto-submitted')).toBe('auto-replied');
  expect(parsed.inReplyTo).toBe('<q-1@example.org>');
  expect(parsed.references).toEqual(['<r-0@example.org>', '<r-1@example.org>', '<q-1@example.org>']);
  expect(parsed.date?.getTime()).toBe(NOW);
  const type = parsed.headers.get('content-type');
  expect(type).toMatchObject({ value: 'multipart/report', params: { 'report-type': 'delivery-status' } });
  expect(parts(text).map((part) => part.type)).toEqual([
    'text/plain',
    'message/delivery-status',
    'message/rfc822',
  ]);
  expect(parts(text)[2]?.body).toBe(ORIGINAL);
});

test('the words for people say who, what and what to do', async () => {
  const { parsed } = await compose({ remoteMta: 'mx1.example.net' });
  expect(parsed.text).toContain('This is the mail system at mx.example.org.');
  expect(parsed.text).toContain('could not be delivered to this recipient');
  expect(parsed.text).toContain('<bob@example.net>');
  expect(parsed.text).toContain('mx1.example.net answered:');
  expect(parsed.text).toContain('550 5.1.1 <bob@example.net>: user unknown');
  expect(parsed.text).toContain('There is no such address there.');
  expect(parsed.text).toContain('postmaster@mx.example.org');
});

test('the machine-readable part has the fields of RFC 3464 2.2 and 2.3, as RFC 3461 6.3 wants them', async () => {
  const { text } = await compose({
    to: [recipient('bob@example.net', { orcpt: 'rfc822;Bob@example.net' })],
    remoteMta: 'mx1.example.net',
    message: { envid: 'QQ314159' },
  });
  expect(unfolded(parts(text)[1]?.body ?? '')).toBe(
    [
      'Original-Envelope-Id: QQ314159',
      'Reporting-MTA: dns; mx.example.org',
      'Arrival-Date: Tue, 3 Mar 2026 09:20:30 +0000',
      'X-Facteur-Queue-Id: 1k0000000abcde',
      '',
      'Original-Recipient: rfc822;Bob@example.net',
      'Final-Recipient: rfc822; bob@example.net',
      'Action: failed',
      'Status: 5.1.1',
      'Remote-MTA: dns; mx1.example.net',
      'Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: user unknown',
      'Last-Attempt-Date: Tue, 3 Mar 2026 10:20:30 +0000',
      '',
    ].join('\r\n'),
  );
});

test('without ENVID and ORCPT their fields do not appear (RFC 3461 6.3 a, d)', async () => {
  const { text } = await compose({});
  expect(text).not.toMatch(/Original-Envelope-Id|Original-Recipient|Remote-MTA/);
});

test('a delay says how long we go on (Will-Retry-Until), and quotes the header only', async () => {
  const { text, parsed } = await compose({
    event: 'delay',
    action: 'delayed',
    reply: { code: 451, enhanced: '4.4.1', text: 'connection timed out' },
  });
  expect(parsed.subject).toBe('Delayed mail, still being tried');
  expect(text).toContain('Action: delayed\r\nStatus: 4.4.1\r\n');
  expect(text).toContain('Will-Retry-Until: Sun, 8 Mar 2026 09:20:30 +0000');
  expect(parsed.text).toContain('You need not send it again');
  expect(parts(text)[2]?.type).toBe('text/rfc822-headers');
  expect(parts(text)[2]?.body).toBe(ORIGINAL.slice(0, ORIGINAL.indexOf('\r\n\r\n') + 2));
});

test.each([
  ['delivered', 'Your mail was delivered'],
  ['relayed', 'Your mail was passed on'],
  ['expanded', 'Your mail was passed on'],
] as const)('success: action %s', async (action, subject) => {
  const reply: Reply = { code: 250, text: 'ok' };
  const { text, parsed } = await compose({ event: 'success', action, reply });
  expect(text).toContain(`Action: ${action}\r\nStatus: 2.0.0\r\n`);
  expect(parsed.subject).toBe(subject);
});

test.each([
  ['failed', undefined, '5.0.0'],
  ['failed', '4.4.1', '5.0.0'],
  ['failed', '5.7.1', '5.7.1'],
  ['expired', '4.4.1', '4.4.1'],
  ['expired', undefined, '4.4.7'],
  ['delayed', undefined, '4.0.0'],
] as const)('%s with the code %s has the status %s', async (action, enhanced, status) => {
  const reply: Reply = { code: 450, text: 'no', ...(enhanced !== undefined && { enhanced }) };
  const { text } = await compose({ action, reply });
  expect(text).toContain(`Status: ${status}\r\n`);
});

test('several recipients are one report, each with its block', async () => {
  const to = ['a@example.net', 'b@example.net', 'c@example.net'].map((text, index) =>
    recipient(text, { index }),
  );
  const { text, parsed } = await compose({ to });
  expect(text.match(/^Final-Recipient: .*$/gm)).toHaveLength(3);
  expect(parsed.text).toContain('these 3 recipients');
});

test('what of the message is returned: RET, size, REQUIRETLS (RFC 3461 4.3, RFC 8689 5)', async () => {
  const big = `Subject: big\r\n\r\n${'line of text\r\n'.repeat(8000)}`;
  const third = async (one: Case): Promise<string> => parts((await compose(one)).text)[2]?.type ?? '';
  expect(await third({})).toBe('message/rfc822');
  expect(await third({ message: { ret: 'hdrs' } })).toBe('text/rfc822-headers');
  expect(await third({ original: big })).toBe('text/rfc822-headers');
  expect(await third({ original: big, message: { ret: 'full' } })).toBe('message/rfc822');
  expect(await third({ message: { ret: 'full', requireTls: true } })).toBe('text/rfc822-headers');
  expect(await third({ message: { ret: 'full', body: 'binarymime' } })).toBe('text/rfc822-headers');
  expect((await compose({ message: { requireTls: true } })).dsn.message.requireTls).toBe(true);
});

test('a big message is quoted by reference to its file, never read', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'dsn-'));
  const path = join(directory, 'message');
  writeFileSync(path, `Subject: big\r\n\r\n${'x'.repeat(60)}\r\n`.padEnd(3_000_000, 'y'));
  const raw = rawMessage([{ path, start: 0, end: 3_000_000 }]);
  const told = {
    recipient: recipient('bob@example.net'),
    action: 'failed',
    reply: { code: 550, text: 'no' },
  } as const;
  const sender = address('sender@example.org');
  const dsn = await composeDsn(
    message([told.recipient], { ret: 'full', size: 3_000_000, finalTrace: 14 }),
    sender,
    raw,
    'failure',
    [told],
    TERMS,
  );
  expect(dsn.raw.pieces[1]).toEqual({ path, start: 14, end: 3_000_000 });
  rmSync(directory, { recursive: true });
});

test('trace fields of final delivery are not returned', async () => {
  const trace = 'Return-Path: <sender@example.org>\r\nDelivered-To: private@example.net\r\n';
  const { text } = await compose({ original: trace + ORIGINAL, message: { finalTrace: trace.length } });
  expect(text).not.toContain('private@example.net');
  expect(parts(text)[2]?.body).toBe(ORIGINAL);
});

test('8-bit content makes the report 8BITMIME', async () => {
  const { dsn, text } = await compose({ message: { body: '8bitmime' }, original: `${ORIGINAL}é\r\n` });
  expect(dsn.message.body).toBe('8bitmime');
  expect(text).toMatch(/Content-Transfer-Encoding: 8bit\r\n\r\nThis is/);
});

test('an internationalized sender gets message/global parts and SMTPUTF8 (RFC 6533 4)', async () => {
  const sender = address('félix@example.org');
  const to = [recipient('bücher@example.net', { orcpt: 'utf-8;bücher@example.net' })];
  const { dsn, text } = await compose({ sender, to, message: { smtputf8: true, body: '8bitmime' } });
  expect(dsn.message).toMatchObject({ smtputf8: true, body: '8bitmime' });
  expect(parts(text).map(({ type }) => type)).toEqual([
    'text/plain',
    'message/global-delivery-status',
    'message/global',
  ]);
  expect(text).toContain('To: <félix@example.org>');
  expect(text).toContain('Final-Recipient: utf-8; bücher@example.net');
  expect(text).toContain('Original-Recipient: utf-8;bücher@example.net');
});

test('an SMTPUTF8 message of an ASCII sender: its header comes back in base64, no SMTPUTF8 needed (RFC 6533 4.5)', async () => {
  const original = 'Subject: Grüße\r\n\r\nhi\r\n';
  const { dsn, text } = await compose({ original, message: { smtputf8: true, body: '8bitmime' } });
  expect(dsn.message).toMatchObject({ smtputf8: false, body: '7bit' });
  const last = parts(text)[2];
  expect(last?.type).toBe('message/global-headers');
  expect(Buffer.from(last?.body ?? '', 'base64').toString()).toBe('Subject: Grüße\r\n');
});

test('an ORCPT of type utf-8 in an ASCII report has its 7-bit form (RFC 6533 3)', async () => {
  const { text } = await compose({
    to: [recipient('bob@example.net', { orcpt: 'utf-8;bücher@example.net' })],
  });
  expect(text).toContain('Original-Recipient: utf-8;b\\x{FC}cher@example.net');
});

test('internationalized domains stand in A-labels in the header and for programs', async () => {
  const { text } = await compose({
    sender: address('a@bücher.example'),
    to: [recipient('b@bücher.example')],
  });
  expect(text).toContain('To: <a@xn--bcher-kva.example>');
  expect(text).toContain('Final-Recipient: rfc822; b@xn--bcher-kva.example');
});

test('nothing that strangers say can add a field, a line or a part', async () => {
  const evil = 'x\r\nBcc: victim@example.com\r\n\r\n--boundary';
  const { text, parsed } = await compose({
    to: [recipient('bob@example.net', { orcpt: `rfc822;${evil}` })],
    reply: { code: 550, text: `${evil}\0\x1b[31m\u2028more` },
    remoteMta: 'mx.evil.example',
    message: { envid: evil },
    original: 'Message-ID: <a b> <ok@x> \r\n "Injected: yes"\r\nReferences: nonsense\r\n\r\n--=_\r\n',
  });
  expect(text).not.toMatch(/^Bcc:/m);
  for (const char of ['\0', '\x1b', '\u2028']) expect(text).not.toContain(char);
  expect(parsed.inReplyTo).toBe('<ok@x>');
  expect(parts(text)).toHaveLength(3);
});

test('very long replies and References are cut, and lines stay short', async () => {
  const { text } = await compose({
    reply: { code: 550, enhanced: '5.7.1', text: 'word '.repeat(5000) },
    original: `Message-ID: <m@x>\r\nReferences: ${Array.from({ length: 500 }, (_, n) => `<${n}@example.org>`).join('\r\n ')}\r\n\r\n`,
  });
  const head = text.slice(0, text.indexOf('message/rfc822'));
  expect(head.length).toBeLessThan(8000);
  for (const line of head.split('\r\n')) expect(line.length).toBeLessThan(200);
  expect(head).toContain('<499@example.org>');
});

test('a message without an end of its header, or without anything', async () => {
  for (const original of ['', 'Subject: only', '\r\n\r\nbody'])
    expect(parts((await compose({ original, message: { ret: 'hdrs' } })).text)).toHaveLength(3);
});

test('the same report made twice has the same Message-ID, another one another', async () => {
  const id = async (one: Case): Promise<string | undefined> => (await compose(one)).parsed.messageId;
  expect(await id({})).toBe(await id({}));
  expect(await id({})).not.toBe(await id({ to: [recipient('bob@example.net', { index: 1 })] }));
  expect(await id({})).not.toBe(await id({ action: 'expired' }));
});

const fixture = join(import.meta.dirname, '../../../shared/fixtures/dsn.eml');
const there = existsSync(fixture);
if (!there) console.log('skipped: no ../shared/fixtures/dsn.eml to compare with');

test.skipIf(!there)('it has every field that a report of another mail system has', async () => {
  const theirs = readFileSync(fixture, 'latin1');
  const names = (text: string): Set<string> =>
    new Set([...text.matchAll(/^([A-Z][A-Za-z-]+):/gm)].map((match) => (match[1] ?? '').toLowerCase()));
  const { text } = await compose({
    to: [recipient('bob@example.net', { orcpt: 'rfc822;bob@example.net' })],
    remoteMta: 'mx1.example.net',
  });
  const ours = names(text);
  const wanted = [
    'reporting-mta',
    'arrival-date',
    'final-recipient',
    'original-recipient',
    'action',
    'status',
  ];
  for (const name of [...wanted, 'remote-mta', 'diagnostic-code', 'auto-submitted', 'mime-version', 'date']) {
    expect(names(theirs)).toContain(name);
    expect(ours).toContain(name);
  }
});
