import type { EnhancedCode, Reply } from '../../mail/reply.ts';

/** What is kept of a peer's reply: RFC 5321 4.5.3.1.5 says 512 octets a line. */
const MAX_TEXT = 2048;

/** A peer's reply as it came (RFC 5321 4.2.1), all its lines; undefined when it is none. */
export function parsePeerReply(raw: string): Reply | undefined {
  const lines = raw.split(/\r?\n/).filter((line) => line !== '');
  const code = Number(/^([2-5]\d\d)(?:[ -]|$)/.exec(lines.at(-1) ?? '')?.[1] ?? 0);
  if (code === 0) return undefined;
  const texts = lines.map((line) => line.replace(/^\d{3}[ -]?/, ''));
  const enhanced = enhancedCode(texts[0] ?? '', code);
  // RFC 2034 4: every line repeats it.
  const plain = enhanced === undefined ? texts : texts.map((text) => withoutPrefix(text, enhanced));
  const text = printable(plain.join('\n')).slice(0, MAX_TEXT).trimEnd();
  return enhanced === undefined ? { code, text } : { code, enhanced, text };
}

/** RFC 5321 4.2.1: 2yz. */
export function isPositive(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 300;
}

/** RFC 2034 4: only believed where its class is that of the code. */
function enhancedCode(text: string, code: number): EnhancedCode | undefined {
  const match = /^([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)/.exec(text);
  if (!match || Number(match[1]) !== Math.floor(code / 100)) return undefined;
  return match[0] as EnhancedCode;
}

function withoutPrefix(text: string, enhanced: string): string {
  return text.startsWith(enhanced) ? text.slice(enhanced.length).trimStart() : text;
}

/** What a peer says goes into logs and bounces: no control characters, no escape sequences. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return text.replace(/\t/g, ' ').replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/g, '?');
}
