import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Trees as Dovecot leaves them, made by hand. */

export interface Spec {
  readonly uidValidity: number;
  readonly next?: number;
  /** UID and file name; '' is one that was expunged. */
  readonly messages?: readonly (readonly [uid: number, file: string, line?: string])[];
  /** In no list. */
  readonly unlisted?: readonly string[];
  readonly keywords?: readonly string[];
}

/** What a message says: different for each name, LF as Dovecot writes it. */
export function contentOf(base: string): string {
  return `From: a@example.org\nSubject: ${base}\n\nText of ${base}\n`;
}

export function sizes(base: string): string {
  const text = contentOf(base);
  return `S=${text.length},W=${text.length + text.split('\n').length - 1}`;
}

export function dovecotFolder(directory: string, { uidValidity, messages = [], ...spec }: Spec): void {
  for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(directory, part), { recursive: true });
  const lines = messages.map(
    ([uid, file, fields = '']) => `${uid} ${fields}:${file.replace(/^\w+\//, '')}\n`,
  );
  const next = spec.next ?? (messages.at(-1)?.[0] ?? 0) + 1;
  writeFileSync(join(directory, 'dovecot-uidlist'), `3 V${uidValidity} N${next} Gabcdef\n${lines.join('')}`);
  for (const file of [...messages.map(([, name]) => name), ...(spec.unlisted ?? [])]) put(directory, file);
  if (spec.keywords)
    writeFileSync(
      join(directory, 'dovecot-keywords'),
      spec.keywords.map((name, at) => `${at} ${name}\n`).join(''),
    );
}

/** `cur/name`, `new/name`; `gone/name` is not there. */
export function put(directory: string, file: string, content?: string | Buffer): void {
  if (file.startsWith('gone/')) return;
  const path = join(directory, file);
  writeFileSync(path, content ?? contentOf(file.replace(/^\w+\//, '').replace(/[,:].*$/, '')));
  utimesSync(path, 1_600_000_000, 1_600_000_000);
}

/** Every file with its content, by path. */
export function everything(path: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' }).sort()) {
    const file = join(path, name);
    found[name] = statSync(file).isFile() ? readFileSync(file, 'latin1') : '';
  }
  return found;
}
