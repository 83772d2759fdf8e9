import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readPieces } from '../../src/lib/pieces.ts';

const dir = mkdtempSync(join(tmpdir(), 'facteur-pieces-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const path = join(dir, 'file');
writeFileSync(path, '0123456789');
const pieces = [Buffer.from('abc'), { path, start: 2, end: 6 }, Buffer.from('xyz')];

async function text(range?: { start: number; end: number }): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readPieces(pieces, range)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test('pieces read as one, in order, as often as wanted', async () => {
  expect(await text()).toBe('abc2345xyz');
  expect(await text()).toBe('abc2345xyz');
});

test('every range of the whole is the same slice of the text', async () => {
  for (let start = 0; start <= 10; start++)
    for (let end = start; end <= 11; end++)
      expect(await text({ start, end })).toBe('abc2345xyz'.slice(start, end));
});

test('a file shorter than its range is an error, not a short message', async () => {
  const read = async (): Promise<void> => {
    for await (const _ of readPieces([{ path, start: 5, end: 20 }]));
  };
  await expect(read()).rejects.toThrow(/ends before its range/);
});
