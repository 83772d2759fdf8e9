/**
 * The variants of mbox. All have a `From ` line before each message and an empty line after it; they differ in how
 * lines of the message that begin with `From ` are kept apart.
 *
 * | format  | `From ` in the message        | length of the body | written and read again            |
 * | ------- | ----------------------------- | ------------------ | --------------------------------- |
 * | mboxo   | `>From `                      |                    | `>From ` comes back as `From `    |
 * | mboxrd  | one `>` more, whatever it has |                    | the same octets                   |
 * | mboxcl  | as mboxrd                     | Content-Length     | the same octets                   |
 * | mboxcl2 | as it is                      | Content-Length     | the same octets                   |
 *
 * Only Content-Length can say that the last line of a body has no line end: in mboxo and mboxrd it gets one.
 */
export const MBOX_FORMATS = ['mboxo', 'mboxrd', 'mboxcl', 'mboxcl2'] as const;
export type MboxFormat = (typeof MBOX_FORMATS)[number];

/** Which lines are quoted; null: none. */
export function quotedLines(format: MboxFormat): 'every' | 'bare' | null {
  switch (format) {
    case 'mboxo':
      return 'bare';
    case 'mboxrd':
    case 'mboxcl':
      return 'every';
    case 'mboxcl2':
      return null;
  }
}

export function hasLength(format: MboxFormat): boolean {
  return format === 'mboxcl' || format === 'mboxcl2';
}
