/**
 * What a header says about its body (RFC 2045, RFC 2183, RFC 1864, RFC 3282, RFC 2557). Never throws.
 * Of a field that stands there twice the first counts, but the last Content-Disposition, as for Dovecot: its users'
 * clients must not see other parts after a move.
 */
import { decodeLenient } from './charset.ts';
import { fields, unfold } from './header.ts';
import { parseStructured } from './parameters.ts';
import type { Part } from './structure.ts';

export type Content = Described & { readonly boundary: string | undefined };

type Described = Pick<
  Part,
  | 'type'
  | 'subtype'
  | 'parameters'
  | 'encoding'
  | 'id'
  | 'description'
  | 'md5'
  | 'disposition'
  | 'language'
  | 'location'
>;

/** RFC 2045 5.1 token; real types have no other characters. */
const TOKEN = /^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+$/;

/** `assumed` is the type where the header has none: text/plain, or message/rfc822 in a digest (RFC 2046 5.1.5). */
export function contentOf(header: string, assumed: 'text/plain' | 'message/rfc822'): Content {
  const values = new Map<string, string>();
  for (const field of fields(header)) {
    if (!field.name.startsWith('content-')) continue;
    if (field.name === 'content-disposition' || !values.has(field.name)) {
      values.set(field.name, unfold(field.value));
    }
  }
  return {
    ...mediaType(values.get('content-type'), assumed),
    encoding: firstToken(values.get('content-transfer-encoding')) || '7bit',
    id: textOf(values.get('content-id')),
    description: textOf(values.get('content-description')),
    md5: textOf(values.get('content-md5')),
    disposition: dispositionOf(values.get('content-disposition')),
    language: languagesOf(values.get('content-language')),
    // Folded URLs are put together again (RFC 2557 4.4.2).
    location: textOf(values.get('content-location')?.replace(/[ \t]+/g, '')),
  };
}

function mediaType(
  value: string | undefined,
  assumed: 'text/plain' | 'message/rfc822',
): Pick<Content, 'type' | 'subtype' | 'parameters' | 'boundary'> {
  if (value !== undefined) {
    const { value: name, parameters, boundary } = parseStructured(value);
    const [type = '', subtype = ''] = name.split('/').map((word) => word.trim());
    if (TOKEN.test(type) && TOKEN.test(subtype)) return { type, subtype, parameters, boundary };
    // Not to be understood is text/plain, in a digest too (RFC 2045 5.2).
    return { type: 'text', subtype: 'plain', parameters: {}, boundary: undefined };
  }
  return assumed === 'text/plain'
    ? { type: 'text', subtype: 'plain', parameters: {}, boundary: undefined }
    : { type: 'message', subtype: 'rfc822', parameters: {}, boundary: undefined };
}

function dispositionOf(value: string | undefined): Content['disposition'] {
  if (value === undefined || value === '') return null;
  const { value: type, parameters } = parseStructured(value);
  const name = type.replace(/^"|"$/g, '');
  // RFC 2183 2.8: one not known is to be handled as attachment.
  return { type: TOKEN.test(name) ? name : 'attachment', parameters };
}

function languagesOf(value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  return value
    .split(',')
    .map(firstToken)
    .filter((tag) => /^[a-z0-9-]+$/i.test(tag));
}

/** Before comments, blanks and anything after it, lower case. */
function firstToken(value: string | undefined): string {
  const token = /[^\s();,"]+/.exec(value?.replace(/^\s*\([^()]*\)/, '') ?? '');
  return token?.[0].toLowerCase() ?? '';
}

function textOf(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : decodeLenient(value);
}
