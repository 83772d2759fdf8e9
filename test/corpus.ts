import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** The corpus of real and malformed mail that lies beside the checkout; tests are skipped where it does not. */

const CORPUS: string = resolve(import.meta.dirname, '../../shared/corpus');
export const haveCorpus: boolean = existsSync(CORPUS);
if (!haveCorpus) console.log(`skipped: no corpus at ${CORPUS}`);

export interface CorpusMessage {
  readonly name: string;
  /** As published: any line ends, any octets. */
  readonly bytes: Buffer;
}

/** Every file, also those that are not meant as messages: a mail store is given those too. Empty ones are left out. */
export function corpusMessages(): CorpusMessage[] {
  const found: CorpusMessage[] = [];
  for (const entry of readdirSync(CORPUS, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    const name = relative(CORPUS, path);
    if (name.endsWith('.tar.gz')) found.push(...untar(name, gunzipSync(bytes)));
    else if (bytes.length > 0) found.push({ name, bytes });
  }
  return found;
}

/** As SMTP would bring it: CRLF line ends, also for lone CRs (RFC 5321 2.3.8). */
export function asCrlf(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n'), 'latin1');
}

/** As a file with bare LFs goes out: each LF that has no CR gets one, nothing else changes. */
export function asRead(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/(?<!\r)\n/g, '\r\n'), 'latin1');
}

function* untar(archive: string, bytes: Buffer): Generator<CorpusMessage> {
  for (let at = 0; at + 512 <= bytes.length; ) {
    const header = bytes.subarray(at, at + 512);
    const name = header.toString('latin1', 0, 100).replace(/\0.*$/s, '');
    if (name === '') return;
    const size = Number.parseInt(header.toString('latin1', 124, 136), 8);
    const isFile = header[156] === 0x30 || header[156] === 0;
    if (isFile && size > 0)
      yield { name: `${archive}:${name}`, bytes: bytes.subarray(at + 512, at + 512 + size) };
    at += 512 + Math.ceil(size / 512) * 512;
  }
}
