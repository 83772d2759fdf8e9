import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Certificates } from '../../src/tls/certificates.ts';
import { DEFAULT_CIPHERS } from '../../src/tls/options.ts';
import { ManualClock } from '../clock.ts';
import { authority } from '../sasl/client-authority.ts';
import { recordingLog } from '../tls/log.ts';
import { Openings } from './world.ts';

const ours = authority('Users');
const openings = new Openings();
let dir: string;
let certificates: Certificates;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'facteur-client-certificate-'));
  writeFileSync(join(dir, 'ca.pem'), ours.pem);
  const options = {
    hostname: 'mx.example.org',
    dataDir: dir,
    main: null,
    others: [],
    minVersion: 'TLSv1.2' as const,
    ciphers: DEFAULT_CIPHERS,
    clients: { ca: [join(dir, 'ca.pem')], crl: [] },
  };
  certificates = await Certificates.load(options, {
    clock: new ManualClock(new Date()),
    log: recordingLog().log,
  });
});
afterAll(() => {
  openings.closeAll();
  rmSync(dir, { recursive: true });
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a certificate is asked for where users log in, and nowhere else (%s)',
  async (maxVersion) => {
    const pair = ours.issue({ emails: ['a@example.org', 'b@example.org'], commonName: 'A, B' });
    for (const tls of [certificates, certificates.forUsers]) {
      const place = await openings.listen(certificates, { implicitTls: true, tls });
      const options = { host: '127.0.0.1', port: place.port, rejectUnauthorized: false, maxVersion };
      const client = openings.add(connect({ ...options, ...pair }));
      await once(client, 'secureConnect');
      const accepted = await place.next();
      expect(accepted.tls?.version).toBe(maxVersion);
      if (tls === certificates) expect(accepted.tls?.clientCertificate).toBeUndefined();
      else
        expect(accepted.tls?.clientCertificate).toMatchObject({
          emails: ['a@example.org', 'b@example.org'],
          commonNames: ['A, B'],
        });
    }
  },
);
