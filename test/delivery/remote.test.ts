import { describe, expect, test } from 'vitest';
import { type Peer, type Script, unstuffed } from './peer.ts';
import { CONTENT, ONE, TWO, world } from './world.ts';

const MODERN = ['PIPELINING', 'SIZE 50000000', '8BITMIME', 'SMTPUTF8', 'DSN', 'ENHANCEDSTATUSCODES'];
/** Short enough for a test, long enough for a busy machine. */
const IMPATIENT = {
  timeouts: {
    connect: '2s',
    greeting: '300ms',
    command: '300ms',
    data: '300ms',
    block: '300ms',
    end: '300ms',
  },
};

/** One host with this script, one message to `to`. */
async function one(
  script: Script,
  to: readonly string[] = ['alice@remote.test'],
): Promise<{ peer: Peer; said: string[] }> {
  const { peers, send } = await world({ '127.0.0.2': script }, ONE, IMPATIENT);
  const said = await send({ to });
  return { peer: peers['127.0.0.2'], said };
}

describe('a message is handed over', () => {
  test('with pipelining, in one flight (RFC 2920)', async () => {
    const { peer, said } = await one({ extensions: MODERN, dot: '250 2.0.0 queued as 4711' });
    expect(said).toEqual(['delivered 250 2.0.0 queued as 4711']);
    expect(peer.lines).toEqual([
      'EHLO mx.example.test',
      `MAIL FROM:<bob@example.test> SIZE=${CONTENT.length}`,
      'RCPT TO:<alice@remote.test>',
      'DATA',
    ]);
    expect(peer.messages.map(unstuffed)).toEqual([CONTENT]);
  });

  test('without any extension', async () => {
    const { peer, said } = await one({});
    expect(said).toEqual(['delivered 250 2.0.0 taken']);
    expect(peer.lines).toEqual([
      'EHLO mx.example.test',
      'MAIL FROM:<bob@example.test>',
      'RCPT TO:<alice@remote.test>',
      'DATA',
    ]);
  });

  test('to a host that knows HELO only (RFC 5321 3.2)', async () => {
    const { peer, said } = await one({ ehlo: '502 what is that' });
    expect(said).toEqual(['delivered 250 2.0.0 taken']);
    expect(peer.lines.slice(0, 2)).toEqual(['EHLO mx.example.test', 'HELO mx.example.test']);
  });

  test('from the null sender (RFC 5321 4.5.5)', async () => {
    const { peers, send } = await world({ '127.0.0.2': {} }, ONE);
    await send({ from: null });
    expect(peers['127.0.0.2'].lines).toContain('MAIL FROM:<>');
  });

  test('with all that a DSN needs, for each recipient its own (RFC 3461 5.2.1)', async () => {
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE);
    await send({
      message: { ret: 'hdrs', envid: 'QQ+1 =' },
      to: [
        { to: 'a@remote.test', notify: ['success', 'delay'], orcpt: 'rfc822;A+b@old.test' },
        { to: 'b@remote.test', notify: [] },
        'c@remote.test',
      ],
    });
    expect(peers['127.0.0.2'].lines.slice(1, 5)).toEqual([
      `MAIL FROM:<bob@example.test> SIZE=${CONTENT.length} RET=HDRS ENVID=QQ+2B1+20+3D`,
      'RCPT TO:<a@remote.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A+2Bb@old.test',
      'RCPT TO:<b@remote.test> NOTIFY=NEVER',
      'RCPT TO:<c@remote.test>',
    ]);
  });

  test('to a host without DSN: "relayed" for who wanted to hear of success (RFC 3461 5.2.2)', async () => {
    const { peers, send } = await world({ '127.0.0.2': {} }, ONE);
    const said = await send({
      message: { ret: 'full', envid: 'x' },
      to: [
        { to: 'a@remote.test', notify: ['success'], orcpt: 'rfc822;a@b' },
        { to: 'b@remote.test', notify: ['failure'] },
      ],
    });
    expect(said.map((one) => one.split(' ')[0])).toEqual(['relayed', 'delivered']);
    expect(peers['127.0.0.2'].lines.join('\n')).not.toMatch(/NOTIFY|ORCPT|RET|ENVID/);
  });

  test('without the trace fields of a mailbox here', async () => {
    const trace = 'Return-Path: <bob@example.test>\r\n';
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE);
    await send({ content: trace + CONTENT, message: { finalTrace: trace.length } });
    expect(peers['127.0.0.2'].messages.map(unstuffed)).toEqual([CONTENT]);
    expect(peers['127.0.0.2'].lines[1]).toContain(`SIZE=${CONTENT.length}`);
  });

  test('who answered is told: host, address, TLS, the reply as it came', async () => {
    const { outcomes, peers } = await world(
      { '127.0.0.2': { dot: '250 2.0.0 first line\n250 2.0.0 second' } },
      ONE,
    );
    expect(await outcomes()).toEqual([
      {
        index: 0,
        is: 'delivered',
        reply: { code: 250, enhanced: '2.0.0', text: 'first line\nsecond' },
        remoteMta: 'mx.remote.test',
        relay: `mx.remote.test[127.0.0.2]:${peers['127.0.0.2'].port}`,
        tls: 'none',
      },
    ]);
  });
});

describe('a refusal', () => {
  test('of the recipient, for good', async () => {
    const { said } = await one({ rcpt: '550 5.1.1 no such user' });
    expect(said).toEqual(['failed 550 5.1.1 no such user']);
  });

  test.each([[MODERN], [[]]])('of some recipients leaves the others alone (%j)', async (extensions) => {
    const { said, peer } = await one(
      {
        extensions,
        rcpt: { 'no@remote.test': '550 5.1.1 no such user', 'later@remote.test': '450 4.2.1 mailbox busy' },
      },
      ['yes@remote.test', 'no@remote.test', 'later@remote.test'],
    );
    expect(said).toEqual([
      'delivered 250 2.0.0 taken',
      'failed 550 5.1.1 no such user',
      'deferred 450 4.2.1 mailbox busy',
    ]);
    expect(peer.messages[0]?.rcpts).toEqual(['RCPT TO:<yes@remote.test>']);
  });

  test('of all recipients: no DATA is left hanging, pipelined or not', async () => {
    for (const extensions of [MODERN, []]) {
      const { said, peer } = await one({ extensions, rcpt: '550 no' }, ['a@remote.test', 'b@remote.test']);
      expect(said).toEqual(['failed 550 no', 'failed 550 no']);
      expect(peer.messages).toEqual([]);
    }
  });

  test('of all recipients by a host that says 354 all the same: it gets no message', async () => {
    const { said, peer } = await one({ extensions: MODERN, rcpt: '550 no', data: '354 go on' });
    expect(said).toEqual(['failed 550 no']);
    expect(peer.messages).toEqual([]);
  });

  test('of the sender is for all', async () => {
    for (const extensions of [MODERN, []]) {
      const { said } = await one({ extensions, mail: '550 5.7.1 not you' }, [
        'a@remote.test',
        'b@remote.test',
      ]);
      expect(said).toEqual(['failed 550 5.7.1 not you', 'failed 550 5.7.1 not you']);
    }
  });

  test('of DATA, and of the message', async () => {
    expect((await one({ data: '554 5.7.1 no data' })).said).toEqual(['failed 554 5.7.1 no data']);
    expect((await one({ dot: '554 5.7.1 spam' })).said).toEqual(['failed 554 5.7.1 spam']);
    expect((await one({ dot: '451 4.7.1 greylisted' })).said).toEqual(['deferred 451 4.7.1 greylisted']);
  });

  test('by a greylist is for later; at the second try all is well', async () => {
    const { send } = await world({ '127.0.0.2': { rcpt: ['450 4.2.0 greylisted', '250 ok'] } }, ONE);
    expect(await send()).toEqual(['deferred 450 4.2.0 greylisted']);
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
  });

  test('with control characters comes without them', async () => {
    const { said } = await one({ rcpt: '550 5.1.1 \x1b[31mno\x07' });
    expect(said).toEqual(['failed 550 5.1.1 ?[31mno?']);
  });
});

describe('more recipients than the host takes at once (RFC 5321 4.5.3.1.10)', () => {
  test.each(['452 4.5.3 too many recipients', '552 too many recipients'])(
    '%s: the rest follows',
    async (tooMany) => {
      const { said, peer } = await one(
        {
          extensions: MODERN,
          rcpt: { 'c@remote.test': [tooMany, '250 ok'], 'd@remote.test': [tooMany, '250 ok'] },
        },
        ['a@remote.test', 'b@remote.test', 'c@remote.test', 'd@remote.test'],
      );
      expect(said).toEqual(Array(4).fill('delivered 250 2.0.0 taken'));
      expect(peer.messages.map(({ rcpts }) => rcpts.length)).toEqual([2, 2]);
      expect(peer.sessions.length).toBe(1);
    },
  );

  test('not even one: later', async () => {
    const { said } = await one({ rcpt: '452 4.5.3 too many recipients' });
    expect(said).toEqual(['deferred 452 4.5.3 too many recipients']);
  });

  test('our own limit makes several transactions of one message', async () => {
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE, { maxRecipients: 2 });
    expect(await send({ to: ['a', 'b', 'c', 'd', 'e'].map((name) => `${name}@remote.test`) })).toHaveLength(
      5,
    );
    expect(peers['127.0.0.2'].messages.map(({ rcpts }) => rcpts.length)).toEqual([2, 2, 1]);
  });
});

describe('the next MX is asked', () => {
  test.each<[string, Script]>([
    ['greets with 421', { greeting: { last: '421 4.3.2 busy' } }],
    ['greets with 554', { greeting: '554 5.7.1 go away' }],
    ['closes without a greeting', { greeting: 'CLOSE' }],
    ['does not greet', { greeting: 'SILENT' }],
    ['greets drop by drop', { greeting: { drip: '220-', every: 20 } }],
    ['refuses EHLO and HELO', { ehlo: '550 no', helo: '550 no' }],
    ['refuses MAIL for now', { mail: '451 4.3.0 later' }],
    ['refuses MAIL for now, pipelined', { extensions: MODERN, mail: '451 4.3.0 later' }],
    ['refuses RCPT because of itself', { rcpt: '451 4.3.0 database down' }],
    [
      'says 421 to RCPT',
      { extensions: MODERN, rcpt: { 'alice@remote.test': { last: '421 4.3.2 closing' } } },
    ],
    ['closes at MAIL', { mail: 'CLOSE' }],
    ['does not answer RCPT', { rcpt: 'SILENT' }],
    ['answers MAIL drop by drop', { mail: { drip: '250-x\r\n', every: 20 } }],
    ['answers with something else', { mail: 'hello' }],
    ['closes in the middle of the message', { extensions: MODERN, hangUpAfter: 100_000 }],
    ['stops reading the message', { extensions: MODERN, stopReadingAfter: 100_000 }],
    ['refuses the message because of itself', { dot: '451 4.3.0 no room' }],
  ])('when the first %s', async (_, script) => {
    const { peers, send } = await world(
      { '127.0.0.2': script, '127.0.0.3': { extensions: MODERN } },
      TWO,
      IMPATIENT,
    );
    // Where the message matters, one that no socket buffer holds.
    const big = 'hangUpAfter' in script || 'stopReadingAfter' in script;
    const content = big ? `${CONTENT}${'0123456789abcde\r\n'.repeat(600_000)}` : CONTENT;
    expect(await send({ content })).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].sessions.length).toBe(1);
    expect(peers['127.0.0.3'].messages.length).toBe(1);
  });

  test('when nobody listens at the first', async () => {
    const { peers, send } = await world({ '127.0.0.3': {} }, TWO);
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.3'].messages.length).toBe(1);
  });

  test('with the recipients that are left', async () => {
    const { peers, send } = await world(
      {
        '127.0.0.2': { rcpt: { 'b@remote.test': '451 4.3.0 oops', 'c@remote.test': '550 no' } },
        '127.0.0.3': { rcpt: { 'b@remote.test': '250 welcome' } },
      },
      TWO,
    );
    const said = await send({ to: ['a@remote.test', 'b@remote.test', 'c@remote.test'] });
    expect(said).toEqual(['delivered 250 2.0.0 taken', 'delivered 250 2.0.0 taken', 'failed 550 no']);
    expect(peers['127.0.0.3'].messages[0]?.rcpts).toEqual(['RCPT TO:<b@remote.test>']);
  });

  test('but not after a refusal for good, nor for a mailbox that is full, nor for a greylist', async () => {
    for (const rcpt of ['550 5.1.1 no', '452 4.2.2 mailbox full', '450 4.7.1 greylisted']) {
      const { peers, send } = await world({ '127.0.0.2': { rcpt }, '127.0.0.3': {} }, TWO);
      expect((await send())[0]).toContain(rcpt);
      expect(peers['127.0.0.3'].sessions).toEqual([]);
    }
  });

  test('and when all are down the message waits, with the last reason', async () => {
    const { send, peers } = await world({ '127.0.0.2': { greeting: '554 5.7.1 go away' } }, TWO);
    const { port } = peers['127.0.0.2'];
    expect(await send()).toEqual([
      `deferred 451 4.4.1 mx2.remote.test[127.0.0.3]:${port}: connection refused`,
    ]);
  });

  test('a greeting of 5xx everywhere is no reason to give up', async () => {
    const { send, peers } = await world({ '127.0.0.2': { greeting: '554 5.7.1 go away' } }, ONE);
    const { port } = peers['127.0.0.2'];
    expect(await send()).toEqual([`deferred 451 4.4.1 mx.remote.test[127.0.0.2]:${port}: 554 5.7.1 go away`]);
  });

  test('at most two conversations in one attempt', async () => {
    const busy = { mail: '451 4.3.0 later' };
    const zone = { 'remote.test A': ['127.0.0.2', '127.0.0.3', '127.0.0.4'] };
    const { send, peers } = await world({ '127.0.0.2': busy, '127.0.0.3': busy, '127.0.0.4': busy }, zone);
    expect(await send()).toEqual(['deferred 451 4.3.0 later']);
    expect(Object.values(peers).map((peer) => peer.sessions.length)).toEqual([1, 1, 0]);
  });

  test('a host with many addresses leaves room for the next', async () => {
    const zone = {
      ...TWO,
      'mx1.remote.test A': ['127.0.1.1', '127.0.1.2', '127.0.1.3', '127.0.1.4', '127.0.1.5', '127.0.1.6'],
    };
    const { send } = await world({ '127.0.0.3': {} }, zone);
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
  });
});

test('after the final dot nobody else is asked: the host may have the message', async () => {
  for (const dot of ['CLOSE', 'SILENT'] as const) {
    const { peers, send } = await world({ '127.0.0.2': { dot }, '127.0.0.3': {} }, TWO, IMPATIENT);
    const [said] = await send();
    expect(said).toMatch(/^deferred 451 4\.4\.2 .*may arrive twice$/);
    expect(peers['127.0.0.3'].sessions).toEqual([]);
  }
});

describe('what DNS says', () => {
  test.each([
    [
      'a null MX (RFC 7505)',
      { 'remote.test MX': ['0 .'] },
      'failed 556 5.1.10 remote.test takes no mail (null MX)',
    ],
    ['no such domain', {}, 'failed 550 5.1.2 there is no domain remote.test'],
    ['no answer', { 'remote.test MX': 'SERVFAIL' }, 'deferred 451 4.4.3 DNS gave no answer for remote.test'],
    [
      'nothing in time',
      { 'remote.test MX': 'TIMEOUT' },
      'deferred 451 4.4.3 DNS gave no answer for remote.test',
    ],
    [
      'an MX without address',
      { 'remote.test MX': ['10 gone.test'] },
      'failed 550 5.4.4 no mail host of remote.test has an address (gone.test)',
    ],
    [
      'ourselves (RFC 5321 5.1)',
      { 'remote.test MX': ['10 mx.example.test'], 'mx.example.test A': ['127.0.0.2'] },
      'failed 554 5.4.6 mail for remote.test comes back to this host (mx.example.test)',
    ],
  ] as const)('%s', async (_, zone, said) => {
    const { send, peers } = await world({ '127.0.0.2': {} }, zone);
    expect(await send({ to: ['a@remote.test', 'b@remote.test'] })).toEqual([said, said]);
    expect(peers['127.0.0.2'].sessions).toEqual([]);
  });

  test('a domain without MX has mail at its own address', async () => {
    const { send } = await world({ '127.0.0.2': {} }, { 'remote.test A': ['127.0.0.2'] });
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
  });

  test('an address literal needs no DNS (RFC 5321 4.1.3)', async () => {
    const { send, peers } = await world({ '127.0.0.2': {} }, {});
    const said = await send({ to: ['alice@[127.0.0.2]'], nextHop: '[127.0.0.2]' });
    expect(said).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].lines).toContain('RCPT TO:<alice@[127.0.0.2]>');
  });
});

describe('SIZE (RFC 1870)', () => {
  test('a message larger than announced is not sent', async () => {
    const { said, peer } = await one({ extensions: ['SIZE 10'] });
    expect(said).toEqual([
      `failed 552 5.3.4 mx.remote.test takes messages of 10 octets, this one has ${CONTENT.length}`,
    ]);
    expect(peer.lines).toEqual(['EHLO mx.example.test', 'QUIT'].slice(0, peer.lines.length));
  });
  test.each(['SIZE', 'SIZE 0'])('%s is no limit', async (size) => {
    expect((await one({ extensions: [size] })).said).toEqual(['delivered 250 2.0.0 taken']);
  });
});

describe('SMTPUTF8 (RFC 6531)', () => {
  const chat = '"félix le [chat]"@remote.test';

  test('goes to a host that has it, the domain in A-labels', async () => {
    const { peers, send } = await world(
      { '127.0.0.2': { extensions: MODERN } },
      { ...ONE, 'xn--bcher-kva.test MX': ['10 mx.remote.test'] },
    );
    await send({
      to: ['"félix le [chat]"@bücher.test'],
      nextHop: 'xn--bcher-kva.test',
      message: { smtputf8: true, body: '8bitmime' },
    });
    expect(peers['127.0.0.2'].lines.slice(1, 3)).toEqual([
      `MAIL FROM:<bob@example.test> SIZE=${CONTENT.length} BODY=8BITMIME SMTPUTF8`,
      'RCPT TO:<"félix le [chat]"@xn--bcher-kva.test>',
    ]);
  });

  test('a recipient that needs it fails at a host without, the others do not', async () => {
    const { said, peer } = await one({}, [chat, 'alice@remote.test']);
    expect(said).toEqual([
      'failed 550 5.6.7 mx.remote.test does not support SMTPUTF8, which the addresses or the header need',
      'delivered 250 2.0.0 taken',
    ]);
    expect(peer.lines).not.toContainEqual(expect.stringContaining('félix'));
  });

  test('a sender or a header that needs it fails all', async () => {
    const { send } = await world({ '127.0.0.2': {} }, ONE);
    expect((await send({ from: 'zoé@example.test' }))[0]).toMatch(/^failed 550 5\.6\.7/);
    const content = Buffer.from('Subject: été\r\n\r\nx\r\n');
    expect((await send({ content, message: { smtputf8: true } }))[0]).toMatch(/^failed 550 5\.6\.7/);
  });

  test('a message that was allowed to need it but does not goes anywhere', async () => {
    const { send, peers } = await world({ '127.0.0.2': {} }, ONE);
    const content = Buffer.from('Subject: x\r\n\r\nx\r\n');
    expect(await send({ content, message: { smtputf8: true } })).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].lines[1]).toBe('MAIL FROM:<bob@example.test>');
  });
});

test('an 8-bit message is told as such, or converted for a host without 8BITMIME (RFC 6152)', async () => {
  const content = Buffer.from('MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nété\r\n');
  const post = { content, message: { body: '8bitmime' as const } };
  const modern = await world({ '127.0.0.2': { extensions: ['8BITMIME'] } }, ONE);
  await modern.send(post);
  expect(modern.peers['127.0.0.2'].lines[1]).toBe('MAIL FROM:<bob@example.test> BODY=8BITMIME');
  expect(modern.peers['127.0.0.2'].messages.map(unstuffed)).toEqual([content.toString('latin1')]);

  const old = await world({ '127.0.0.2': { extensions: ['SIZE'] } }, ONE);
  expect(await old.send(post)).toEqual(['delivered 250 2.0.0 taken']);
  const converted =
    'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n' +
    'Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9t=C3=A9\r\n';
  expect(old.peers['127.0.0.2'].messages.map(unstuffed)).toEqual([converted]);
  expect(old.peers['127.0.0.2'].lines[1]).toBe(`MAIL FROM:<bob@example.test> SIZE=${converted.length}`);
});

describe('an end from our side', () => {
  test.each<[string, Script]>([
    ['while the host does not greet', { greeting: 'SILENT' }],
    ['while the host does not answer', { rcpt: 'SILENT' }],
    ['after the final dot', { dot: 'SILENT' }],
  ])('%s leaves the message in the queue', async (_, script) => {
    const { send, peers } = await world({ '127.0.0.2': script, '127.0.0.3': {} }, TWO);
    const stop = new AbortController();
    const sending = send({}, stop.signal);
    await new Promise((resolve) => setTimeout(resolve, 200));
    stop.abort();
    expect((await sending)[0]).toMatch(/^deferred 451/);
    expect(peers['127.0.0.3'].sessions).toEqual([]);
  });
});
