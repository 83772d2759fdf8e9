import { hash } from 'node:crypto';

/**
 * Names of message files. Ours are
 *
 *     <sec>.M<usec>P<pid>Q<key>.<host>,S=<size>,W=<crlf size>,U=<uidvalidity>.<uid>[,E=<email id>]:2,<letters>
 *
 * `sec`, `usec`: when it came into this account. `Q<key>`: the delivery's key; `R<serial>` for APPEND and COPY. `S`,
 * `W` as Dovecot writes them: octets on disk, and with CRLF line ends; when they differ the file has bare LFs and is
 * converted as it is read. `U`: its UID, valid only in the folder with that UIDVALIDITY, so that a file moved or copied
 * by hand never brings a UID along. `E`: the email id of a copy (RFC 8474); without it the id is made from the part
 * before the first comma. All of it survives in the name what an index can lose; names of other programs get the
 * fields added when they are first seen.
 */

/** NAME_MAX of the file systems we know. */
export const MAX_NAME = 255;

export interface BaseName {
  readonly seconds: number;
  /** Up to the first comma: what makes the name unique. */
  readonly unique: string;
  readonly key: string | null;
  readonly size: number | null;
  readonly crlfSize: number | null;
  readonly uid: { readonly validity: number; readonly uid: number } | null;
  readonly email: EmailBits | null;
}

/** 64 bits as two unsigned halves. */
export interface EmailBits {
  readonly high: number;
  readonly low: number;
}

/** Splits off `:2,` and the letters; `info` is null in new/ and where there is none. */
export function splitName(name: string): { readonly base: string; readonly info: string | null } {
  const at = name.lastIndexOf(':2,');
  return at < 0 ? { base: name, info: null } : { base: name.slice(0, at), info: name.slice(at + 3) };
}

export function joinName(base: string, info: string | null): string {
  return info === null ? base : `${base}:2,${info}`;
}

export function parseBase(base: string): BaseName {
  const comma = base.indexOf(',');
  const unique = comma < 0 ? base : base.slice(0, comma);
  const fields = comma < 0 ? '' : base.slice(comma);
  const uid = /,U=(\d{1,10})\.(\d{1,10})(?=,|$)/.exec(fields);
  const email = /,E=([0-9a-f]{8})([0-9a-f]{8})(?=,|$)/.exec(fields);
  return {
    seconds: Number(/^\d{1,11}(?=\.)/.exec(unique)?.[0] ?? 0),
    unique,
    key: /^\d+\.M\d+P\d+Q([A-Za-z0-9-]{1,64})\./.exec(unique)?.[1] ?? null,
    size: field(fields, 'S'),
    crlfSize: field(fields, 'W'),
    uid: uid ? { validity: Number(uid[1]), uid: Number(uid[2]) } : null,
    email: email
      ? { high: Number.parseInt(email[1] ?? '', 16), low: Number.parseInt(email[2] ?? '', 16) }
      : null,
  };
}

function field(fields: string, letter: 'S' | 'W'): number | null {
  const match = (letter === 'S' ? /,S=(\d{1,15})(?=,|$)/ : /,W=(\d{1,15})(?=,|$)/).exec(fields);
  return match ? Number(match[1]) : null;
}

export interface NameFields {
  readonly size: number;
  readonly crlfSize: number;
  readonly validity: number;
  readonly uid: number;
  readonly email: EmailBits | null;
}

export function composeBase(unique: string, fields: NameFields): string {
  const email = fields.email ? `,E=${hex(fields.email)}` : '';
  return `${unique},S=${fields.size},W=${fields.crlfSize},U=${fields.validity}.${fields.uid}${email}`;
}

/** Another program's name with our fields; its own unknown fields stay. */
export function withFields(
  base: string,
  fields: NameFields,
  parsed: Pick<BaseName, 'unique'> = parseBase(base),
): string {
  const others = base.slice(parsed.unique.length).replace(/,[SWUE]=[^,]*/g, '');
  return composeBase(`${parsed.unique}${others}`, fields);
}

/** The email id of a file whose name does not carry one. */
export function emailBits(unique: string): EmailBits {
  // As text: a Buffer for each of 100,000 names costs more than the hash.
  const digest = hash('sha1', unique, 'hex');
  return { high: Number.parseInt(digest.slice(0, 8), 16), low: Number.parseInt(digest.slice(8, 16), 16) };
}

function hex({ high, low }: EmailBits): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

/** Makes the unique part of new names in one account. */
export class UniqueNames {
  readonly #host: string;
  readonly #pid: number;
  #serial = 0;

  constructor(host: string, pid: number) {
    // As Maildir's inventor has it; a comma would end the unique part. 64 octets leave room for key and fields.
    this.#host = host.replaceAll(/[/:,\s]/g, '_').slice(0, 64) || 'localhost';
    this.#pid = pid;
  }

  next(now: number, key?: string): string {
    this.#serial++;
    // Six digits, so that names of one second sort in the order in which they came.
    const micros = String((now % 1000) * 1000 + (this.#serial % 1000)).padStart(6, '0');
    const tail = key === undefined ? `R${this.#serial}` : `Q${key}`;
    return `${Math.floor(now / 1000)}.M${micros}P${this.#pid}${tail}.${this.#host}`;
  }
}
