import { isAscii } from '../message/charset.ts';
import type { Part } from '../message/structure.ts';
import { newField } from './header-text.ts';
import { type HeaderField, MessageVersion } from './message.ts';
import type { Run } from './run.ts';

/** Messages made anew from parts of others (RFC 5703 5 and 6). */

const MIME_FIELD = /^(?:content-|mime-version$)/;

/** A text/plain entity, header and body (RFC 2046 4.1). */
export function textEntity(text: string): Buffer {
  const body = text.replace(/\r?\n/g, '\r\n');
  const plain = isAscii(body) && !/[^\r\n]{990}/.test(body);
  const encoding = plain ? '7bit' : 'base64';
  const charset = isAscii(body) ? 'us-ascii' : 'utf-8';
  const header = `Content-Type: text/plain; charset=${charset}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
  return Buffer.from(header + (plain ? body : wrapped(Buffer.from(body).toString('base64'))));
}

function wrapped(base64: string): string {
  return (base64.match(/.{1,76}/g) ?? []).map((line) => `${line}\r\n`).join('');
}

/** The whole message gives way to an entity; its other fields stay. */
export function replaceWhole(
  message: MessageVersion,
  entity: Uint8Array,
  { subject, from }: { readonly subject: string | null; readonly from: string | null },
): MessageVersion {
  const kept = message.fields.filter(({ name }) => !MIME_FIELD.test(name));
  const renamed = kept.map((field) => {
    if (subject !== null && field.name === 'subject') return renameField(field, 'Original-Subject');
    return from !== null && field.name === 'from' ? renameField(field, 'Original-From') : field;
  });
  if (subject !== null) renamed.push(newField('Subject', subject));
  if (from !== null) renamed.push(newField('From', from));
  renamed.push(newField('MIME-Version', '1.0'));
  return MessageVersion.of(Buffer.concat([headerBytes(renamed), entity]));
}

function renameField(field: HeaderField, name: string): HeaderField {
  return { ...field, name: name.toLowerCase(), text: name + field.text.slice(field.text.indexOf(':')) };
}

function headerBytes(fields: readonly HeaderField[]): Buffer {
  return Buffer.from(fields.map(({ text }) => text).join(''), 'latin1');
}

/** RFC 5703 6: the message as an attachment, octet for octet, behind a text. */
export async function enclosed(
  message: MessageVersion,
  text: string,
  fields: readonly HeaderField[],
  boundary: string,
): Promise<MessageVersion> {
  const header = [
    ...fields,
    newField('MIME-Version', '1.0'),
    newField('Content-Type', `multipart/mixed; boundary="${boundary}"`),
  ];
  return MessageVersion.of(
    Buffer.concat([
      headerBytes(header),
      Buffer.from(`\r\n--${boundary}\r\n`),
      textEntity(text),
      Buffer.from(`\r\n--${boundary}\r\nContent-Type: message/rfc822\r\n\r\n`),
      await message.whole(),
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]),
  );
}

/** What `replace` asked for inside loops takes effect when the outermost has ended. */
export async function applyReplacements(run: Run, message: MessageVersion): Promise<void> {
  const replaced = [...run.replacements].sort(([one], [other]) => one.header.start - other.header.start);
  run.replacements.clear();
  if (replaced.length === 0 || run.message !== message) return;
  const whole = await message.whole();
  const [[first, entity] = []] = replaced;
  if (first && entity && first.header.start === 0) {
    run.message = replaceWhole(message, entity, { subject: null, from: null });
    return;
  }
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const [part, bytes] of replaced) {
    // Inside one that was replaced.
    if (part.header.start < at) continue;
    pieces.push(whole.subarray(at, part.header.start), bytes);
    at = endOf(part);
  }
  pieces.push(whole.subarray(at));
  run.message = MessageVersion.of(Buffer.concat(pieces));
}

function endOf(part: Part): number {
  return Math.max(part.header.end, part.body.end);
}
