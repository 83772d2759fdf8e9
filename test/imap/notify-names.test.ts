import { expect, test } from 'vitest';
import { NotifyNames } from '../../src/imap/notify-names.ts';

test('a name of which something else was to be said is still the old name of what it becomes', () => {
  const names = new NotifyNames(10);
  names.changed('known');
  names.renamed('known', 'other', 'tell');
  expect(names.take()).toMatchObject([{ path: 'other', was: 'known' }]);
});

test('a name that the client has never heard is nobody’s old name', () => {
  const names = new NotifyNames(10);
  names.changed('fresh', 'new');
  names.renamed('fresh', 'other', 'tell');
  names.endRename();
  names.renamed('other', 'last', 'tell');
  expect(names.take()).toMatchObject([{ path: 'last', was: null }]);
});

test('two renames, told together, are one', () => {
  const names = new NotifyNames(10);
  names.renamed('a', 'b', 'tell');
  names.endRename();
  names.renamed('b', 'c', 'tell');
  expect(names.take()).toMatchObject([{ path: 'c', was: 'a' }]);
});

test('a name that the client has never heard is told where it went with the one above it', () => {
  const names = new NotifyNames(10);
  names.changed('a/x', 'new');
  names.renamed('a', 'b', 'tell');
  names.renamed('a/x', 'b/x', 'tell');
  expect(names.take()).toMatchObject([
    { path: 'b', was: 'a' },
    { path: 'b/x', was: null },
  ]);
});

test('what is put off is said after the next that is heard', () => {
  const names = new NotifyNames(10);
  names.changed('a/x', 'new');
  for (const told of names.take()) names.putOff(told);
  expect(names.hasPending).toBe(false);
  names.renamed('a', 'b', 'tell');
  names.renamed('a/x', 'b/x', 'tell');
  expect(names.take().map(({ path }) => path)).toEqual(['b', 'b/x']);
});
