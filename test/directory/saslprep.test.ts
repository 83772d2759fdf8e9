import fc from 'fast-check';
import { expect, test } from 'vitest';
import { preparedPassword, saslprep } from '../../src/directory/saslprep.ts';

test.each([
  ['I\u00adX', 'IX', 'SOFT HYPHEN mapped to nothing'],
  ['user', 'user', 'no transformation'],
  ['USER', 'USER', 'case preserved'],
  ['\u00aa', 'a', 'output is NFKC'],
  ['\u2168', 'IX', 'output is NFKC'],
  ['\u0007', undefined, 'prohibited character'],
  ['\u0627\u0031', undefined, 'bidirectional check'],
])('%j becomes %j: %s (RFC 4013 3)', (input, output, _comment) => {
  expect(saslprep(input)).toBe(output);
});

test.each([
  ['a\u00a0b', 'a b'],
  ['a\u3000b', 'a b'],
  ['\u0627b\u0627', undefined],
  ['\u0627\u0031\u0628', '\u0627\u0031\u0628'],
  ['\ufffd', undefined],
  ['\ue000', undefined],
  ['\u{1f511} key', '\u{1f511} key'],
  ['a\u202eb', undefined],
  ['\ud800', undefined],
  ['\u{e0041}', undefined],
])('%j becomes %j (RFC 4013 2.1, 2.3; RFC 3454 6)', (input, output) => {
  expect(saslprep(input)).toBe(output);
});

test('preparing twice is preparing once, and never throws', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const once = saslprep(text);
      if (once !== undefined) expect(saslprep(once)).toBe(once);
    }),
  );
});

test('a password that cannot be prepared is taken as it stands', () => {
  expect(preparedPassword('\u0627\u0031')).toBe('\u0627\u0031');
});
