import nodemailer from 'nodemailer';
import { freePorts } from '../processes.ts';
import { eventually, inbox, type Line, sendAs, startWorld, type World } from '../world.ts';
import { DNS_SERVER, type Internet, REMOTE_SUBMISSION, startInternet } from './internet.ts';

/**
 * What shall become of a recipient: `arrives` at a remote host, `bounces` to the sender, or `waits` in the queue.
 * `reply` is part of the last reply or reason in the log.
 */
type Outcome = 'arrives' | 'bounces' | 'waits';

interface Case {
  readonly to: string;
  readonly outcome: Outcome;
  readonly reply: RegExp;
  readonly what: string;
  /** Octets of text. */
  readonly size?: number;
}

export interface Row {
  readonly case: string;
  readonly what: string;
  readonly expected: string;
  readonly found: string;
  readonly fine: boolean;
}

const CASES: readonly Case[] = [
  { to: 'x@remote.test', outcome: 'arrives', reply: /^250 /, what: 'a good host' },
  { to: 'x@twomx.test', outcome: 'arrives', reply: /^250 /, what: 'first MX refuses connections' },
  { to: 'x@busymx.test', outcome: 'arrives', reply: /^250 /, what: 'first MX greets with 421' },
  { to: 'x@grey.test', outcome: 'arrives', reply: /^250 /, what: 'greylisting' },
  { to: 'x@tempfail.test', outcome: 'waits', reply: /^451 4\.3\.0/, what: '451 for ever' },
  { to: 'x@reject.test', outcome: 'bounces', reply: /^550 5\.1\.1/, what: '550 at RCPT' },
  { to: 'x@rejdata.test', outcome: 'bounces', reply: /^554 5\.7\.1/, what: '554 after DATA' },
  { to: 'x@mixed.test', outcome: 'arrives', reply: /^250 /, what: 'one of two refused: the other' },
  { to: 'no@mixed.test', outcome: 'bounces', reply: /^550 5\.1\.1/, what: 'one of two refused: this one' },
  { to: 'x@nullmx.test', outcome: 'bounces', reply: /5\.1\.10/, what: 'null MX (RFC 7505)' },
  { to: 'x@nomx.test', outcome: 'arrives', reply: /^250 /, what: 'no MX but an address (RFC 5321 5.1)' },
  { to: 'x@cnamed.test', outcome: 'arrives', reply: /^250 /, what: 'an alias of another domain' },
  { to: 'x@badmx.test', outcome: 'bounces', reply: /5\.[14]\.\d/, what: 'MX without an address' },
  { to: 'x@nx.test', outcome: 'bounces', reply: /5\.1\.2/, what: 'no such domain' },
  { to: 'x@servfail.test', outcome: 'waits', reply: /4\.4\.3/, what: 'DNS fails' },
  { to: 'x@tlsonly.test', outcome: 'arrives', reply: /^250 /, what: 'TLS required' },
  { to: 'x@notls.test', outcome: 'arrives', reply: /^250 /, what: 'no STARTTLS' },
  {
    to: 'x@expired.test',
    outcome: 'arrives',
    reply: /^250 /,
    what: 'expired certificate, opportunistic TLS',
  },
  { to: 'x@small.test', outcome: 'bounces', reply: /5\.3\.4/, what: 'too large for its SIZE', size: 150_000 },
  { to: 'y@small.test', outcome: 'arrives', reply: /^250 /, what: 'small enough for its SIZE' },
  { to: 'x@old.test', outcome: 'arrives', reply: /^250 /, what: 'no extensions at all' },
  { to: 'x@xn--bcher-kva.test', outcome: 'arrives', reply: /^250 /, what: 'internationalised domain' },
];

/** How the log names a recipient: an internationalised domain as people write it. */
const NAMES: ReadonlyMap<unknown, string> = new Map(
  CASES.map(({ to }) => [to.replace('xn--bcher-kva', 'bücher'), to]),
);

const ALICE = 'alice@example.test';
const SECRET = 'wonder-Land.1';

/** How long it is waited for all outcomes; greylisting alone takes two attempts, 4 s and 6 s apart. */
const PATIENCE_MS = 60_000;

/** Exchanges mail with a Postfix that plays the world, in both directions. One row a case. */
export async function postfixInterop(): Promise<readonly Row[]> {
  const [mxPort = 0, facteurPort = 0] = await freePorts(2);
  const internet = startInternet(mxPort, facteurPort);
  try {
    const facteur = await startWorld({
      smtpPort: facteurPort,
      settings: {
        hostname: 'mail.example.test',
        dns: { servers: [DNS_SERVER] },
        tls: { cert: `${internet.certs}/server.chain.pem`, key: `${internet.certs}/server.key` },
        delivery: { port: mxPort, ipv6: false },
        queue: { retry: ['4s', '6s', '8s'] },
      },
      accounts: { [ALICE]: SECRET },
    });
    try {
      return [...(await outbound(facteur, internet)), ...(await inbound(facteur))];
    } finally {
      await facteur.close();
    }
  } finally {
    internet.close();
  }
}

/** Facteur → Postfix. */
async function outbound(facteur: World, internet: Internet): Promise<Row[]> {
  // Both recipients of mixed.test are in one message.
  for (const { to, size } of CASES)
    if (to !== 'no@mixed.test')
      await sendAs(facteur, ALICE, SECRET, {
        to: to === 'x@mixed.test' ? [to, 'no@mixed.test'] : to,
        subject: `To ${to}`,
        text: 'All work and no play makes Jack a dull boy.\n'.repeat((size ?? 44) / 44),
      });
  const attempts = (to: string): Line[] =>
    facteur.lines.filter((line) => NAMES.get(line['to']) === to && line.message === 'delivery attempt');
  const settled = (): boolean =>
    CASES.every(({ to, outcome }) => {
      const last = attempts(to).at(-1)?.['status'];
      return last !== undefined && (outcome === 'waits' || last !== 'deferred');
    });
  const end = Date.now() + PATIENCE_MS;
  while (!settled() && Date.now() < end) await new Promise((done) => setTimeout(done, 200));

  const expected = CASES.filter(({ outcome }) => outcome === 'bounces').length;
  const bounces = await inbox(facteur, ALICE, SECRET, expected);
  const bounced = (to: string): boolean =>
    bounces.some((bounce) => bounce.includes(`Final-Recipient: rfc822; ${to}`));
  // Postfix answers before its own delivery agent has written the file.
  const arrived = (to: string): boolean =>
    internet.received().some((message) => message.includes(`\nX-Original-To: ${to}\n`));
  const missing = CASES.filter(({ outcome }) => outcome === 'arrives');
  await eventually('the files', () => missing.every(({ to }) => arrived(to)) || undefined).catch(() => {});
  return CASES.map(({ to, outcome, reply, what }) => {
    const last = attempts(to).at(-1);
    const found: string[] = [];
    if (arrived(to)) found.push('arrives');
    if (bounced(to)) found.push('bounces');
    if (last?.['status'] === 'deferred') found.push('waits');
    const text = String(last?.['reply'] ?? 'no attempt');
    return {
      case: `Facteur → ${to}`,
      what,
      expected: outcome,
      found: `${found.join(' and ')} (${text})`,
      fine: found.join() === outcome && reply.test(text),
    };
  });
}

/** Postfix → Facteur. */
async function inbound(facteur: World): Promise<Row[]> {
  const transport = nodemailer.createTransport({
    ...REMOTE_SUBMISSION,
    tls: { rejectUnauthorized: false },
  });
  const already = (await inbox(facteur, ALICE, SECRET, 0)).length;
  const texts = {
    'plain text': 'Hello\n.\n..dots\n',
    '8-bit': 'Grüße aus der Ferne, 你好\n',
    large: 'x\n'.repeat(500_000),
  };
  const send = (to: string, subject: string, text: string): Promise<unknown> =>
    transport.sendMail({ from: 'sender@friend.test', to, subject, text, textEncoding: 'base64' });
  for (const [kind, text] of Object.entries(texts)) await send(ALICE, `Postfix, ${kind}`, text);
  const refused = 'nobody@example.test';
  await send(refused, 'Postfix, refused', 'Is anybody there?\n');
  const messages = await inbox(facteur, ALICE, SECRET, already + Object.keys(texts).length);
  const rows = Object.keys(texts).map((kind) => {
    const message = messages.find((source) => source.includes(`Subject: Postfix, ${kind}\r\n`));
    const tls = message !== undefined && /by mail\.example\.test .*with ESMTPS/s.test(message);
    return {
      case: `Postfix → ${ALICE}`,
      what: kind,
      expected: 'arrives by TLS',
      found: message === undefined ? 'nothing' : `arrives ${tls ? 'by TLS' : 'in the clear'}`,
      fine: tls,
    };
  });
  const refusal = await eventually('a refusal', () =>
    facteur.lines.find((line) => JSON.stringify(line).includes(refused)),
  ).catch(() => undefined);
  transport.close();
  const reply = String(refusal?.['reply'] ?? 'nothing');
  return [
    ...rows,
    {
      case: `Postfix → ${refused}`,
      what: 'no such user',
      expected: '550 5.1.1',
      found: reply,
      fine: reply.startsWith('550 5.1.1'),
    },
  ];
}
