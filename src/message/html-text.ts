/**
 * The text of an HTML page, for search: tags, comments, scripts and styles left out, references resolved, what stood
 * in different blocks parted by a blank. Crude, linear, in pieces cut anywhere; never throws.
 */

export interface TextFilter {
  write(text: string): string;
  end(): string;
}

/** A tag longer than this is text: nobody waits for its end. */
const MAX_TAG = 64 * 1024;
/** `&CounterClockwiseContourIntegral;` is the longest of HTML's names. */
const MAX_REFERENCE = 34;

/** Elements that are part of a word; all others end one. */
const INLINE = new Set(
  'a abbr acronym b bdi bdo big cite code em font i ins kbd mark q s samp small span strike strong sub sup tt u var wbr'.split(
    ' ',
  ),
);
/** Elements whose content nobody reads. */
const HIDDEN = new Set(['script', 'style', 'title', 'template']);

export function htmlText(): TextFilter {
  /** Not yet decided: the begin of a tag or of a reference. */
  let held = '';
  /** What ends the part that is left out: `-->`, `</style`, and then `>`; '' when nothing is. */
  let skipTo = '';
  const read = (last: boolean): string => {
    let out = '';
    let at = 0;
    /** The next `>`, looked for once: held.length when there is none. */
    let close = -1;
    while (at < held.length) {
      if (skipTo !== '') {
        const end = indexOfFolded(held, skipTo, at);
        if (end < 0) {
          at = Math.max(at, held.length - skipTo.length + 1);
          break;
        }
        at = end + skipTo.length;
        skipTo = skipTo.startsWith('</') ? '>' : '';
        continue;
      }
      const open = held.indexOf('<', at);
      const textEnd = open < 0 ? held.length : open;
      const text = held.slice(at, textEnd);
      const cut = open < 0 && !last ? referenceStart(text) : text.length;
      out += resolveReferences(text.slice(0, cut)).replace(/\s+/g, ' ');
      at += cut;
      if (open < 0) break;
      if (held.startsWith('<!--', open)) {
        skipTo = '-->';
        at = open + 4;
        continue;
      }
      if (close < open) close = held.indexOf('>', open);
      if (close < 0) close = held.length;
      const closed = close < held.length;
      if (!closed && !last && held.length - open < MAX_TAG) break;
      const name = /^<\/?([a-z][a-z0-9]*)/i.exec(held.slice(open, open + 40))?.[1]?.toLowerCase();
      if (!closed || (name === undefined && !/^<[!?/]/.test(held.slice(open, open + 2)))) {
        // `a < b`
        out += '<';
        at = open + 1;
        continue;
      }
      if (name === undefined || !INLINE.has(name)) out += ' ';
      at = close + 1;
      if (name !== undefined && HIDDEN.has(name) && held.charAt(open + 1) !== '/') skipTo = `</${name}`;
    }
    held = held.slice(at);
    return out;
  };
  return {
    write(text) {
      held += text;
      return read(false);
    },
    end() {
      const out = read(true);
      held = '';
      return out;
    },
  };
}

function indexOfFolded(text: string, lowerCase: string, from: number): number {
  if (!lowerCase.startsWith('</')) return text.indexOf(lowerCase, from);
  for (let at = text.indexOf('</', from); at >= 0; at = text.indexOf('</', at + 2)) {
    if (text.slice(at, at + lowerCase.length).toLowerCase() === lowerCase) return at;
  }
  return -1;
}

/** Where a reference may begin that is not complete; else the length. */
function referenceStart(text: string): number {
  const ampersand = text.lastIndexOf('&');
  if (ampersand < 0 || text.length - ampersand > MAX_REFERENCE || text.includes(';', ampersand))
    return text.length;
  return ampersand;
}

/** Those of HTML's names that mail has; Latin-1 below. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ...Object.entries({
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    apos: "'",
    euro: '€',
    hellip: '…',
    ndash: '–',
    mdash: '—',
    lsquo: '‘',
    rsquo: '’',
    sbquo: '‚',
    ldquo: '“',
    rdquo: '”',
    bdquo: '„',
    bull: '•',
    trade: '™',
    OElig: 'Œ',
    oelig: 'œ',
    Scaron: 'Š',
    scaron: 'š',
    Yuml: 'Ÿ',
    zwnj: '',
    zwj: '',
    shy: '',
  }),
  ...latin1Names(),
]);

/** The names of U+00A0 to U+00FF, in order. */
function latin1Names(): [string, string][] {
  const names =
    'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not - reg macr deg plusmn sup2 sup3 acute micro ' +
    'para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil ' +
    'Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave ' +
    'Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml ' +
    'igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute ' +
    'thorn yuml';
  return names.split(' ').map((name, i) => [name, String.fromCharCode(0xa0 + i)]);
}

function resolveReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z][a-z0-9]{1,31}));?/gi,
    (whole, decimal, hex, name) => {
      if (name !== undefined) return NAMED.get(name) ?? whole;
      const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
        ? String.fromCodePoint(code)
        : ' ';
    },
  );
}
