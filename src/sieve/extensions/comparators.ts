import type { Extension } from '../extension.ts';
import { asciiCasemap, asciiNumeric, type Comparator, octet, unicodeCasemap } from '../match/comparators.ts';

/** Comparators are extensions (RFC 5228 2.7.3), although the first two are always there. */
export const comparators: readonly Extension[] = [
  extension('i;octet', 'RFC 4790 9.3', octet),
  extension('i;ascii-casemap', 'RFC 4790 9.2', asciiCasemap),
  extension('i;ascii-numeric', 'RFC 4790 9.1', asciiNumeric),
  extension('i;unicode-casemap', 'RFC 5051', unicodeCasemap),
];

function extension(name: string, source: string, comparator: Comparator): Extension {
  return { name: `comparator-${name}`, source, comparators: { [name]: comparator } };
}
