import { expect, test } from 'vitest';
import { NotifyNames } from '../../src/imap/notify-names.ts';

test('a name of which something else was to be said is still the old name of what it becomes', () => {
  const names = new NotifyNames(10);
  names.changed('known');
  names.renamed('known', 'other', 'tell');
  expect(names.take()).toEqual([{ path: 'other', was: 'known' }]);
});

test('a name that the client has never heard is nobody’s old name', () => {
  const names = new NotifyNames(10);
  names.changed('fresh', 'new');
  names.renamed('fresh', 'other', 'tell');
  names.endRename();
  names.renamed('other', 'last', 'tell');
  expect(names.take()).toEqual([{ path: 'last', was: null }]);
});

test('two renames, told together, are one', () => {
  const names = new NotifyNames(10);
  names.renamed('a', 'b', 'tell');
  names.endRename();
  names.renamed('b', 'c', 'tell');
  expect(names.take()).toEqual([{ path: 'c', was: 'a' }]);
});
