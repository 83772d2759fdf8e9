/**
 * SASLprep (RFC 4013): brings user names and passwords to one form before they are hashed or compared, so that the
 * same keys on another keyboard or system give the same octets. Code points that Unicode 3.2 did not know are let
 * through (the rule for queries, RFC 3454 7): whoever has an emoji in a password can use it.
 */

/** Non-ASCII spaces, which become SPACE (RFC 3454 C.1.2; 200B is mapped to nothing first, B.1). */
const SPACES = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu;

/** Commonly mapped to nothing (RFC 3454 B.1). */
const NOTHING = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/gu;

/** RFC 4013 2.3: tables C.1.2 and C.2.1 to C.9 of RFC 3454. */
const PROHIBITED = new RegExp(
  [
    '[\\u00a0\\u1680\\u2000-\\u200b\\u202f\\u205f\\u3000]', // C.1.2
    '[\\u0000-\\u001f\\u007f]', // C.2.1
    '[\\u0080-\\u009f\\u06dd\\u070f\\u180e\\u200c\\u200d\\u2028\\u2029\\u2060-\\u2063\\u206a-\\u206f\\ufeff]', // C.2.2
    '[\\ufff9-\\ufffd\\u{1d173}-\\u{1d17a}]', // C.2.2, C.6
    '[\\ue000-\\uf8ff\\u{f0000}-\\u{ffffd}\\u{100000}-\\u{10fffd}]', // C.3
    '[\\ufdd0-\\ufdef]|\\p{Noncharacter_Code_Point}', // C.4
    '\\p{Surrogate}', // C.5
    '[\\u2ff0-\\u2ffb]', // C.7
    '[\\u0340\\u0341\\u200e\\u200f\\u202a-\\u202e]', // C.8
    '[\\u{e0001}\\u{e0020}-\\u{e007f}]', // C.9
  ].join('|'),
  'u',
);

/** Bidirectional property R or AL (RFC 3454 D.1). */
const RIGHT_TO_LEFT = new RegExp(
  '[\\u05be\\u05c0\\u05c3\\u05d0-\\u05ea\\u05f0-\\u05f4\\u061b\\u061f\\u0621-\\u063a\\u0640-\\u064a\\u066d-\\u066f' +
    '\\u0671-\\u06d5\\u06dd\\u06e5-\\u06e6\\u06fa-\\u06fe\\u0700-\\u070d\\u0710\\u0712-\\u072c\\u0780-\\u07a5\\u07b1' +
    '\\u200f\\ufb1d\\ufb1f-\\ufb28\\ufb2a-\\ufb36\\ufb38-\\ufb3c\\ufb3e\\ufb40-\\ufb41\\ufb43-\\ufb44\\ufb46-\\ufbb1' +
    '\\ufbd3-\\ufd3d\\ufd50-\\ufd8f\\ufd92-\\ufdc7\\ufdf0-\\ufdfc\\ufe70-\\ufe74\\ufe76-\\ufefc]',
  'u',
);

/** Letters that are not of D.1 stand for property L (D.2, which has 360 ranges of letters and a few marks). */
const LETTER = /[\p{L}\p{Nl}\p{Mc}]/gu;

/** @returns undefined when `text` has a prohibited character or mixes directions (RFC 4013 2.3, 2.4). */
export function saslprep(text: string): string | undefined {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  const prepared = text.replace(NOTHING, '').replace(SPACES, ' ').normalize('NFKC');
  if (PROHIBITED.test(prepared)) return undefined;
  return RIGHT_TO_LEFT.test(prepared) && !isRightToLeft(prepared) ? undefined : prepared;
}

/** RFC 3454 6: no left-to-right letter, and right-to-left ones at both ends. */
function isRightToLeft(text: string): boolean {
  const chars = [...text];
  if (!RIGHT_TO_LEFT.test(chars.at(0) ?? '') || !RIGHT_TO_LEFT.test(chars.at(-1) ?? '')) return false;
  return (text.match(LETTER) ?? []).every((letter) => RIGHT_TO_LEFT.test(letter));
}

/**
 * The form of a password that is hashed. One that SASLprep refuses is taken as it stands: such a password may have
 * been set elsewhere, and PLAIN can carry it.
 */
export function preparedPassword(password: string): string {
  return saslprep(password) ?? password;
}
