import { expect, test } from 'vitest';
import { manyAccounts, manyFolders } from './scale.ts';

test('hundreds of folders by IMAP and by hand', async () => {
  expect(await manyFolders(300)).toHaveProperty('list ms');
});

test('more accounts in use than are kept open', async () => {
  expect(await manyAccounts(320)).toHaveProperty('KB an open account');
});
