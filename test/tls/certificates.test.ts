import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, TLSSocket, connect as tlsConnect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Certificates, type CertificatesOptions } from '../../src/tls/certificates.ts';
import { TlsError } from '../../src/tls/errors.ts';
import { DEFAULT_CIPHERS } from '../../src/tls/options.ts';
import { ManualClock } from '../clock.ts';
import { anyKey, EC_PAIR, writeCertificate } from './authority.ts';
import { recordingLog } from './log.ts';

let dir: string;
const clock = new ManualClock(new Date());

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'facteur-tls-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function settings(changes: Partial<CertificatesOptions> = {}): CertificatesOptions {
  return {
    hostname: 'mx.example.org',
    dataDir: dir,
    main: null,
    others: [],
    minVersion: 'TLSv1.2',
    ciphers: DEFAULT_CIPHERS,
    ...changes,
  };
}

async function load(changes: Partial<CertificatesOptions> = {}): Promise<Certificates> {
  return Certificates.load(settings(changes), { clock, log: recordingLog().log });
}

interface Seen {
  readonly name: string;
  readonly keyType: string;
  readonly protocol: string | null;
  readonly fingerprint: string;
}

/** One handshake with a server that shows `certificates`, as the servers here do it. */
async function shake(certificates: Certificates, client: ConnectionOptions = {}): Promise<Seen> {
  const server = createServer((socket) => {
    const secure = new TLSSocket(socket, { ...certificates.options(), isServer: true });
    secure.on('error', () => {});
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise<Seen>((resolve, reject) => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      const secure = tlsConnect({ rejectUnauthorized: false, ...client, socket });
      secure.once('error', reject);
      secure.once('secureConnect', () => {
        const certificate = secure.getPeerX509Certificate();
        resolve({
          name: certificate?.subject.replace('CN=', '') ?? '',
          keyType: certificate?.publicKey.asymmetricKeyType ?? '',
          protocol: secure.getProtocol(),
          fingerprint: certificate?.fingerprint256 ?? '',
        });
        secure.destroy();
      });
    });
  } finally {
    server.close();
  }
}

describe('the self-signed certificate', () => {
  test('is made at first start for the host and this machine, its key for nobody else, and kept', async () => {
    const first = await load();
    const key = statSync(join(dir, 'tls', 'self-signed.key'));
    expect(key.mode & 0o777).toBe(0o600);
    const [pair] = first.pairs;
    expect(pair).toMatchObject({ names: ['mx.example.org', 'localhost'], keyType: 'rsa', selfSigned: true });
    const { X509Certificate } = await import('node:crypto');
    const certificate = new X509Certificate(readFileSync(join(dir, 'tls', 'self-signed.crt')));
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkIP('::1')).toBe('::1');
    const again = await load();
    expect(again.pairs[0]?.fingerprint).toBe(pair?.fingerprint);
  });

  test('is verified by a client that trusts it', async () => {
    const certificates = await load();
    const ca = readFileSync(join(dir, 'tls', 'self-signed.crt'));
    const seen = await shake(certificates, { ca, rejectUnauthorized: true, servername: 'mx.example.org' });
    expect(seen.protocol).toBe('TLSv1.3');
  });

  test('is made anew for another host name, when damaged, and a month before it expires', async () => {
    const first = (await load()).pairs[0]?.fingerprint;
    const renamed = (await load({ hostname: 'mail.example.org' })).pairs[0];
    expect(renamed?.names).toContain('mail.example.org');
    expect(renamed?.fingerprint).not.toBe(first);
    writeFileSync(join(dir, 'tls', 'self-signed.key'), 'half');
    const mended = await load({ hostname: 'mail.example.org' });
    expect(mended.pairs[0]?.fingerprint).not.toBe(renamed?.fingerprint);
    const later = new ManualClock(clock.now().getTime() + 800 * 86_400_000);
    const { log } = recordingLog();
    const renewed = await Certificates.load(settings({ hostname: 'mail.example.org' }), {
      clock: later,
      log,
    });
    expect(renewed.pairs[0]?.fingerprint).not.toBe(mended.pairs[0]?.fingerprint);
    expect(renewed.pairs[0]?.notAfter.getTime()).toBeGreaterThan(later.now().getTime() + 800 * 86_400_000);
  });

  test('works for an international name, and for a host without a domain', async () => {
    expect((await load({ hostname: 'bücher.example' })).pairs[0]?.names).toContain('xn--bcher-kva.example');
    expect((await load({ hostname: 'localhost' })).pairs[0]?.names).toEqual(['localhost']);
  });

  test('is renewed by a server that runs on', async () => {
    const running = new ManualClock(clock.now());
    const { log, lines } = recordingLog();
    const certificates = await Certificates.load(settings(), { clock: running, log });
    const first = certificates.pairs[0]?.fingerprint;
    const stop = new AbortController();
    running.set(clock.now().getTime() + 796 * 86_400_000);
    const done = certificates.maintain(stop.signal);
    await running.advance(3_600_000);
    await expect.poll(() => certificates.pairs[0]?.fingerprint, { timeout: 10_000 }).not.toBe(first);
    expect(lines.map((line) => line.message)).toContain('certificates reloaded');
    stop.abort();
    await done;
  });
});

describe('several certificates', () => {
  test('are chosen by name, without case, by wildcard, and the main one for all others (RFC 6066 3)', async () => {
    const [main, other, wild] = await Promise.all(
      ['main.example', 'other.example', '*.wild.example'].map((name) => writeCertificate(dir, name)),
    );
    const certificates = await load({
      main: main ?? null,
      others: [other, wild].filter((x) => x !== undefined),
    });
    const ask = async (servername: string): Promise<string> =>
      (await shake(certificates, { servername })).name;
    expect(await ask('main.example')).toBe('main.example');
    expect(await ask('OTHER.example')).toBe('other.example');
    expect(await ask('imap.wild.example')).toBe('*.wild.example');
    expect(await ask('deep.imap.wild.example')).toBe('main.example');
    expect(await ask('nobody.example')).toBe('main.example');
    expect((await shake(certificates)).name).toBe('main.example');
  });

  test('may be given names that are not theirs', async () => {
    const main = await writeCertificate(dir, 'main.example');
    const other = { ...(await writeCertificate(dir, 'other.example')), names: ['Third.example'] };
    const certificates = await load({ main, others: [other] });
    expect((await shake(certificates, { servername: 'third.example' })).name).toBe('other.example');
    expect((await shake(certificates, { servername: 'other.example' })).name).toBe('main.example');
  });

  test('of the same name with RSA and elliptic-curve keys serve the clients of each', async () => {
    const main = await writeCertificate(dir, 'main.example');
    const ec = { cert: join(dir, 'ec.crt'), key: join(dir, 'ec.key') };
    writeFileSync(ec.cert, EC_PAIR.cert);
    writeFileSync(ec.key, EC_PAIR.key, { mode: 0o600 });
    const certificates = await load({ main, others: [ec] });
    const ask = async (sigalgs: string): Promise<string> => (await shake(certificates, { sigalgs })).keyType;
    expect(await ask('rsa_pss_rsae_sha256')).toBe('rsa');
    expect(await ask('ecdsa_secp256r1_sha256')).toBe('ec');
  });
});

describe('the versions of TLS', () => {
  test('1.2 and 1.3 are spoken, older ones are not', async () => {
    const certificates = await load();
    expect((await shake(certificates, { maxVersion: 'TLSv1.2' })).protocol).toBe('TLSv1.2');
    expect((await shake(certificates, { minVersion: 'TLSv1.3' })).protocol).toBe('TLSv1.3');
    const old = shake(certificates, {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT:@SECLEVEL=0',
    });
    await expect(old).rejects.toThrow(/version|alert/i);
  });

  test('1.3 alone can be asked for', async () => {
    const certificates = await load({ minVersion: 'TLSv1.3' });
    await expect(shake(certificates, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/version|alert/i);
  });

  test('a cipher without forward secrecy is refused', async () => {
    const certificates = await load();
    await expect(
      shake(certificates, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }),
    ).rejects.toThrow();
    const dhe = await shake(certificates, { maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES128-GCM-SHA256' });
    expect(dhe.protocol).toBe('TLSv1.2');
  });
});

describe('reload', () => {
  test('shows the new certificate to new connections', async () => {
    const main = await writeCertificate(dir, 'main.example');
    const certificates = await load({ main });
    const before = await shake(certificates);
    await writeCertificate(dir, 'main.example');
    expect((await shake(certificates)).fingerprint).toBe(before.fingerprint);
    await certificates.reload();
    expect((await shake(certificates)).fingerprint).not.toBe(before.fingerprint);
  });

  test('keeps the old set when the new one cannot be built', async () => {
    const main = await writeCertificate(dir, 'main.example');
    const certificates = await load({ main });
    const before = certificates.options();
    writeFileSync(main.key, anyKey());
    await expect(certificates.reload()).rejects.toThrow(TlsError);
    const missing = { cert: join(dir, 'none'), key: main.key };
    await expect(certificates.reload(settings({ main: missing }))).rejects.toThrow(/does not exist/);
    expect(certificates.options()).toBe(before);
    expect((await shake(certificates)).name).toBe('main.example');
  });

  test('happens by itself within an hour after a file was renewed', async () => {
    const running = new ManualClock(clock.now());
    const main = await writeCertificate(dir, 'main.example');
    const certificates = await Certificates.load(settings({ main }), {
      clock: running,
      log: recordingLog().log,
    });
    const before = certificates.options();
    const stop = new AbortController();
    const done = certificates.maintain(stop.signal);
    await running.advance(3_600_000);
    await expect.poll(() => running.sleeping).toBe(1);
    expect(certificates.options()).toBe(before);
    await writeCertificate(dir, 'main.example');
    await running.advance(3_600_000);
    await expect.poll(() => certificates.options()).not.toBe(before);
    stop.abort();
    await done;
  });
});

describe('what cannot be used', () => {
  async function problem(change: (files: { cert: string; key: string }) => void): Promise<TlsError> {
    const files = await writeCertificate(dir, 'main.example');
    change({ cert: files.cert, key: files.key });
    const error = await load({ main: files }).catch((thrown: unknown) => thrown);
    if (!(error instanceof TlsError)) throw new Error(`no TlsError but ${String(error)}`);
    return error;
  }

  test('a missing file, with its name', async () => {
    const error = await problem(({ key }) => rmSync(key));
    expect(error.kind).toBe('missing-file');
    expect(error.message).toContain('main.example.key does not exist');
  });

  test('a certificate that is none, a key that is none', async () => {
    expect((await problem(({ cert }) => writeFileSync(cert, 'hello'))).kind).toBe('bad-certificate');
    expect((await problem(({ key }) => writeFileSync(key, 'hello'))).kind).toBe('bad-key');
  });

  test('the key of another certificate', async () => {
    const error = await problem(({ key }) => writeFileSync(key, anyKey()));
    expect(error.kind).toBe('mismatch');
    expect(error.message).toMatch(/does not belong to the certificate/);
  });

  test('a key with a passphrase, with the way out', async () => {
    const { createPrivateKey } = await import('node:crypto');
    const error = await problem(({ key }) =>
      writeFileSync(
        key,
        createPrivateKey(readFileSync(key)).export({
          type: 'pkcs8',
          format: 'pem',
          cipher: 'aes-256-cbc',
          passphrase: 'secret',
        }),
      ),
    );
    expect(error.message).toMatch(/passphrase.*openssl pkey/);
  });

  test('ciphers that do not exist', async () => {
    const error = await load({ ciphers: 'NONSENSE' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'TlsError', kind: 'bad-settings' });
  });
});

describe('what is worth a warning', () => {
  test('expired, about to expire, not valid yet, and a key that everybody can read', async () => {
    const day = 86_400_000;
    const main = await writeCertificate(dir, 'main.example');
    chmodSync(main.key, 0o644);
    const warnings = async (days: number): Promise<string[]> => {
      const { log, lines } = recordingLog();
      await Certificates.load(settings({ main }), {
        clock: new ManualClock(clock.now().getTime() + days * day),
        log,
      });
      return lines.filter((line) => line.level === 'warn').map((line) => line.message);
    };
    const open = 'everybody on this machine can read the key of a certificate';
    expect(await warnings(0)).toEqual([open]);
    chmodSync(main.key, 0o640);
    expect(await warnings(0)).toEqual([]);
    expect(await warnings(815)).toEqual(['a certificate is about to expire']);
    expect(await warnings(900)).toEqual(['a certificate has expired']);
    expect(await warnings(-10)).toEqual(['a certificate is not valid yet']);
  });
});
