/** IMAP's BODY and BODYSTRUCTURE (RFC 9051 7.5.2), printed as they go on the wire: one char an octet. */
import { isAscii } from './charset.ts';
import { EMPTY_ENVELOPE } from './envelope.ts';
import { imapString, utf8Octets } from './imap-string.ts';
import type { Part } from './structure.ts';

/** `body` leaves the extension data out. */
type Mode = 'body' | 'bodystructure';

/** What stands in for a body that is not there: the grammar wants one in a message. */
const EMPTY_TEXT: Part = {
  header: { start: 0, end: 0 },
  body: { start: 0, end: 0 },
  lines: 0,
  type: 'text',
  subtype: 'plain',
  parameters: {},
  encoding: '7bit',
  id: null,
  description: null,
  md5: null,
  disposition: null,
  language: [],
  location: null,
  children: [],
  message: null,
};

/** @param envelopeOf gives the printed ENVELOPE of a message inside the message. */
export function bodyStructure(root: Part, mode: Mode, envelopeOf: (message: Part) => string): string {
  const print = (part: Part): string =>
    part.type === 'multipart' ? multipart(part, mode, print) : single(part, mode, print, envelopeOf);
  return print(root);
}

function multipart(part: Part, mode: Mode, print: (part: Part) => string): string {
  const children = part.children.map(print).join('');
  const basic = `${children} ${imapString(part.subtype)}`;
  if (mode === 'body') return `(${basic})`;
  return `(${basic} ${parameters(part.parameters)} ${extension(part)})`;
}

function single(
  part: Part,
  mode: Mode,
  print: (part: Part) => string,
  envelopeOf: (message: Part) => string,
): string {
  const fields = [
    imapString(part.type),
    imapString(part.subtype),
    parameters(part.type === 'text' ? withCharset(part.parameters) : part.parameters),
    text(part.id),
    text(part.description),
    imapString(utf8Octets(part.encoding)),
    String(part.body.end - part.body.start),
  ];
  if (part.type === 'text') fields.push(String(part.lines));
  else if (part.type === 'message' && (part.subtype === 'rfc822' || part.subtype === 'global')) {
    // One that was not looked into (base64) has no envelope and an empty body.
    fields.push(part.message ? envelopeOf(part.message) : EMPTY_ENVELOPE);
    fields.push(print(part.message ?? EMPTY_TEXT), String(part.lines));
  }
  if (mode === 'bodystructure') fields.push(text(part.md5), extension(part));
  return `(${fields.join(' ')})`;
}

/** The default is worth saying (RFC 2045 5.2): some clients take a missing charset for their own. */
function withCharset(parameters: Part['parameters']): Part['parameters'] {
  return parameters['charset'] === undefined ? { ...parameters, charset: 'us-ascii' } : parameters;
}

/** Disposition, language and location. */
function extension({ disposition, language, location }: Part): string {
  const shown = disposition
    ? `(${imapString(disposition.type)} ${parameters(disposition.parameters)})`
    : 'NIL';
  const languages = language.length > 0 ? `(${language.map(imapString).join(' ')})` : 'NIL';
  return `${shown} ${languages} ${text(location)}`;
}

function parameters(values: Part['parameters']): string {
  const printed = Object.entries(values).map(([name, value]) => parameter(name, value));
  return printed.length === 0 ? 'NIL' : `(${printed.join(' ')})`;
}

/** Continuations are put together (RFC 2231 6); text that is not ASCII goes in the extended form (RFC 2231 4). */
function parameter(name: string, value: string): string {
  if (isAscii(value)) return `${text(name)} ${imapString(value)}`;
  return `${text(`${name}*`)} ${imapString(`utf-8''${percentEncode(value)}`)}`;
}

function percentEncode(value: string): string {
  // encodeURIComponent leaves what RFC 2231 7 forbids in an extended value, and throws at lone surrogates.
  return encodeURIComponent(value.toWellFormed()).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function text(value: string | null): string {
  return value === null ? 'NIL' : imapString(utf8Octets(value));
}
