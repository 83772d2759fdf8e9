import { sectionAttribute } from './body.ts';
import type { FetchItem } from './item.ts';
import type { Section } from './section.ts';

/** The older names of some sections (RFC 3501 6.4.5). */

const ALL: Section = { path: [], text: { is: 'all' }, label: '' };
const HEADER: Section = { path: [], text: { is: 'header' }, label: '' };
const TEXT: Section = { path: [], text: { is: 'text' }, label: '' };

export const rfc822: FetchItem = {
  name: 'RFC822',
  parse: () => ({ ...sectionAttribute('RFC822', ALL, null), seen: true }),
};

/** Unlike BODY[HEADER] it leaves \Seen alone. */
export const rfc822Header: FetchItem = {
  name: 'RFC822.HEADER',
  parse: () => sectionAttribute('RFC822.HEADER', HEADER, null),
};

export const rfc822Text: FetchItem = {
  name: 'RFC822.TEXT',
  parse: () => ({ ...sectionAttribute('RFC822.TEXT', TEXT, null), seen: true }),
};

export const rfc822Size: FetchItem = {
  name: 'RFC822.SIZE',
  parse: () => ({ print: ({ message }) => `RFC822.SIZE ${message.size}` }),
};
